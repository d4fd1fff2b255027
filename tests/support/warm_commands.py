"""Commands in processes of their own that have imported the libraries already.

Importing takes a command several times as long as its work, and the tests run some two hundred. So a fork server
imports once, and each command is a fork of it: a process with its own environment, folder, streams and exit code,
which imports ``app.cli`` itself. What a command does that starts cold is seen by the tests that start theirs with
``Service.start_zordon``.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

_STREAMS: Final = ("stdin", "stdout", "stderr")
# pytest is what a fork takes for its main program. None of these asks the environment anything when it is imported.
_LIBRARIES: Final = ("pytest", "app.main", "typer", "rich.live", "rich.markdown", "rich.progress", "rich.table")

_context: ForkServerContext | None = None


def run_warm(
    arguments: Sequence[str], environment: Mapping[str, str], cwd: Path | None = None, stdin: str = ""
) -> tuple[int, str, str]:
    """Run ``zordon`` with these arguments to its end; its exit code, stdout and stderr."""
    with TemporaryDirectory(prefix="zordon-command-") as name:
        streams = Path(name)
        (streams / "stdin").write_text(stdin, encoding="utf-8")
        process = _forking().Process(target=_command, args=(arguments, dict(environment), cwd or Path.cwd(), streams))
        process.start()
        try:
            process.join()
        finally:
            # A test that takes too long is broken off in the line above.
            process.kill()
            process.join()
        code = process.exitcode
        assert code is not None
        said = [(streams / stream).read_text(encoding="utf-8") for stream in ("stdout", "stderr")]
    process.close()
    return code, said[0], said[1]


def _forking() -> ForkServerContext:
    global _context
    if _context is None:
        _context = multiprocessing.get_context("forkserver")
        _context.set_forkserver_preload(list(_LIBRARIES))
    return _context


def _command(arguments: Sequence[str], environment: dict[str, str], cwd: Path, streams: Path) -> None:
    """Become the command: what a shell and the start of Python do, and then what the console script does."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    for number, stream in enumerate(_STREAMS):
        opened = os.open(streams / stream, os.O_RDONLY if stream == "stdin" else os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # they are the process's own
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = ["zordon", *arguments]
    from app.cli import main

    main()
