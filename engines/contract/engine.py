"""The interface that every engine implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import JsonValue

from engines.contract.choices import Fetchable, VersionChoice, VersionWish
from engines.contract.copies import EngineCandidate, EngineVersion
from engines.contract.events import EngineEvent, EngineFailed
from engines.contract.packing import Packing, pack_as_it_is
from engines.contract.projects import EngineOptions, Plan, PlanRequest, ProjectInfo
from engines.contract.running import Chunk, Command, ExpectedOutput, Proof, SessionRequest
from engines.forms import form_schema


class Engine(ABC):
    """One kind of render engine. Instances hold no state of any job and may be used from several threads."""

    name: ClassVar[str]
    """The word in ``renderer`` and in every route: lower case, no spaces."""
    title: ClassVar[str]
    """How a person writes it."""
    extensions: ClassVar[tuple[str, ...]]
    """File-name extensions of projects it opens, lower case with the dot, best first."""
    output_formats: ClassVar[tuple[str, ...]]
    options_model: ClassVar[type[EngineOptions]]
    needs_project: ClassVar[bool] = True
    default_slots: ClassVar[int] = 1
    """How many sessions of it one machine runs at a time unless the settings say otherwise."""
    takes_addons: ClassVar[bool] = False
    """Whether its sessions use ``addons`` and ``startup_scripts``; if not, settings that name some are refused."""

    # installed copies

    @abstractmethod
    def find_candidates(self, managed: Path) -> Sequence[EngineCandidate]:
        """Where copies may be: PATH, the usual places of this system, the folder ``managed`` (one folder a version).

        Looks at the file system only. Called in a thread.
        """

    @abstractmethod
    def version_argv(self, candidate: EngineCandidate) -> tuple[str, ...]:
        """The command that makes the copy print its version; run only where ``candidate.version`` is None."""

    @abstractmethod
    def parse_version(self, printed: str) -> str | None:
        """The version in what :meth:`version_argv` printed; None if it is not this engine."""

    @abstractmethod
    def help_argv(self, version: EngineVersion) -> tuple[str, ...]:
        """The command that makes the copy print its own help; ``()`` if it has none."""

    # projects

    def opens(self, filename: str) -> bool:
        """Whether a project of this name is for this engine."""
        return filename.lower().endswith(self.extensions) if self.extensions else False

    @abstractmethod
    def inspect(self, project: Path) -> ProjectInfo:
        """What is in the project. May take a second; called in a worker process of the service.

        Raises:
            Refusal: it is no project of this engine, is damaged, or can never render.
        """

    def pack(self, project: Path, root: Path | None, work: Path, around: Path | None = None) -> Packing:
        """Everything that the project needs to be rendered on another machine, where :meth:`inspect` must then find the
        same. What is missing is a warning. May take seconds; called in a worker process of the service.

        Args:
            project: what the engine opens.
            root: the folder that was uploaded with it, all of which belongs to it; None: the project is read in place,
                and only what it needs goes with it.
            work: an empty folder for files that have to be other ones there, such as those with paths in them.
            around: of a project that is read in place: a folder above it in which its files may keep their places.

        Raises:
            Refusal: it cannot be carried.
            OSError: something cannot be read or written.
        """
        return pack_as_it_is(project, root)

    @abstractmethod
    def plan(self, request: PlanRequest) -> Plan:
        """Settle frames, options and outputs. Pure and quick.

        Raises:
            Refusal: it cannot render, and which field says so.
        """

    @abstractmethod
    def choose(
        self, wish: VersionWish, installed: Sequence[EngineVersion], fetchable: Fetchable | None
    ) -> VersionChoice:
        """Settle which version renders a job. Pure and quick; :mod:`engines.choosing` does it for most engines.

        Args:
            wish: what the job needs.
            installed: the copies on this machine, newest first.
            fetchable: what could be fetched; None: nobody has been asked yet. Then nothing is refused or fetched that
                the answer could change.

        Raises:
            Refusal: no version that there is or could be had would do.
        """

    # running

    @abstractmethod
    def command(self, session: SessionRequest, chunk: Chunk) -> Command:
        """The process that renders. ``session.folder`` exists; the engine may name files in it but not write them.

        ``chunk`` is the first one the process will have; an engine whose process takes chunks ignores it here and is
        asked for :meth:`feed`, any other puts it into the command.
        """

    def feed(self, chunk: Chunk) -> bytes:
        """The line, newline included, that gives a chunk to a process that takes them."""
        raise TypeError(f"{self.name} takes no chunks on stdin")

    def finish(self) -> bytes:
        """The line that asks such a process to end by itself."""
        raise TypeError(f"{self.name} takes no chunks on stdin")

    @abstractmethod
    def expected(self, session: SessionRequest, chunk: Chunk) -> Sequence[ExpectedOutput]:
        """The files that the chunk must leave. May be empty only for engines that make no files."""

    # what is rendered in parts

    def bad_parts(self, session: SessionRequest, parts: Path) -> Sequence[int]:
        """When all parts of a job are in the folder ``parts``: the first frames of those that do not go with the others
        and must be rendered again. Reads files; called in a thread."""
        return ()

    def assembly(self, session: SessionRequest, chunk: Chunk, parts: Path) -> Command:
        """The process that puts the parts together, from the folder ``parts`` into that of the chunk, which has all
        frames. It takes no chunks on stdin."""
        raise TypeError(f"{self.name} renders nothing in parts")

    def assembled(self, session: SessionRequest, chunk: Chunk) -> Sequence[ExpectedOutput]:
        """The files that :meth:`assembly` must leave."""
        raise TypeError(f"{self.name} renders nothing in parts")

    @abstractmethod
    def parse(self, line: str) -> Sequence[EngineEvent]:
        """What one line of the event stream says. Never raises: a line it does not know is ``()``."""

    def explain_exit(self, code: int, tail: Sequence[str]) -> EngineFailed | None:
        """What an exit code (negative: signal) and the last log lines mean; None: nothing beyond the plain fact."""
        return None

    # forms and facts

    def proof(self, version: EngineVersion, folder: Path) -> Proof | None:
        """A render of a second or two into ``folder``, which exists; None if there is nothing to prove."""
        return None

    def options_schema(
        self, version: str | None = None, facts: Mapping[str, JsonValue] | None = None
    ) -> dict[str, JsonValue]:
        """The JSON Schema of the typed options, for a form: see :mod:`engines.forms`. Pure and quick.

        Args:
            version: what this version does not have is left out (the real one, see :attr:`EngineVersion.number`).
                None: everything that a job may say, whichever version renders it.
            facts: what :meth:`parse_info` said of the copy; what that build lacks is left out as well.
        """
        return form_schema(self.options_model)

    def info_commands(self, version: EngineVersion) -> Sequence[tuple[str, ...]]:
        """The commands that print what :meth:`parse_info` reads (devices, encoders); none if there is nothing."""
        return ()

    def parse_info(self, printed: str) -> Mapping[str, JsonValue]:
        """System info of a copy, as JSON, from what the commands printed, one after the other."""
        return {}

    def colour_config(self, version: EngineVersion) -> Path | None:
        """The copy's OpenColorIO config, for previews of linear pictures; None if it has none."""
        return None
