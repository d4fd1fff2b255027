"""What keeps machines from being a farm: a secret that others read, multicast that goes nowhere, clocks, firewalls."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import stat
from collections.abc import Callable, Sequence
from typing import Final

import psutil

from app.cli.findings import Finding, Place, Verdict
from app.settings import Settings, SettingsError, load_settings
from client import RenderServerProxy, ZordonError, find_target
from client.models import NodeList, NodeState

FARM_FILE: Final = "farm.json"
_GROUP: Final = "224.0.0.251"
"""Of multicast DNS (RFC 6762); another port than its own, so that nobody is disturbed."""
_HEAR_SECONDS: Final = 1.0
_MUCH_SECONDS: Final = 5.0


def farm_secret(place: Place) -> Finding:
    """The farm's secret is for this user only."""
    found = _settings(place)
    if found is not None and found.farm_secret is not None:
        return Finding("farm", Verdict.OK, "farm_secret says which farm this node is in")
    file = place.data_dir / FARM_FILE
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except FileNotFoundError:
        return Finding("farm", Verdict.OK, "in none; `zordon pair` here and `zordon join` there make one")
    except OSError as error:
        return Finding("farm", Verdict.MISSING, f"{file} cannot be read: {error.strerror}")
    if os.name == "posix" and mode & 0o077:
        return Finding(
            "farm",
            Verdict.NOTE,
            f"other users of this machine may read the farm's secret ({file}, mode {mode:o})",
            f"chmod 600 {file}; if they may have read it, found a new farm.",
        )
    return Finding("farm", Verdict.OK, f"its secret is in {file}, for this user only")


def multicast(place: Place) -> Finding:
    """What is sent to everybody on a network comes back: without that, nodes do not find each other."""
    found = _settings(place)
    if found is None or not found.discovery or not (found.lan or found.discovery_interfaces):
        return Finding("multicast", Verdict.OK, "not needed: this node looks for no others on the network")
    addresses = found.discovery_interfaces or _addresses()
    deaf = [address for address in addresses if ":" not in address and not _hears(address)]
    if deaf or not addresses:
        where = f"on {', '.join(deaf)}" if deaf else "here: no network is up"
        return Finding(
            "multicast",
            Verdict.NOTE,
            f"it does not work {where}, so nodes do not find each other there",
            "Open UDP port 5353 in the firewall, or name the other nodes: `zordon serve --peer HOST:PORT`.",
        )
    return Finding("multicast", Verdict.OK, f"works on {', '.join(addresses)}")


def nodes(place: Place) -> Finding:
    """The other nodes can be used, and their clocks agree with this one."""
    if not place.answering:
        return Finding("nodes", Verdict.OK, "the service does not run; nobody was asked")
    try:
        found = asyncio.run(_nodes(place))
    except ZordonError as error:
        return Finding("nodes", Verdict.NOTE, f"the service does not tell: {error}")
    others = [one for one in found.nodes if not one.own]
    troubles = [f"{one.name} at {one.address}: {one.reason}" for one in others if one.reason]
    troubles += [
        f"{one.name}: its clock is {abs(one.clock_ahead):.0f} seconds {'ahead' if one.clock_ahead > 0 else 'behind'}"
        for one in others
        if one.clock_ahead is not None and abs(one.clock_ahead) > _MUCH_SECONDS and not one.reason
    ]
    if troubles:
        return Finding("nodes", Verdict.NOTE, "; ".join(troubles), "docs/farm.md says what each reason means.")
    online = sum(one.state is NodeState.ONLINE for one in others)
    return Finding("nodes", Verdict.OK, f"{online} others are there, and their clocks agree" if online else "no others")


CHECKS: Final[Sequence[Callable[[Place], Finding]]] = (farm_secret, multicast, nodes)


async def _nodes(place: Place) -> NodeList:
    target = find_target(place.host, place.port, data_dir=place.data_dir)
    async with RenderServerProxy.at(target) as node:
        return await node.get_nodes()


def _settings(place: Place) -> Settings | None:
    try:
        return load_settings(data_dir=place.data_dir)
    except SettingsError:  # a check of its own tells it
        return None


def _addresses() -> list[str]:
    """IPv4 addresses of the networks that are up, without loopback."""
    up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
    return [
        one.address
        for name, addresses in psutil.net_if_addrs().items()
        for one in addresses
        if name in up and one.family == socket.AF_INET and not one.address.startswith("127.")
    ]


def _hears(address: str) -> bool:
    """Whether this machine hears its own multicast on the network of an address."""
    token = secrets.token_bytes(16)
    try:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker,
        ):
            listener.bind(("", 0))
            member = socket.inet_aton(_GROUP) + socket.inet_aton(address)
            listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            listener.settimeout(_HEAR_SECONDS)
            speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
            speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            speaker.sendto(token, (_GROUP, listener.getsockname()[1]))
            while listener.recv(64) != token:
                continue
    except OSError:  # that is the answer; a timeout is one of them
        return False
    return True
