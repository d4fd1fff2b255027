"""Requests that no client should send: each must be refused with a status of the 400s, and nothing may come of it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable

from client import RenderServerProxy
from client.errors import ConnectionFailed
from tests.faults.victim import TOKEN

_NAMES = ("../../../etc/passwd", "..\\..\\x", "a\0b", "", ".", "/etc/passwd", "x" * 300, "\ud800", "%2e%2e%2f", "CON")
_FRAMES = ("", "5-", "1-1e99", "1-10x0", "a", "1--", "9" * 400, "-", "1-99999999999999")
_VALUES: tuple[object, ...] = (None, -1, 1e400, [], {}, [[]], "\0", "💥" * 1000, True, 2**70, "NaN")
_FIELDS = ("renderer", "frames", "args", "priority", "child_jobs", "local_path", "scheduled_start", "engine_version")

Request = tuple[str, str, dict[str, str], bytes]
"""Method, path, headers, body."""


class BadInputs:
    """Makes and sends them. ``tried``: how many were answered."""

    def __init__(self, dice: random.Random) -> None:
        self.tried = 0
        self._dice = dice
        self._kinds: tuple[Callable[[], Request], ...] = (
            self._wrong_value,
            self._bad_frames,
            self._no_json,
            self._torn_form,
            self._bad_name,
            self._bad_download,
            self._no_such_job,
            self._unconfirmed,
            self._wrong_token,
        )

    async def send(self, node: RenderServerProxy) -> None:
        """Send one.

        Raises:
            ConnectionFailed: the service died under it.
        """
        method, path, headers, body = self._dice.choice(self._kinds)()
        lines = {"Host": node.connection.address, "Authorization": f"Bearer {TOKEN}", "Connection": "close"}
        lines |= {"Content-Length": str(len(body))} | headers
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        answer = await _exchange(node.connection.host, node.connection.port, head.encode("latin-1") + b"\r\n" + body)
        if answer.startswith(b"HTTP/1.1 503"):
            raise ConnectionFailed("the service stops")
        if not answer.startswith(b"HTTP/1.1 4"):
            raise AssertionError(f"{method} {path} {body[:300]!r} was answered {answer[:300]!r}")
        self.tried += 1

    # --- kinds ---------------------------------------------------------------------------------------------------

    def _job(self, **fields: object) -> bytes:
        return json.dumps({"renderer": "testpattern", "frames": "1-2", **fields}).encode()

    def _add(self, body: bytes, kind: str = "application/json") -> Request:
        return "POST", "/api/add_job", {"Content-Type": kind}, body

    def _wrong_value(self) -> Request:
        # A list is wrong in every field of a job, and so is a field that there is not.
        field = self._dice.choice(_FIELDS)
        wrong = [self._dice.choice(_VALUES)] if field != "child_jobs" else self._dice.choice(["x", 7, [7]])
        return self._add(self._job(**{field: wrong, "no_such_field": 1}))

    def _bad_frames(self) -> Request:
        return self._add(self._job(frames=self._dice.choice(_FRAMES)))

    def _no_json(self) -> Request:
        body = self._dice.choice([b"", b"{", b"[]", b"\xff\xfe", b"[" * 5000, b"null", b'"x"', b"{}", b'{"frames": 1}'])
        return self._add(body)

    def _torn_form(self) -> Request:
        whole = (
            b'--b\r\nContent-Disposition: form-data; name="json"\r\n\r\n' + self._job() + b"\r\n"
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.mp4"\r\n\r\nno video at all\r\n--b--\r\n'
        )
        return self._add(whole[: self._dice.randrange(len(whole))], "multipart/form-data; boundary=b")

    def _bad_name(self) -> Request:
        name = self._dice.choice(_NAMES).encode("utf-8", "surrogatepass")
        body = (
            b'--b\r\nContent-Disposition: form-data; name="json"\r\n\r\n{"renderer": "ffmpeg"}\r\n'
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + name + b'"\r\n\r\nno video\r\n--b--\r\n'
        )
        return self._add(body, "multipart/form-data; boundary=b")

    def _bad_download(self) -> Request:
        name = self._dice.choice(("..%2f..%2ftoken", "%00", "..", "", "token", "..%5ctoken", "%ff%fe"))
        return "GET", f"/api/jobs/{'0' * 16}/download?filename={name}", {}, b""

    def _no_such_job(self) -> Request:
        job = self._dice.choice(("x", "..%2f..", "%00", "-", "0" * 5000))
        return self._dice.choice(("GET", "DELETE")), f"/api/jobs/{job}/files", {}, b""

    def _unconfirmed(self) -> Request:
        return "POST", f"/api/jobs/{'0' * 16}/{self._dice.choice(('cancel', 'delete'))}", {}, b""

    def _wrong_token(self) -> Request:
        return "GET", "/api/jobs", {"Authorization": f"Bearer {self._dice.randbytes(12).hex()}"}, b""


async def _exchange(host: str, port: int, request: bytes) -> bytes:
    """Send all of it and read the answer to its end.

    Raises:
        ConnectionFailed: there was none.
    """
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        raise ConnectionFailed(str(error)) from error
    try:
        writer.write(request)
        await writer.drain()
        answer = await reader.read()
    except OSError as error:
        raise ConnectionFailed(str(error)) from error
    finally:
        writer.close()
    if not answer:
        raise ConnectionFailed("the connection was closed without an answer")
    return answer
