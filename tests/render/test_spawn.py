"""Starting a program by the C library: what it gets, what it does not get, and how refusals look."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import pytest

from app.render.processes import Launch, launch, spawn

pytestmark = pytest.mark.skipif(not spawn.AVAILABLE, reason="a C library that can do all of it")

TELL = """
import json, os
json.dump({
    "fds": sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")),
    "folder": os.getcwd(), "session": os.getsid(0) == os.getpid() == os.getpgid(0),
    "names": sorted(os.environ), "word": os.environ["WORD"],
}, open(3, "w"))
"""


def run(argv: tuple[str, ...], environment: dict[str, str], folder: Path) -> tuple[int, bytes]:
    """Run a program whose descriptor 3 is a pipe. Returns how it ended and what it wrote there."""
    ours, theirs = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    try:
        pid = spawn.spawn(argv, environment, str(folder), (null, null, null, theirs))
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
        os.close(null)
    with os.fdopen(ours, "rb") as pipe:
        said = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def test_it_gets_its_folder_its_environment_and_no_other_descriptor(tmp_path: Path) -> None:
    folder = tmp_path / "ordner-ä"
    folder.mkdir()
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)  # as a library might that is written in C
        code, said = run((sys.executable, "-I", "-S", "-c", TELL), {"WORD": "grün = 1", "LC_ALL": "C.UTF-8"}, folder)
    assert code == 0
    told = json.loads(said)
    assert set(told["fds"]) <= {0, 1, 2, 3, 4}, "4 is what lists them"
    assert (told["folder"], told["word"]) == (str(folder), "grün = 1")
    assert told["session"], "it leads a session and a process group of its own"
    assert set(told["names"]) <= {"WORD", "LC_ALL", "LC_CTYPE"}


def test_signals_that_python_ignores_end_it_as_they_would(tmp_path: Path) -> None:
    code, _ = run(("/bin/sh", "-c", "kill -PIPE $$; exit 0"), {}, tmp_path)
    assert code == -13


@pytest.mark.parametrize(
    ("argv", "folder", "number"),
    [
        (("/no/such/program",), ".", errno.ENOENT),
        (("/etc/passwd",), ".", errno.EACCES),
        (("/bin/true",), "gone", errno.ENOENT),
    ],
)
def test_what_cannot_be_started_is_refused(tmp_path: Path, argv: tuple[str, ...], folder: str, number: int) -> None:
    with pytest.raises(OSError) as refused:
        run(argv, {}, tmp_path / folder)
    assert refused.value.errno == number


@pytest.mark.parametrize(("argv", "name"), [(("/bin/true", "a\0b"), "A"), (("/bin/true",), "A\0B")])
def test_nothing_is_cut_at_a_nul(tmp_path: Path, argv: tuple[str, ...], name: str) -> None:
    with pytest.raises(ValueError, match="null byte"):
        run(argv, {name: "1"}, tmp_path)


async def test_a_program_without_a_path_is_searched_for(tmp_path: Path) -> None:
    heard = bytearray()
    process = await launch(
        Launch("a-1", ("sh", "-c", "echo here"), {"PATH": os.defpath}, tmp_path, False, heard.extend, heard.extend)
    )
    process.close_stdin()
    assert await process.wait() == 0
    await process.sweep()
    assert heard == b"here\n"
