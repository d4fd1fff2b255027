"""What can be measured from outside, in the text format of Prometheus.

What happens to jobs is counted when it is committed, by an ear of the job service; everything else is read at the
moment somebody asks. No request of a client is counted one by one: the busiest paths know nothing of this module.
Names and units follow https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import psutil
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app.jobs.events import (
    AttemptEnded,
    AttemptFailed,
    AttemptHeld,
    AttemptReleased,
    AttemptStarted,
    Effect,
    Ended,
    FrameFailed,
    FramesVerified,
    JobEvent,
)
from app.jobs.folders import DataFolder
from app.jobs.record import JobRecord
from app.jobs.service import JobService
from app.node.pulse import Pulse
from app.version import API_VERSION, APP_VERSION
from client.models import JobStatus

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
FRAME_BUCKETS: Final = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
"""Seconds: from a test pattern to a frame of two hours."""
JOB_BUCKETS: Final = (1, 10, 60, 300, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 604_800)
"""Seconds: from a test to a week."""

Counted = Callable[[], Mapping[str, int]]


class JobMetrics:
    """What happened to jobs since the service started. For the event loop's thread."""

    def __init__(self) -> None:
        self._attempts = _counter("zordon_attempts_started", "Attempts that were begun.", "engine")
        self._ended = _counter(
            "zordon_attempts_ended", "Attempts that are over, by how they ended.", "engine", "outcome"
        )
        self._failures = _counter("zordon_attempt_failures", "Attempts that failed, by cause.", "engine", "cause")
        self._frames = _counter("zordon_frames_verified", "Frames that were verified and delivered.", "engine")
        self._bad_frames = _counter("zordon_frame_failures", "Single frames that failed, by cause.", "engine", "cause")
        self._jobs = _counter("zordon_jobs_ended", "Jobs that reached their last state.", "engine", "status")
        self._frame_seconds = Histogram(
            "zordon_frame_seconds", "Time of a frame.", ["engine"], buckets=FRAME_BUCKETS, registry=None
        )
        self._job_seconds = Histogram(
            "zordon_job_seconds",
            "Time of a completed job from its first attempt to its end.",
            ["engine"],
            buckets=JOB_BUCKETS,
            registry=None,
        )
        self.collectors: Sequence[Collector] = (
            self._attempts,
            self._ended,
            self._failures,
            self._frames,
            self._bad_frames,
            self._jobs,
            self._frame_seconds,
            self._job_seconds,
        )

    def on_event(self, record: JobRecord, event: JobEvent) -> None:
        """A change of a job was committed."""
        engine = record.spec.engine
        match event:
            case FramesVerified():
                self._frames.labels(engine).inc(len(event.positions))
                if event.seconds is not None:
                    self._frame_seconds.labels(engine).observe(event.seconds)
            case AttemptStarted():
                self._attempts.labels(engine).inc()
            case AttemptEnded():
                self._ended.labels(engine, "succeeded").inc()
                if event.verified is not None:
                    self.on_event(record, event.verified)
                if event.then is not None:
                    self.on_event(record, event.then)
            case AttemptFailed():
                self._ended.labels(engine, "failed").inc()
                self._failures.labels(engine, event.cause.value).inc()
            case AttemptReleased():
                self._ended.labels(engine, "released").inc()
            case AttemptHeld():
                self._ended.labels(engine, "held").inc()
            case FrameFailed():
                self._bad_frames.labels(engine, event.cause.value).inc()

    def on_effect(self, record: JobRecord, effect: Effect) -> None:
        """What must be done because of a change; of interest is the end of a job."""
        if isinstance(effect, Ended):
            engine, state = record.spec.engine, record.state
            self._jobs.labels(engine, effect.status.value).inc()
            if effect.status is JobStatus.COMPLETED and state.started is not None and state.ended is not None:
                self._job_seconds.labels(engine).observe(max(0.0, state.ended - state.started))


@dataclass(frozen=True, slots=True)
class _Load:
    """What is waiting and under way, by engine."""

    jobs: Mapping[tuple[str, str], int]  # by engine and status
    frames: Mapping[str, int]


class NodeMetrics:
    """All that ``GET /metrics`` tells.

    Args:
        sessions: engine processes that are open, by engine.
        installs: engine versions on their way and come lately, by state.
    """

    def __init__(
        self, jobs: JobService, folders: DataFolder, pulse: Pulse, *, sessions: Counted, installs: Counted
    ) -> None:
        self.happened = JobMetrics()
        self._jobs = jobs
        self._folders = folders
        self._pulse = pulse
        self._sessions = sessions
        self._installs = installs
        self._process = psutil.Process()
        jobs.on_event(self.happened.on_event)
        jobs.on_effect(self.happened.on_effect)

    async def text(self, waiters: Mapping[str, int], nodes: Mapping[str, int]) -> bytes:
        """Everything at this moment.

        Args:
            waiters: clients that wait for a change, by how they do.
            nodes: those of the farm, this one included, by state.
        """
        # Taken here, on the loop, and written out in a thread: the records are immutable.
        records, counts = self._jobs.live_records(), self._jobs.counts()
        sessions, installs = dict(self._sessions()), dict(self._installs())
        waiting, farm = dict(waiters), dict(nodes)

        def write() -> bytes:
            families = [
                *_of_jobs(_load_of(records), counts),
                _gauge("zordon_sessions", "Engine processes that are open.", "engine", sessions),
                _gauge("zordon_installs", "Engine versions on their way or come lately.", "state", installs),
                _gauge("zordon_waiters", "Clients that wait for a change.", "kind", waiting),
                _gauge("zordon_nodes", "Nodes of the farm that are known, this one included.", "state", farm),
                *self._of_disk(),
                *_of_process(self._process),
            ]
            registry = CollectorRegistry(auto_describe=False)
            for collector in (*self.happened.collectors, self._pulse.lag, _Families(families)):
                registry.register(collector)
            return generate_latest(registry)

        return await asyncio.to_thread(write)

    def _of_disk(self) -> Iterable[Metric]:
        disk = shutil.disk_usage(self._folders.root)
        yield GaugeMetricFamily("zordon_disk_free_bytes", "Free space on the data folder's disk.", value=disk.free)
        yield GaugeMetricFamily("zordon_disk_size_bytes", "Size of the data folder's disk.", value=disk.total)


class _Families(Collector):
    """Families that are there already."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families

    def describe(self) -> Iterable[Metric]:
        return ()


def _load_of(records: Sequence[JobRecord]) -> _Load:
    jobs: Tally[tuple[str, str]] = Tally()
    frames: Tally[str] = Tally()
    for record in records:
        spec, state = record.spec, record.state
        jobs[spec.engine, state.status.value] += 1
        if not spec.children and not record.ended:
            frames[spec.engine] += len(spec.frames) - len(state.done) - len(state.failed)
    return _Load(jobs, frames)


def _of_jobs(load: _Load, counts: Mapping[str, int]) -> Iterable[Metric]:
    queue = GaugeMetricFamily(
        "zordon_queue_jobs", "Jobs that have not ended, by engine and status.", labels=["engine", "status"]
    )
    for (engine, status), count in sorted(load.jobs.items()):
        queue.add_metric([engine, status], count)
    yield queue
    yield _gauge(
        "zordon_queue_frames", "Frames that are not yet there, of jobs that have not ended.", "engine", load.frames
    )
    yield _gauge("zordon_jobs", "Jobs that the node keeps, ended ones included.", "status", counts)
    version = GaugeMetricFamily("zordon_info", "Always 1; what runs here.", labels=["version", "api_version"])
    version.add_metric([APP_VERSION, API_VERSION], 1)
    yield version


def _of_process(process: psutil.Process) -> Iterable[Metric]:
    """The service itself, under the names that every Prometheus client uses."""
    with process.oneshot():
        times, memory = process.cpu_times(), process.memory_info()
        threads, started = process.num_threads(), process.create_time()
    yield CounterMetricFamily("process_cpu_seconds", "Processor time.", value=times.user + times.system)
    yield GaugeMetricFamily("process_resident_memory_bytes", "Memory that is in use.", value=memory.rss)
    yield GaugeMetricFamily("process_virtual_memory_bytes", "Memory that is reserved.", value=memory.vms)
    yield GaugeMetricFamily("process_threads", "Threads.", value=threads)
    yield GaugeMetricFamily("process_start_time_seconds", "When it started, in seconds since 1970.", value=started)
    if sys.platform == "win32":
        yield GaugeMetricFamily("process_open_fds", "Open handles.", value=process.num_handles())
    else:
        import resource  # there is none on Windows

        yield GaugeMetricFamily("process_open_fds", "Open file descriptors.", value=process.num_fds())
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        yield GaugeMetricFamily("process_max_fds", "The most there may be of them.", value=most)


def _counter(name: str, told: str, *labels: str) -> Counter:
    return Counter(name, told, labels, registry=None)


def _gauge(name: str, told: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, told, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family
