"""Limits by the system's shell, which sets them on itself and then becomes the program.

For systems on which no process can limit another one (macOS), and for engines that run as another user. The shell is
POSIX's (`ulimit`, of which every system has the options that are used here); it costs about a millisecond.
"""

from __future__ import annotations

from typing import Final

from app.render.processes.interface import Limits

_BLOCK: Final = 512
"""Bytes in which POSIX counts the sizes of files."""
_SHELL: Final = "/bin/sh"


def limited(argv: tuple[str, ...], limits: Limits) -> tuple[str, ...]:
    """The command that runs ``argv`` within the limits; itself if there are none.

    A limit that the system does not know, or that is lower there already, changes nothing.

    >>> limited(("blender", "-b"), Limits(open_files=64, nice=5))[1:3]
    ('-c', 'ulimit -n 64 2>/dev/null; exec nice -n 5 "$@"')
    """
    wanted = (
        ("c", 0 if not limits.core_dumps else None),
        ("d", None if limits.memory_bytes is None else -(-limits.memory_bytes // 1024)),
        ("f", None if limits.file_bytes is None else -(-limits.file_bytes // _BLOCK)),
        ("n", limits.open_files),
        ("t", limits.cpu_seconds),
    )
    said = [f"ulimit -{letter} {value} 2>/dev/null; " for letter, value in wanted if value is not None]
    if not said and not limits.nice:
        return argv
    nice = f"nice -n {limits.nice} " if limits.nice else ""
    return (_SHELL, "-c", f'{"".join(said)}exec {nice}"$@"', "engine", *argv)
