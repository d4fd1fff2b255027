"""``python -m bench``: names the benchmarks; ``python -m bench all`` runs them one after the other."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = {
    "lists": "the job list, 304, one job, beside bare ASGI, Starlette, FastAPI and Flask",
    "long_poll": "up to 9,500 waiting clients woken by one change, beside one asyncio.Event in a bare ASGI app",
    "submit": "durable submits, and from a submit to the start of its engine",
    "dispatch": "trivial chunks, every attempt durable, beside two threads that do nothing else",
    "spawn": "starting processes with 1 GB in the service, beside asyncio's and uvloop's own way",
    "overhead": "a Blender job and an FFmpeg job beside the bare engines",
    "commits": "durable rows, beside the same group commit on SQLAlchemy Core and a commit for each row",
    "start": "100,000 jobs in the store: ready to serve; 10,000 jobs: memory",
    "download": "a zip of 1.5 GB and one file of 2 GB, beside plain concatenation and FileResponse",
    "upload": "2 GB as multipart beside a raw body PUT",
    "farm_presence": "how soon a node that starts, is killed or is stopped is known to another",
    "encode": "one FFmpeg encode over two nodes of one thread each, beside one node",
    "makespan": "500 chunks on eight unequal nodes of which one dies, beside the ideal and the even split",
    "scaling": "1 to 16 nodes at five seconds a chunk",
    "failover": "from the death of a node to its frames running elsewhere",
    "farm_simulation": "a thousand nodes and a million frames: what the scheduler costs",
    "page": "the page with 10,000 jobs in Chromium: first paint, scrolling, memory, beside a bare page",
    "faults": "hundreds of kill -9 at random moments: kills survived, frames lost and rendered twice, processes left",
}


def main() -> int:
    """List them, or run those that are named (``all``: every one); further flags go to each."""
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    flags = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    if not names:
        for name, what in BENCHMARKS.items():
            print(f"python -m bench.{name:<16} {what}")
        print("python -m bench all        every one of them; --quick, --dir=FOLDER and --json=FILE are passed on")
        return 0
    unknown = [name for name in names if name != "all" and name not in BENCHMARKS]
    if unknown:
        print(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    failed = 0
    for name in BENCHMARKS if "all" in names else names:
        failed |= subprocess.run([sys.executable, "-m", f"bench.{name}", *flags], check=False).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
