"""The certificate and key for HTTPS: looked at before anything listens, so that what is wrong is told in a sentence."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

_BLOCK: Final = re.compile(rb"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----", re.DOTALL)


class CertificateError(Exception):
    """HTTPS cannot be spoken with these files; the message says which is wrong, and how."""


def check_certificate(certificate: Path, key: Path) -> bytes:
    """See that certificate and key can be used. Returns the node's own certificate, as PEM, without whoever signed it.

    Raises:
        CertificateError: a file is missing, cannot be read or is something else, or the two do not belong together.
    """
    text = _read(certificate, "tls_cert")
    _read(key, "tls_key")
    own = _BLOCK.search(text)
    if own is None:
        raise CertificateError(f"tls_cert: there is no certificate in {certificate}; a PEM file is wanted")
    locked = False

    def passphrase() -> str:
        nonlocal locked
        locked = True
        return ""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, passphrase)
    except (ssl.SSLError, ValueError) as error:
        if locked:
            raise CertificateError(
                f"tls_key: {key} is locked with a passphrase, which nobody can type at every start; "
                "`openssl pkey -in <locked> -out <key>` writes one without"
            ) from error
        reason = error.reason if isinstance(error, ssl.SSLError) else str(error)
        if reason == "KEY_VALUES_MISMATCH":
            raise CertificateError(
                f"tls_key: {key} is not the key of the certificate {certificate}; they must have been made together"
            ) from error
        raise CertificateError(
            f"tls_cert, tls_key: {certificate} and {key} cannot be used: a certificate and a private key as PEM files "
            f"are wanted ({reason})"
        ) from error
    if os.name == "posix" and key.stat().st_mode & 0o077:
        log.warning("other users of this machine may read the private key", file=str(key), mend=f"chmod 600 {key}")
    return own[0] + b"\n"


def fingerprint_of(certificate: Path) -> str:
    """SHA-256 of the node's own certificate in a file, in hexadecimal; empty if there is none in it."""
    own = _BLOCK.search(_read(certificate, "tls_cert"))
    if own is None:
        return ""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(own[0].decode("ascii"))).hexdigest()


def _read(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CertificateError(f"{setting}: there is no file {path}") from error
    except OSError as error:
        raise CertificateError(f"{setting}: {path} cannot be read: {error.strerror}") from error
