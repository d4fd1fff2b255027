"""``python -m bench.peers``: installs the peers of requirements.txt into a folder of their own, for the peers alone."""

from __future__ import annotations

import subprocess
import sys

from bench.processes import PEERS, ROOT


def main() -> int:
    """Install them; benchmarks leave out what is not there."""
    wanted = ROOT / "bench" / "requirements.txt"
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--target", str(PEERS), "-r", str(wanted)]
    return subprocess.run(argv, check=False).returncode


def installed(package: str) -> bool:
    """Whether a peer is there."""
    return (PEERS / package).is_dir()


if __name__ == "__main__":
    sys.exit(main())
