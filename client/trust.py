"""Whose certificate a client believes, when a node speaks HTTPS."""

from __future__ import annotations

import ssl
from pathlib import Path

from .errors import ZordonError


def trusting(ca: Path | None = None) -> ssl.SSLContext:
    """Believe certificates that are signed by one of this file, or by one that the system knows, and made out for the
    name that was called.

    Args:
        ca: PEM file of one or more certificates: a studio's own authority, or a node's own certificate.

    Raises:
        ZordonError: the file cannot be read, or there is no certificate in it.
    """
    context = ssl.create_default_context()
    if ca is not None:
        _add(context, ca)
    return context


def pinned(certificate: Path | bytes) -> ssl.SSLContext:
    """Believe this one certificate and no other, whatever names it is made out for.

    For the service on the same machine, which leaves its certificate in its data folder: it is called by an address
    such as 127.0.0.1, which hardly any certificate has among its names. And for another node of a farm, which has
    proven that this one is its own.

    Args:
        certificate: a PEM file, or the certificate itself (DER).

    Raises:
        ZordonError: the file cannot be read, or there is no certificate in it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # So that a certificate that somebody else has signed is trusted by itself.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    _add(context, certificate)
    return context


def _add(context: ssl.SSLContext, file: Path | bytes) -> None:
    if isinstance(file, bytes):
        try:
            context.load_verify_locations(cadata=file)
        except ssl.SSLError as error:
            raise ZordonError(f"this is no certificate ({error.reason})") from error
        return
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as error:
        raise ZordonError(f"there is no certificate in {file}: a PEM file is wanted ({error.reason})") from error
    except OSError as error:
        raise ZordonError(f"the certificate file {file} cannot be read: {error.strerror}") from error
