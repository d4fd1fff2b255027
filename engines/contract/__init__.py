"""The few types an engine implements.

An engine turns a request into data (argv, environment, working folder, expected outputs) and turns output lines into
events. It never starts a process, never touches the store, never waits: the service's ``render`` room does that. The
built-in engines and those of other packages implement the same :class:`Engine` and are found the same way
(entry-point group ``zordon.engines``).

How a job meets its engine::

    find_candidates/version_argv/parse_version   what copies of the engine are there (the service runs the argv)
    inspect(project)                             what is in the project, in a worker process of the service
    pack(project, root, work)                    all that it needs, to be carried to another machine; in a worker too
    plan(request)                                which frames and outputs that makes; refuses what cannot render
    choose(wish, installed, fetchable)           which version renders it, or which one has to be fetched first
    command(session, chunk)                      one process, a session with the project open
    feed(chunk) / finish()                       the line that gives it a chunk; the line that ends it
    parse(line)                                  one line of the engine's event stream -> events
    expected(session, chunk)                     the files the chunk must leave in its folder, and how to check them
"""

from engines.contract.choices import Fetchable, FoundVersion, MissingVersion, VersionChoice, VersionWish
from engines.contract.copies import EngineCandidate, EngineVersion, InstallKind
from engines.contract.engine import Engine
from engines.contract.events import (
    ChunkDone,
    EngineEvent,
    EngineFailed,
    EngineWarning,
    FailureCause,
    FrameWritten,
    Progress,
    Ready,
)
from engines.contract.packing import PackedFile, Packing, files_below, pack_as_it_is
from engines.contract.projects import EngineOptions, Plan, PlanRequest, ProjectInfo, Refusal
from engines.contract.running import (
    Chunk,
    Command,
    ExpectedOutput,
    FileCheck,
    OutputCheck,
    PictureCheck,
    Proof,
    SessionRequest,
    VideoCheck,
)

__all__ = [
    "Chunk",
    "ChunkDone",
    "Command",
    "Engine",
    "EngineCandidate",
    "EngineEvent",
    "EngineFailed",
    "EngineOptions",
    "EngineVersion",
    "EngineWarning",
    "ExpectedOutput",
    "FailureCause",
    "Fetchable",
    "FileCheck",
    "FoundVersion",
    "FrameWritten",
    "InstallKind",
    "MissingVersion",
    "OutputCheck",
    "PackedFile",
    "Packing",
    "PictureCheck",
    "Plan",
    "PlanRequest",
    "Progress",
    "ProjectInfo",
    "Proof",
    "Ready",
    "Refusal",
    "SessionRequest",
    "VersionChoice",
    "VersionWish",
    "VideoCheck",
    "files_below",
    "pack_as_it_is",
]
