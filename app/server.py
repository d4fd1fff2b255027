"""Runs the application under uvicorn: how it starts, what it says, how it stops within seconds."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from typing import TYPE_CHECKING

import structlog
import uvicorn

from app.access.certificate import CertificateError, check_certificate
from app.api.names import own_names
from app.api.parts import parts_of
from app.connections import patient_for
from app.node.instance import InstanceError, leave_address, take_address_back
from app.node.platforms import runs_as_root
from app.speaking import configure

if TYPE_CHECKING:
    from types import FrameType

    from app.main import Application

log = structlog.get_logger(__name__)

SWITCH_SECONDS = 0.001
"""How long one thread may keep the interpreter while others wait: the store's thread must get its turn soon."""
COLLECTOR = (50_000, 50, 50)
"""Thresholds of the garbage collector: with Python's own, its full runs are the tail of every latency."""
BACKLOG = 16_384


class Server(uvicorn.Server):
    """uvicorn, which waits for open requests before it ends the lifespan: so those that wait for us are released as
    soon as the signal comes."""

    def __init__(self, config: uvicorn.Config, application: Application, certificate: bytes | None = None) -> None:
        super().__init__(config)
        self._application = application
        self._certificate = certificate

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The signal to stop; the second one does not wait for open requests.

        Not uvicorn's own: that raises the signal once more in the end, so that a clean stop would look like a kill.
        """
        self._application.release()
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell where we listen, once we do."""
        await super().startup(sockets)
        if self.started and not self.should_exit and sockets:
            settings = self._application.settings
            gc.collect()
            gc.freeze()
            await self._leave_address()
            named = settings.lan and settings.name.lower() in own_names(settings)
            host = settings.name if named else "127.0.0.1"
            address = f"{'http' if self._certificate is None else 'https'}://{host}:{self._application.port}"
            log.info(
                "Zordon is ready",
                address=address,
                data=str(settings.data_dir),
                token="as set" if settings.token else str(settings.data_dir / "token"),
            )
            if sys.stderr.isatty():
                # For the person in front of it only: a log is read by others, and the code gives every right.
                code = parts_of(self._application.api).access.browser_code()
                print(f"For a browser, once and within ten minutes: {address}/#code={code}", file=sys.stderr)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Nobody is sent here any more; then uvicorn's own, which lets go of the data folder."""
        try:
            await asyncio.to_thread(take_address_back, self._application.settings.data_dir)
        except OSError as error:
            log.warning("the address in the data folder cannot be removed", reason=str(error))
        await super().shutdown(sockets)

    async def _leave_address(self) -> None:
        settings = self._application.settings
        try:
            await asyncio.to_thread(
                leave_address, settings.data_dir, settings.bind_host, self._application.port, self._certificate
            )
        except InstanceError as error:
            log.warning("commands on this machine must be told the port", reason=str(error))


def run(application: Application) -> None:
    """Run until SIGINT or SIGTERM.

    Raises:
        SystemExit: it could not start; the reason was logged.
    """
    settings = application.settings
    configure(
        settings.log_format,
        settings.log_level,
        lambda: (settings.token or "", settings.farm_secret or "", application.token),
    )
    if settings.engine_user is None and runs_as_root():
        log.warning(
            "the service runs as root, and so will its engines", mend="run it as another user, or set engine_user"
        )
    sys.setswitchinterval(SWITCH_SECONDS)
    _raise_file_limit()
    gc.set_threshold(*COLLECTOR)
    certificate: bytes | None = None
    if settings.tls_cert is not None and settings.tls_key is not None:
        try:
            certificate = check_certificate(settings.tls_cert, settings.tls_key)
        except CertificateError as error:
            log.error("HTTPS cannot be spoken", reason=str(error))
            raise SystemExit(1) from error
    try:
        listener = _listen(settings.bind_host, settings.port)
    except OSError as error:
        log.error("cannot listen", address=f"{settings.bind_host}:{settings.port}", reason=error.strerror)
        raise SystemExit(1) from error
    with listener:
        application.port = listener.getsockname()[1]
        config = uvicorn.Config(
            application,
            http=patient_for(settings.slow_client_seconds),
            loop="asyncio" if sys.platform == "win32" else "uvloop",
            lifespan="on",
            access_log=False,
            log_config=None,
            log_level="warning",
            server_header=False,
            proxy_headers=False,  # who is on this machine is said by the socket, not by a header
            date_header=True,
            timeout_graceful_shutdown=round(settings.shutdown_seconds),
            backlog=BACKLOG,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
        )
        server = Server(config, application, certificate)
        server.run(sockets=[listener])
    if not server.started:
        raise SystemExit(1)
    log.info("Zordon has stopped")


def _raise_file_limit() -> None:
    """As many open files as the system lets us have: every waiting client is one, and many systems begin with 1,024."""
    if sys.platform == "win32":
        return
    import resource  # there is none on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < hard:
        wanted = hard if hard != resource.RLIM_INFINITY else 65_536
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError) as error:
            log.warning("the limit on open files cannot be raised", limit=soft, reason=str(error))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
