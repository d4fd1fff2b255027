"""The program of the rogue engine: ``rogue_program.py WAY COUNT FOLDER FRAME...``. Every way is a function."""

import os
import shutil
import struct
import sys
import time
import zlib
from pathlib import Path

EVENTS = int(os.environ.get("ZORDON_EVENTS_FD", "1"))
LONG = 600


def picture(side: int = 16) -> bytes:
    """A grey PNG."""

    def block(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * side) * side)
    return b"\x89PNG\r\n\x1a\n" + block(b"IHDR", header) + block(b"IDAT", rows) + block(b"IEND", b"")


def write_all(target: int, data: bytes, times: int = 1) -> None:
    for _ in range(times):
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(target, rest) :]


def render(folder: str, frames: list[str], data: bytes = b"") -> None:
    """The files and what is said of them."""
    for frame in frames:
        (Path(folder) / f"{int(frame):04d}.png").write_bytes(data or picture())
        write_all(EVENTS, b'{"written": %d}\n' % int(frame))


def well(count: int, folder: str, frames: list[str]) -> None:
    """Nothing wrong, ``count`` seconds after its start."""
    time.sleep(count)
    render(folder, frames)


def never_ends(count: int, folder: str, frames: list[str]) -> None:
    """Renders everything and stays."""
    render(folder, frames)
    time.sleep(LONG)


def says_nothing(count: int, folder: str, frames: list[str]) -> None:
    """Neither a file nor a word, for ever."""
    time.sleep(LONG)


def long_line(count: int, folder: str, frames: list[str]) -> None:
    """One line of so many bytes, on stdout."""
    write_all(1, b"x" * (1 << 20), count >> 20)
    render(folder, frames)


def long_event(count: int, folder: str, frames: list[str]) -> None:
    """One line of so many bytes, where events are expected."""
    write_all(EVENTS, b"x" * (1 << 20), count >> 20)
    write_all(EVENTS, b"\n")
    render(folder, frames)


def much_log(count: int, folder: str, frames: list[str]) -> None:
    """So many bytes of lines."""
    write_all(1, b"Fra:1 Mem:12.00M | Sample 1/64 and so on\n" * 25_000, count // 1_025_000)
    render(folder, frames)


def no_text(count: int, folder: str, frames: list[str]) -> None:
    """Every byte there is, on both streams and as events."""
    every = bytes(range(256)) * 64
    for target in (1, 2, EVENTS):
        write_all(target, every + b"\n")
    render(folder, frames)


def escapes(count: int, folder: str, frames: list[str]) -> None:
    """What a terminal would obey: colours, a title, a cleared screen, a link, C1 in UTF-8, a carriage return."""
    write_all(1, b"\x1b[31mred\x1b[0m \x1b]0;owned\x07\x1b[2J\x1b[1;1H\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n")
    write_all(1, "\x9b31m C1 \x9d0;owned\x9c \x90q\x9c\n".encode() + b"old\rnew \x08\x08\x00\x7f end\n")
    write_all(1, b"cut \x1b")
    time.sleep(0.1)
    write_all(1, b"[41m here\n")
    render(folder, frames)


def no_frames(count: int, folder: str, frames: list[str]) -> None:
    """All is well, it says."""
    write_all(1, b"done\n")


def wrong_size(count: int, folder: str, frames: list[str]) -> None:
    render(folder, frames, picture(15))


def not_a_picture(count: int, folder: str, frames: list[str]) -> None:
    render(folder, frames, b"this is no picture")


def empty_files(count: int, folder: str, frames: list[str]) -> None:
    render(folder, frames, b" ")


def links(count: int, folder: str, frames: list[str]) -> None:
    """Links to a good picture elsewhere instead of files."""
    real = Path(os.environ["TMPDIR"]) / "real.png"
    real.write_bytes(picture())
    for frame in frames:
        (Path(folder) / f"{int(frame):04d}.png").symlink_to(real)
        write_all(EVENTS, b'{"written": %d}\n' % int(frame))


def folder_is_a_link(count: int, folder: str, frames: list[str]) -> None:
    """The folder that it should write into becomes a link to another one with good pictures."""
    elsewhere = Path(os.environ["TMPDIR"]) / "elsewhere"
    shutil.rmtree(folder)
    elsewhere.mkdir()
    Path(folder).symlink_to(elsewhere)
    render(folder, frames)


def removes_its_folder(count: int, folder: str, frames: list[str]) -> None:
    shutil.rmtree(folder)
    for frame in frames:
        write_all(EVENTS, b'{"written": %d}\n' % int(frame))


def holds_stdout(count: int, folder: str, frames: list[str]) -> None:
    """Leaves a child in its own group that keeps the pipes open."""
    if os.fork() == 0:
        time.sleep(LONG)
    render(folder, frames)


def double_fork(count: int, folder: str, frames: list[str]) -> None:
    """Leaves ``count`` processes that nobody can trace by parenthood or group, and that keep the pipes open."""
    for _ in range(count):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(LONG)
            os._exit(0)
        os.wait()
    render(folder, frames)


def forks_on(count: int, folder: str, frames: list[str]) -> None:
    """Leaves a process that forks and dies again and again: nobody sees the same one twice."""
    if os.fork() == 0:
        os.setsid()
        for _ in range(LONG * 100):
            if os.fork():
                os._exit(0)
            time.sleep(0.01)
    render(folder, frames)


def fails_with_escapes(count: int, folder: str, frames: list[str]) -> None:
    write_all(EVENTS, b'{"failed": "\\u001b[31mred\\u001b[0m \\u009b2J \\u0000 it broke"}\n')
    time.sleep(LONG)


def lies_about_frames(count: int, folder: str, frames: list[str]) -> None:
    """Says frames twice, frames of nobody, and things that are no events."""
    for said in (b'{"written": 99999}', b'{"written": "x"}', b"[]", b"null", b'{"written": 1e999}', b"[" * 100_000):
        write_all(EVENTS, said + b"\n")
    render(folder, frames)
    for frame in frames:
        write_all(EVENTS, b'{"written": %d}\n' % int(frame))


def stumbles(count: int, folder: str, frames: list[str]) -> None:
    """Lets the plug-in's own parse and explain_exit raise."""
    write_all(EVENTS, b"stumble\n")
    write_all(1, b"stumble\n")
    time.sleep(0.1)
    sys.exit(3)


def runs_out_of_memory(count: int, folder: str, frames: list[str]) -> None:
    write_all(2, b"Malloc returns null: len=17179869184 in Vertex buffer, total 3\n")
    sys.exit(1)


def eats_memory(count: int, folder: str, frames: list[str]) -> None:
    """Takes so many bytes, in a control group that has fewer."""
    (Path(os.environ["ROGUE_GROUP"]) / "cgroup.procs").write_text(str(os.getpid()))
    taken = [bytearray(b"x" * (1 << 20)) for _ in range(count >> 20)]
    render(folder, frames, picture() if taken else b"")


def fills_the_disk(count: int, folder: str, frames: list[str]) -> None:
    """Writes as many bytes beside each picture; says what the system says."""
    try:
        with (Path(folder) / "cache").open("wb") as file:
            for _ in range(count >> 16):
                file.write(b"x" * (1 << 16))
        (Path(folder) / "cache").unlink()
        render(folder, frames)
    except OSError as error:
        write_all(2, f"write failed: {error.strerror}\n".encode())
        sys.exit(1)


if __name__ == "__main__":
    globals()[sys.argv[1]](int(sys.argv[2]), sys.argv[3], sys.argv[4:])
