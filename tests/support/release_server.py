"""A release folder of Blender on a server of this machine, with the vendor's page shapes and tiny releases in it.

The ``blender`` of such a release is a script that prints a version as Blender does. If told to, it also renders the
one picture that proves a copy.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from PIL import Image

from tests.support.scripted_server import Reply, Request, ScriptedServer, scripted_server


def tiny_release(version: str, *, renders: bool = False) -> bytes:
    """An archive as the vendor packs it: one outermost folder, the program, a folder with its data."""
    script = f"#!/bin/sh\necho 'Blender {version}'\n".encode()
    if renders:
        picture = base64.b64encode(_picture()).decode()
        write = f'for last; do :; done; echo {picture} | base64 -d > "$last"'
        script += f'case "$*" in *proof*) {write};; esac\n'.encode()
    series = ".".join(version.split(".")[:2])
    top = f"blender-{version}-linux-x64"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as archive:
        for name, data, mode in (
            ("blender", script, 0o755),
            (f"{series}/datafiles/colormanagement/config.ocio", b"ocio_profile_version: 2\n", 0o644),
        ):
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size, member.mode = len(data), mode
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (40, 90, 160)).save(file, "PNG")
    return file.getvalue()


def page(folder: str, names: Iterable[str]) -> Reply:
    """An index page as nginx makes it."""
    lines = "".join(f'<a href="{name}">{name}</a>{"":40}09-Sep-2025 10:00   100\n' for name in names)
    title = f"Index of {folder}"
    text = f'<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1><hr><pre><a href="../">../</a>\n'
    return Reply(f"{text}{lines}</pre><hr></body>\n</html>\n".encode(), headers={"Content-Type": "text/html"})


class ReleaseFolder:
    """What the server has: change ``files`` to have it offer something else.

    Args:
        versions: what is released.
        renders: whether the programs can be proven.
    """

    def __init__(self, *versions: str, renders: bool = False) -> None:
        self.renders = renders
        self.files: dict[str, Reply] = {}
        for version in versions:
            self.add(version)

    def add(self, version: str) -> None:
        """Release a version, with its checksum file."""
        data = tiny_release(version, renders=self.renders)
        name = f"blender-{version}-linux-x64.tar.xz"
        digest = hashlib.sha256(data).hexdigest()
        self.files[self.path(version, name)] = Reply(data, headers={"ETag": f'"{digest[:16]}"'})
        sums = f"{'0' * 64}  blender-{version}-windows-x64.zip\n{digest}  {name}\n"
        self.files[self.path(version, f"blender-{version}.sha256")] = Reply(sums.encode())

    @staticmethod
    def path(version: str, name: str) -> str:
        """Where a file of a version lies."""
        return f"/release/Blender{'.'.join(version.split('.')[:2])}/{name}"

    def answer(self, request: Request, _: int) -> Reply:
        """What a request gets; folders list what is in them."""
        if (reply := self.files.get(request.target)) is not None:
            return _part(reply, request.headers.get("range"))
        inside = [path.removeprefix(request.target) for path in self.files if path.startswith(request.target)]
        if not request.target.endswith("/") or not inside:
            return Reply(b"<html>404 Not Found</html>", status="404 Not Found")
        names = {name if "/" not in name else name.partition("/")[0] + "/" for name in inside}
        return page(request.target, sorted(names))


def _part(reply: Reply, asked: str | None) -> Reply:
    """The rest of a file, for who asks for it (RFC 9110, 14.2)."""
    if asked is None or reply.status != "200 OK":
        return reply
    start = int(asked.removeprefix("bytes=").removesuffix("-"))
    told = {"Content-Range": f"bytes {start}-{len(reply.body) - 1}/{len(reply.body)}"}
    return replace(reply, body=reply.body[start:], status="206 Partial Content", headers={**reply.headers, **told})


@asynccontextmanager
async def serving(folder: ReleaseFolder) -> AsyncIterator[tuple[ScriptedServer, str]]:
    """Serve it; gives the server and the URL of the first page."""
    async with scripted_server(folder.answer) as server:
        yield server, f"http://127.0.0.1:{server.port}/release/"
