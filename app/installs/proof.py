"""A fresh copy is started before it counts as installed: it must say its version, and render something tiny."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from app.installs.source import SourceError
from app.node.platforms import cpu_name, system_os
from app.outputs.verification import VerificationError, verify
from app.outputs.workers import Workers
from app.render.confinement import Confinement
from app.render.probe import ProbeError, ask
from engines.contract import Engine, EngineCandidate, EngineVersion, Refusal

VERSION_SECONDS = 60.0
RENDER_SECONDS = 180.0
_MOST_LINES = 4

Prove = Callable[[Engine, Path, str], Awaitable[EngineVersion]]
"""Shows that the copy in a folder works and is the version that it should be; raises SourceError if not."""


class Prover:
    """Proves copies on this machine. One for the whole service."""

    def __init__(self, workers: Workers, confinement: Confinement) -> None:
        self._workers = workers
        self._confinement = confinement

    async def prove(self, engine: Engine, folder: Path, version: str) -> EngineVersion:
        """Start a copy.

        Args:
            engine: whose copy it is.
            folder: what holds it, as it will lie among the managed versions: ``<version>/…`` is in it.
            version: what it should be.

        Returns:
            The copy, with the version that it said itself.

        Raises:
            SourceError: there is no such engine in it, it does not start or render here, or is another version.
        """
        candidates = await asyncio.to_thread(engine.find_candidates, folder)
        inside = [one for one in candidates if one.path.is_relative_to(folder)]
        if not inside:
            raise SourceError(f"there is no {engine.title} in what was fetched")
        candidate = inside[0]
        scratch = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=".proof-", dir=folder))
        try:
            await asyncio.to_thread(self._confinement.lend_copy, folder, scratch)
            said = await self._version_of(engine, candidate)
            if said != version and not said.startswith(version + "."):
                raise SourceError(f"it should be {engine.title} {version} and says that it is {said}")
            copy = EngineVersion(
                engine.name, said, candidate.path, candidate.kind, system_os(), cpu_name(), candidate.flavour
            )
            await self._render(engine, copy, scratch)
        except (ProbeError, Refusal) as error:
            raise SourceError(f"it does not work on this machine: {error}") from error
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
        return copy

    async def _version_of(self, engine: Engine, candidate: EngineCandidate) -> str:
        code, printed = await ask(
            engine.version_argv(candidate), seconds=VERSION_SECONDS, run_as=self._confinement.run_as
        )
        said = engine.parse_version(printed)
        if code != 0 or said is None:
            raise SourceError(f"it does not start on this machine (exit code {code}): {_end_of(printed)}")
        return said

    async def _render(self, engine: Engine, copy: EngineVersion, scratch: Path) -> None:
        proof = engine.proof(copy, scratch)
        if proof is None:
            return
        run_as = self._confinement.run_as
        code, printed = await ask(proof.argv, seconds=RENDER_SECONDS, scratch=scratch, run_as=run_as)
        try:
            await self._workers.run(verify, scratch, proof.expected)
        except VerificationError as error:
            raise SourceError(
                f"it starts, but does not render on this machine ({error}; exit code {code}): {_end_of(printed)}"
            ) from error


def _end_of(printed: str) -> str:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return " / ".join(lines[-_MOST_LINES:])[:600] or "it printed nothing"
