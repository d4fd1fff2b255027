"""One engine version on its way to this node: where it stands, how fast it comes, how long it still takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.installs.source import Phase
from client.models import Install, InstallState

SPEED_SECONDS = 10.0
"""The speed is that of so many seconds before now."""

_STATES = {phase: InstallState(phase.value) for phase in Phase}
_DOING = {
    Phase.WAITING: "waits for its turn",
    Phase.DOWNLOADING: "is being downloaded",
    Phase.VERIFYING: "its checksum is being verified",
    Phase.UNPACKING: "is being unpacked",
    Phase.PROVING: "is being started for the first time, and renders a tiny picture",
}


@dataclass(slots=True)
class Installing:
    """See the module. Changed on the event loop only."""

    id: str
    engine: str
    version: str
    system_os: str
    cpu: str
    created: float  # seconds since 1970
    state: InstallState = InstallState.WAITING
    reason: str = _DOING[Phase.WAITING]
    source: str = ""
    done: int = 0  # bytes of the present step
    total: int | None = None
    ended: float | None = None
    _marks: deque[tuple[float, int]] = field(default_factory=deque)  # (monotonic seconds, bytes), oldest first

    def begin(self, source: str) -> None:
        """A source is asked for it now."""
        self.source = source
        self.step(Phase.DOWNLOADING, 0, None)

    def step(self, phase: Phase, done: int, total: int | None) -> None:
        """It is so far with a step (bytes)."""
        now = time.monotonic()
        if _STATES[phase] is not self.state:
            self._marks.clear()
        self.state, self.done, self.total = _STATES[phase], done, total
        self.reason = f"{_DOING[phase]} ({self.source})" if phase is Phase.DOWNLOADING else _DOING[phase]
        self._marks.append((now, done))
        while len(self._marks) > 2 and now - self._marks[0][0] > SPEED_SECONDS:
            self._marks.popleft()

    def end(self, state: InstallState, reason: str) -> None:
        """Nothing more happens to it."""
        self.state, self.reason, self.ended = state, reason, time.time()
        self._marks.clear()

    @property
    def speed(self) -> float | None:
        """Bytes per second, None where nothing has moved lately."""
        if len(self._marks) < 2:
            return None
        (begun, before), (now, done) = self._marks[0], self._marks[-1]
        return (done - before) / (now - begun) if now > begun and done > before else None

    def wire(self, jobs: Sequence[str]) -> Install:
        """As the API answers it; ``jobs`` wait for it."""
        speed = self.speed
        left = self.total - self.done if self.total is not None else None
        return Install(
            id=self.id,
            engine=self.engine,
            version=self.version,
            system_os=self.system_os,
            cpu=self.cpu,
            state=self.state,
            reason=self.reason,
            source=self.source,
            bytes_done=self.done,
            bytes_total=self.total,
            percent_complete=round(min(100.0, 100.0 * self.done / self.total), 2) if self.total else None,
            bytes_per_second=None if speed is None else round(speed, 1),
            eta_seconds=round(left / speed, 1) if speed is not None and left is not None and left >= 0 else None,
            jobs=list(jobs),
            date_created=datetime.fromtimestamp(self.created, UTC),
            end_time=None if self.ended is None else datetime.fromtimestamp(self.ended, UTC),
        )

    def story(self, title: str) -> str:
        """What a job that waits for it says, as a sentence."""
        text = f"waits for {title} {self.version}, which {self.reason}"
        if self.total:
            text += f": {self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB"
            if (speed := self.speed) is not None:
                text += f", {max(0.0, self.total - self.done) / speed:.0f} s left"
        return text
