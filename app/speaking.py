"""What the service says of itself on stderr: one line an event, for people or as JSON, with nothing secret in it.

No part logs a secret on purpose. This is the net below: what looks like a token, a code or a header that carries one is
left out of every line, whoever wrote it, and control characters with it, which a terminal would obey.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Sequence
from typing import Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

HIDDEN: Final = "[hidden]"
_SECRETS: Final = re.compile(
    r"zordon_[A-Za-z0-9_-]{20,}"  # a token that we made, or a cookie, whose name is shorter
    r"|(?i:(?<=bearer )\S+)"
    r"|(?i:(?<=x-api-token: )\S+)"
    r"|(?i:(?<=cookie: )[^\r\n]+)"
    r"|(?<=[#?&]code=)[A-Za-z0-9_-]+"
)
_CONTROL: Final = {number: f"\\x{number:02x}" for number in (*range(9), *range(11, 32), *range(127, 160))}
_SHORTEST: Final = 8
"""A known secret of fewer characters is part of many a word."""


class Hide:
    """A structlog processor that leaves secrets and control characters out.

    Args:
        known: secrets that do not look like one.
    """

    def __init__(self, known: Callable[[], Sequence[str]] = tuple) -> None:
        self._known = known

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """The event without them."""
        secrets = [secret for secret in self._known() if len(secret) >= _SHORTEST]
        return {name: self._clean(value, secrets) for name, value in event.items()}

    def _clean(self, value: object, secrets: Sequence[str]) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, dict):
            return {str(name): self._clean(inner, secrets) for name, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(inner, secrets) for inner in value]
        text = str(value)
        for secret in secrets:
            text = text.replace(secret, HIDDEN)
        return _SECRETS.sub(HIDDEN, text).translate(_CONTROL)


def configure(
    form: Literal["console", "json"],
    level: str,
    known: Callable[[], Sequence[str]] = tuple,
    stream: TextIO | None = None,
) -> None:
    """Have everything that this process says, libraries included, written to ``stream`` (stderr) in one form.

    Args:
        form: ``console`` or ``json``.
        level: the least important lines that are said; of libraries, warnings at least.
        known: secrets that do not look like one, asked for with every line.
    """
    target = stream or sys.stderr
    last: Processor
    if form == "json":
        last = structlog.processors.JSONRenderer()
    else:
        last = structlog.dev.ConsoleRenderer(colors=target.isatty())
    stamp = "iso" if form == "json" else "%Y-%m-%d %H:%M:%S"
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt=stamp, utc=True),
        structlog.processors.format_exc_info,
        Hide(known),
    ]
    least = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(target)
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared], processors=[remove, last]
        )
    )
    logging.basicConfig(handlers=[handler], level=max(least, logging.WARNING), force=True)
    logging.captureWarnings(True)
