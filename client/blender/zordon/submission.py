"""One submit from begin to end in a thread of its own, so that Blender goes on: check, pack, upload.

Blender's side asks :attr:`Submission.state` now and then; the thread itself never touches Blender.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from .connection import Json, Service
from .errors import AddonError, Cancelled
from .packing import Project, pack
from .report import Weight, version_findings
from .upload import Upload


class Step(Enum):
    """Where a submit is."""

    CHECKING = "Checking the service"
    PACKING = "Packing"
    UPLOADING = "Uploading"
    DONE = "Submitted"
    CANCELLED = "Cancelled"
    FAILED = "Failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens."""
        return self in (Step.DONE, Step.CANCELLED, Step.FAILED)


@dataclass(frozen=True)
class State:
    """How far it is.

    Attributes:
        done: bytes of this step so far.
        total: bytes of this step; 0 if that is not known.
        job_id: once it is :attr:`Step.DONE`.
        error: why it failed, a sentence.
        warnings: what the artist should know, a sentence each.
    """

    step: Step = Step.CHECKING
    done: int = 0
    total: int = 0
    job_id: str = ""
    error: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def factor(self) -> float:
        """0 to 1 over the whole submit, of which packing is the first third."""
        share = min(1.0, self.done / self.total) if self.total else 0.0
        begin, length = {Step.PACKING: (0.0, 1 / 3), Step.UPLOADING: (1 / 3, 2 / 3)}.get(self.step, (0.0, 0.0))
        return 1.0 if self.step is Step.DONE else begin + length * share

    @property
    def text(self) -> str:
        """What is being done, for a bar."""
        if self.step is Step.DONE:
            return f"Submitted as job {self.job_id}"
        if self.step is Step.FAILED:
            return self.error
        if self.step not in (Step.PACKING, Step.UPLOADING):
            return str(self.step.value)
        return f"{self.step.value}: {self.done / 1e6:.1f} of {self.total / 1e6:.1f} MB"


def installed(service: Service) -> list[str]:
    """The versions of Blender that a service has.

    Raises:
        AddonError: it cannot be asked.
    """
    told = service.get("/api/engines/blender")
    versions = told.get("versions") if isinstance(told, dict) else None
    if not isinstance(versions, list):
        raise AddonError("the answer of the service is not understood: install the add-on that it offers")
    return [str(one["version"]) for one in versions if isinstance(one, dict) and "version" in one]


class Submission:
    """A submit under way. :meth:`start` begins it; the folder is thrown away when it has ended.

    Args:
        document: what ``add_job`` wants to know.
        saved_by: major and minor version of this Blender.
        folder: its own, with the saved copy in it.
        watch: called with every new state, from the thread that works; None: nobody.
    """

    def __init__(
        self,
        service: Service,
        project: Project,
        document: Mapping[str, Json],
        saved_by: tuple[int, int],
        folder: Path,
        watch: Callable[[State], None] | None = None,
    ) -> None:
        self._service = service
        self._project = project
        self._document = document
        self._saved_by = saved_by
        self._folder = folder
        self._watch = watch
        self._stop = threading.Event()
        self._upload: Upload | None = None
        self._state = State()
        self._thread = threading.Thread(target=self._run, name="zordon-submission", daemon=True)

    @property
    def service(self) -> Service:
        """Where it goes."""
        return self._service

    @property
    def state(self) -> State:
        """How far it is now."""
        return self._state

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Give it up, wherever it is; the state says when it has ended. Of one that has ended nothing is changed."""
        self._stop.set()
        if self._upload is not None:
            self._upload.cancel()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end.

        Returns:
            Whether it has ended.
        """
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self._set(self._state)
        try:
            job_id = self._submit()
        except Cancelled:
            ended = replace(self._state, step=Step.CANCELLED)
        except AddonError as error:
            ended = replace(self._state, step=Step.FAILED, error=str(error))
        except Exception as error:  # noqa: BLE001 - the edge of the thread: whatever it is, the artist has to see it
            ended = replace(self._state, step=Step.FAILED, error=f"the add-on has a fault: {error!r}")
        else:
            ended = replace(self._state, step=Step.DONE, job_id=job_id)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._set(ended)

    def _submit(self) -> str:
        self._service.check()
        found = version_findings(
            self._saved_by, str(self._document.get("engine_version", "")), installed(self._service)
        )
        for finding in found:
            if finding.weight is Weight.ERROR:
                raise AddonError(finding.text)
        archive = self._folder / f"{self._project.path.stem}.zip"
        packed = pack(self._project, archive, lambda done, total: self._at(Step.PACKING, done, total), self._stop)
        missing = [f"missing {one.kind}: {one.path}" for one in packed.missing]
        told = (finding.text for finding in found)
        self._set(replace(self._state, warnings=(*told, *missing, *packed.warnings)))
        self._project.saved.unlink(missing_ok=True)
        self._upload = Upload(
            self._service, self._document, archive, lambda done, total: self._at(Step.UPLOADING, done, total)
        )
        if self._stop.is_set():
            raise Cancelled("the upload was cancelled")
        return self._upload.run()

    def _at(self, step: Step, done: int, total: int) -> None:
        self._set(replace(self._state, step=step, done=done, total=total))

    def _set(self, state: State) -> None:
        self._state = state
        if self._watch is not None:
            self._watch(state)
