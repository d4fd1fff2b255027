"""Everything that crosses the wire, as Pydantic models: one file a noun."""

from .engines import (
    EngineArgs,
    EngineAvailability,
    EngineDetail,
    EngineDownloadAvailable,
    EngineKey,
    EngineVersionInfo,
    MostRecentVersion,
    UnusableEngine,
)
from .installs import EnginePruned, EngineRelease, EngineReleases, Install, InstallState
from .jobs import (
    AddJob,
    ChildJob,
    Job,
    JobDelta,
    JobList,
    JobStatus,
    SubjobUpdate,
)
from .nodes import DiskBenchmark, FullStatus, NodeStatus, ServerStatus, Snapshot
from .problems import Problem

__all__ = [
    "AddJob",
    "ChildJob",
    "DiskBenchmark",
    "EngineArgs",
    "EngineAvailability",
    "EngineDetail",
    "EngineDownloadAvailable",
    "EngineKey",
    "EnginePruned",
    "EngineRelease",
    "EngineReleases",
    "EngineVersionInfo",
    "FullStatus",
    "Install",
    "InstallState",
    "Job",
    "JobDelta",
    "JobList",
    "JobStatus",
    "MostRecentVersion",
    "NodeStatus",
    "Problem",
    "ServerStatus",
    "Snapshot",
    "SubjobUpdate",
    "UnusableEngine",
]
