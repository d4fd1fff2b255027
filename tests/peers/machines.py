"""Services on machines of their own, asked by the command line there: for what needs a real network."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from app.cli.own_service import scrubbed
from client.models import Job, NodeList, NodeState, PeerNode
from tests.peers.farm import QUICK, SECRET
from tests.support.network import Machine, studio

COMMAND = [sys.executable, "-m", "app.cli"]


class Node:
    """A service on a machine, and the command line there."""

    def __init__(self, machine: Machine, folder: Path, name: str, **settings: str) -> None:
        self.machine = machine
        self.folder = folder / name
        self.environment = {
            **scrubbed(os.environ),
            **QUICK,
            "ZORDON_NAME": name,
            "ZORDON_DATA_DIR": str(self.folder),
            "ZORDON_LAN": "true",
            "ZORDON_WORKER": "1",
            "COLUMNS": "200",
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.machine.prefix, *COMMAND, "serve"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def end(self, kill: bool = False) -> None:
        """Stop serving."""
        if self.process is not None:
            (self.process.kill if kill else self.process.terminate)()
            self.process.wait(60)
            self.process = None

    def zordon(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command there."""
        return subprocess.run(
            [*self.machine.prefix, *COMMAND, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def job_until(self, job_id: str, right: Callable[[Job], bool]) -> Job:
        """A job, once ``right`` says that it is as it should be."""
        last = ""
        watching = subprocess.Popen(
            [*self.machine.prefix, *COMMAND, "watch", job_id, "--json"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        killer = threading.Timer(300, watching.kill)
        killer.start()
        with watching:
            try:
                assert watching.stdout is not None
                for last in watching.stdout:
                    job = Job.model_validate_json(last)
                    if right(job):
                        return job
            finally:
                killer.cancel()
                watching.kill()
        raise AssertionError(f"it never came about: {last}\n{self.service_log()}")

    def service_log(self) -> str:
        """The end of what the service has said."""
        return (self.folder / "service.log").read_text()[-4000:]

    def nodes_until(self, right: Callable[[dict[str, PeerNode]], bool]) -> dict[str, PeerNode]:
        """The nodes that it knows by name, once ``right`` says that they are as they should be."""
        last = ""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            asked = self.zordon("nodes", "--json")
            last = asked.stdout + asked.stderr
            if asked.returncode == 0:
                named = {one.name: one for one in NodeList.model_validate_json(asked.stdout).nodes}
                if right(named):
                    return named
        raise AssertionError(f"it never came about: {last}\n{self.service_log()}")


@contextmanager
def nodes(folder: Path, *names: str, **settings: str) -> Iterator[list[Node]]:
    """Services on as many machines, in one farm unless the settings say otherwise."""
    with studio(len(names)) as machines, ExitStack() as stack:
        found = []
        for machine, name in zip(machines, names, strict=True):
            node = Node(machine, folder, name, **{"ZORDON_FARM_SECRET": SECRET, **settings})
            stack.callback(node.end)
            node.start()
            found.append(node)
        yield found


def online(*names: str) -> Callable[[dict[str, PeerNode]], bool]:
    """Whether all of these are there."""
    return lambda seen: all(name in seen and seen[name].state is NodeState.ONLINE for name in names)
