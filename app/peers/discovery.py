"""Finding nodes on the local network, and telling them of this one: DNS-SD over multicast DNS (RFC 6762, RFC 6763).

What is found is a suggestion only: anybody on the network can announce anything. Whoever is there proves itself at the
hello, see :mod:`app.peers.greeting`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import psutil
import structlog
from zeroconf import Error as ZeroconfError
from zeroconf import InterfaceChoice, IPVersion, ServiceListener, Zeroconf
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from app.peers.contact import Origin
from app.peers.greeting import Me
from app.peers.registry import Peers
from app.settings import Settings
from app.version import API_VERSION, APP_VERSION
from client.addresses import Address, parse_address

log = structlog.get_logger(__name__)

SERVICE_TYPE: Final = "_zordon._tcp.local."
LOOK_AGAIN_SECONDS: Final = 15.0
"""How often this machine's own addresses are looked at: cables are plugged, leases end."""
_ASK_MILLISECONDS: Final = 3000
_MAX_FOUND: Final = 500
_LABEL_BYTES: Final = 63


@dataclass(frozen=True, slots=True)
class Found:
    """A node that is announced on the network.

    Attributes:
        farm: id of its farm; empty: it is in none.
    """

    node_id: str
    name: str
    farm: str
    instance: str
    addresses: tuple[Address, ...]


class Discovery(ServiceListener):
    """Looks for nodes, and announces this one, for as long as the service runs.

    Args:
        settings: whether, and on which interfaces.
        me: this node.
        peers: who is told of addresses.
        port: where the service really listens.
    """

    def __init__(self, settings: Settings, me: Me, peers: Peers, port: Callable[[], int]) -> None:
        self._settings = settings
        self._me = me
        self._peers = peers
        self._port = port
        self._task: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._found: dict[str, Found] = {}
        self._zeroconf: AsyncZeroconf | None = None
        self._changed = asyncio.Event()
        peers.secret.on_change(lambda farm: self._changed.set())

    @property
    def wanted(self) -> bool:
        """Whether nodes are looked for: a node that nobody reaches does not announce itself."""
        settings = self._settings
        reachable = settings.lan or bool(settings.discovery_interfaces)
        return settings.discovery and reachable

    def found(self) -> list[Found]:
        """The nodes that are announced now, by name."""
        return sorted(self._found.values(), key=lambda one: (one.name.casefold(), one.node_id))

    async def look(self, seconds: float) -> list[Found]:
        """The nodes that are announced, waited for so long; also if this node does not announce itself."""
        if self._zeroconf is not None:
            await asyncio.sleep(seconds)
            return self.found()
        zeroconf = AsyncZeroconf(interfaces=self._interfaces())
        try:
            await zeroconf.async_add_service_listener(SERVICE_TYPE, self)
            await asyncio.sleep(seconds)
            await asyncio.gather(*self._asking, return_exceptions=True)
            return self.found()
        finally:
            await zeroconf.async_close()
            self._found.clear()

    def start(self) -> None:
        """Begin, without waiting: an announcement takes almost two seconds."""
        if self.wanted:
            self._task = asyncio.create_task(self._run(), name="discovery")

    async def close(self) -> None:
        """Say goodbye and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    # --- the work ------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                await self._announce()
            except (OSError, ZeroconfError) as error:
                log.warning("nodes cannot be looked for on the network", reason=str(error) or type(error).__name__)
            except Exception:
                # Whatever a stranger's announcement has done to the library: other nodes are still to be found.
                log.exception("looking for nodes on the network failed")
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _announce(self) -> None:
        """Announce and listen until something is wrong with the network."""
        zeroconf = self._zeroconf = AsyncZeroconf(interfaces=self._interfaces(), ip_version=self._ip_version())
        try:
            await zeroconf.async_add_service_listener(SERVICE_TYPE, self)
            announced = await asyncio.to_thread(self._own_addresses)
            await (await zeroconf.async_register_service(self._service(announced)))
            while True:
                self._changed.clear()
                try:
                    async with asyncio.timeout(LOOK_AGAIN_SECONDS):
                        await self._changed.wait()
                except TimeoutError:
                    now = await asyncio.to_thread(self._own_addresses)
                    if now == announced:
                        continue
                    log.info("the addresses of this machine have changed", addresses=now)
                    announced = now
                    await zeroconf.async_update_interfaces(self._interfaces())
                await (await zeroconf.async_update_service(self._service(announced)))
        finally:
            self._zeroconf = None
            for task in list(self._asking):
                task.cancel()
            await asyncio.gather(*self._asking, return_exceptions=True)
            await zeroconf.async_close()  # and say goodbye

    def _service(self, addresses: Sequence[str]) -> AsyncServiceInfo:
        farm = self._peers.secret.farm
        label = f"{self._me.name.replace('.', '-')} {self._me.instance}".encode()
        if len(label) > _LABEL_BYTES:
            label = label[: _LABEL_BYTES - 18].decode("utf-8", "ignore").encode() + b" " + self._me.instance.encode()
        return AsyncServiceInfo(
            SERVICE_TYPE,
            f"{label.decode()}.{SERVICE_TYPE}",
            port=self._port(),
            parsed_addresses=list(addresses),
            server=f"zordon-{self._me.instance}.local.",
            properties={
                "id": self._me.id,
                "name": self._me.name[:100],
                "port": str(self._port()),
                "version": APP_VERSION,
                "api": API_VERSION,
                "farm": farm.id if farm is not None else "",
                "instance": self._me.instance,
                "scheme": "https" if self._me.fingerprint else "http",
                "at": self._settings.public_address or "",
            },
        )

    def _interfaces(self) -> list[str | int | tuple[tuple[str, int, int], int]] | InterfaceChoice:
        return list(self._settings.discovery_interfaces) or InterfaceChoice.All

    def _ip_version(self) -> IPVersion | None:
        if self._settings.discovery_interfaces:
            return None  # as the addresses are
        return IPVersion.All if ":" in self._settings.bind_host else IPVersion.V4Only

    def _own_addresses(self) -> list[str]:
        """Addresses at which others reach this node. For a thread."""
        settings = self._settings
        if settings.discovery_interfaces:
            return sorted(settings.discovery_interfaces)
        bound = ipaddress.ip_address(settings.bind_host) if _is_address(settings.bind_host) else None
        if bound is None or not bound.is_unspecified:
            return [settings.bind_host] if bound is not None else []
        families = {socket.AF_INET, socket.AF_INET6} if bound.version == 6 else {socket.AF_INET}
        up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
        return sorted(
            one.address
            for name, addresses in psutil.net_if_addrs().items()
            for one in addresses
            if name in up and one.family in families and _goes_out(one.address)
        )

    # --- what zeroconf tells (its names) -------------------------------------------------------------------------

    def add_service(self, zeroconf: Zeroconf, type_: str, name: str) -> None:
        """A node is announced."""
        task = asyncio.ensure_future(self._ask(zeroconf, name))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    def update_service(self, zeroconf: Zeroconf, type_: str, name: str) -> None:
        """It announces something else than before."""
        self.add_service(zeroconf, type_, name)

    def remove_service(self, zeroconf: Zeroconf, type_: str, name: str) -> None:
        """It is announced no more. Whether it is there is known better by its beats."""
        found = self._found.pop(name, None)
        if found is not None:
            for address in found.addresses:
                self._peers.discard(address, Origin.FOUND)

    async def _ask(self, zeroconf: Zeroconf, name: str) -> None:
        info = AsyncServiceInfo(SERVICE_TYPE, name)
        if not await info.async_request(zeroconf, _ASK_MILLISECONDS):
            return
        found = read_announcement(info)
        if found is None or f"{found.node_id}/{found.instance}" == self._me.who:
            return
        if name not in self._found and len(self._found) >= _MAX_FOUND:
            log.warning("too many nodes are announced on the network; one was left out", name=found.name)
            return
        before = self._found.get(name)
        self._found[name] = found
        if self._task is None:
            return  # somebody only wants to know
        for address in found.addresses:
            self._peers.add(address, Origin.FOUND, found.name, found.node_id)
        for address in before.addresses if before is not None else ():
            if address not in found.addresses:
                self._peers.discard(address, Origin.FOUND)


def read_announcement(info: AsyncServiceInfo) -> Found | None:
    """What an announcement says; None if it is not one of a node."""
    said = {key: value or "" for key, value in info.decoded_properties.items()}
    node_id, instance = said.get("id", ""), said.get("instance", "")
    if not (0 < len(node_id) <= 64 and len(instance) <= 64) or not info.port:
        return None
    scheme = said.get("scheme", "http")
    if scheme not in ("http", "https"):
        return None
    try:
        if said.get("at"):
            addresses = [parse_address(said["at"])]
        else:
            hosts = info.parsed_scoped_addresses(IPVersion.All)
            addresses = [Address(host, info.port, scheme) for host in hosts]
    except ValueError:
        return None
    name = "".join(char for char in said.get("name", "")[:100] if char.isprintable()) or node_id[:8]
    return Found(node_id, name, said.get("farm", "")[:64], instance, tuple(addresses))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _goes_out(text: str) -> bool:
    """Whether others may reach this address: no loopback, and nothing that needs the name of an interface."""
    if not _is_address(text):
        return False
    address = ipaddress.ip_address(text)
    return not (address.is_loopback or (address.version == 6 and address.is_link_local))
