"""Everything that crosses the wire, as Pydantic models: one file a noun."""

from .access import AccessKind, Login, LoginCode, MadeToken, NewToken, Role, TokenInfo
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
    Explanation,
    Job,
    JobDelta,
    JobList,
    JobStatus,
    SubjobUpdate,
)
from .nodes import DiskBenchmark, FullStatus, NodeStatus, Readiness, ServerStatus, Snapshot
from .problems import Problem

__all__ = [
    "AccessKind",
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
    "Explanation",
    "FullStatus",
    "Install",
    "InstallState",
    "Job",
    "JobDelta",
    "JobList",
    "JobStatus",
    "Login",
    "LoginCode",
    "MadeToken",
    "MostRecentVersion",
    "NewToken",
    "NodeStatus",
    "Problem",
    "Readiness",
    "Role",
    "ServerStatus",
    "Snapshot",
    "SubjobUpdate",
    "TokenInfo",
    "UnusableEngine",
]
