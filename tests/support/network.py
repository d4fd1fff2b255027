"""Machines of a studio on one computer: network namespaces with real multicast between them, joined by a bridge.

For root on Linux only. A command in a machine is run by ``ip netns exec``; names carry our process id, and everything
is taken down at the end, whatever happens.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

_NETWORK = "10.213.7"
_counter = itertools.count(1)


@dataclass(frozen=True)
class Machine:
    """One namespace."""

    namespace: str
    address: str
    link: str  # its port of the switch
    switch: str  # the namespace of that

    @property
    def prefix(self) -> list[str]:
        """What a command line begins with that is run in it."""
        return ["ip", "netns", "exec", self.namespace]

    def unplug(self) -> None:
        """Pull the cable."""
        _ip("-n", self.switch, "link", "set", self.link, "down")

    def plug_in(self) -> None:
        """Put it back."""
        _ip("-n", self.switch, "link", "set", self.link, "up")

    def renumber(self, host: int) -> None:
        """Give it another address; the one of before is gone."""
        new = f"{_NETWORK}.{host}/24"
        _ip("-n", self.namespace, "addr", "flush", "dev", "eth0")
        _ip("-n", self.namespace, "addr", "add", new, "dev", "eth0")


def why_not() -> str:
    """Why there can be no such network here; empty if there can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are a thing of Linux"
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "network namespaces need root and iproute2"
    probe = f"zordon-{os.getpid()}-probe"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return f"network namespaces are not permitted here: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return ""


@contextmanager
def studio(count: int) -> Iterator[list[Machine]]:
    """So many machines on one switch, while the context lasts."""
    number = next(_counter)
    name = f"zordon-{os.getpid()}-{number}"
    with ExitStack() as stack:
        switch = f"{name}-switch"
        _ip("netns", "add", switch)
        stack.callback(_remove, switch)
        _ip("-n", switch, "link", "add", "switch", "type", "bridge", "mcast_snooping", "0")
        _ip("-n", switch, "link", "set", "switch", "up")
        machines = []
        for index in range(1, count + 1):
            machine = Machine(f"{name}-{index}", f"{_NETWORK}.{index}", f"port{index}", switch)
            _ip("netns", "add", machine.namespace)
            stack.callback(_remove, machine.namespace)
            _ip(
                *("-n", switch, "link", "add", machine.link, "type", "veth"),
                *("peer", "name", "eth0", "netns", machine.namespace),
            )
            _ip("-n", switch, "link", "set", machine.link, "master", "switch", "up")
            _ip("-n", machine.namespace, "link", "set", "lo", "up")
            _ip("-n", machine.namespace, "addr", "add", f"{machine.address}/24", "dev", "eth0")
            _ip("-n", machine.namespace, "link", "set", "eth0", "up")
            _ip("-n", machine.namespace, "route", "add", "default", "dev", "eth0")
            machines.append(machine)
        yield machines


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _remove(namespace: str) -> None:
    subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)
