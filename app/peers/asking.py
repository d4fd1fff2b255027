"""Asking a node that has not proven anything yet: nothing secret is sent, and nothing that it answers is believed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx
from pydantic import JsonValue

from app.peers.client import certificate_at
from client.addresses import Address
from client.connection import Connection
from client.errors import ConnectionFailed, ProtocolError


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer, and how it was had.

    Attributes:
        scheme: http or https.
        certificate: what was shown (DER), whoever has signed it; None: it is not https.
    """

    scheme: str
    certificate: bytes | None
    response: httpx.Response


async def ask(address: Address, path: str, json: JsonValue, timeout: float) -> Asked:
    """Post something to whoever is at an address, with the scheme of the address, or with both until one is spoken.

    Args:
        timeout: seconds, for each step.

    Raises:
        ZordonError: nobody answers, or with an error.
    """
    failure: ConnectionFailed | None = None
    for scheme in ("http", "https") if address.scheme is None else (address.scheme,):
        try:
            certificate = await certificate_at(address, timeout) if scheme == "https" else None
            # Making a context for TLS reads the system's certificates.
            connection = await asyncio.to_thread(
                Connection,
                address.host,
                address.port,
                scheme=scheme,
                certificate=certificate,
                timeout=timeout,
                retries=1,
            )
            try:
                return Asked(scheme, certificate, await connection.send("POST", path, json=json))
            finally:
                await connection.aclose()
        except ConnectionFailed as error:
            failure = failure or error
    raise failure if failure is not None else ProtocolError(f"{address} cannot be asked")
