"""The routes under ``/api/jobs``, and ``/api/add_job``: submit, read, follow, fetch, cancel, delete."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue, TypeAdapter

from .connection import Connection, read
from .download import download
from .errors import NotFound, TransferFailed
from .events import follow_events
from .models import (
    AddJob,
    EditJob,
    Explanation,
    FrameNotation,
    FrameSummary,
    Job,
    JobDelta,
    JobFrames,
    JobList,
    JobStatus,
    OutputEntry,
    SubjobUpdate,
)
from .upload import Progress, Upload
from .upload_calls import UploadCalls

_JOB: Final = TypeAdapter(Job)
_JOBS: Final = TypeAdapter(list[Job])
_EXPLANATION: Final = TypeAdapter(Explanation)
_JOB_LIST: Final = TypeAdapter(JobList)
_DELTA: Final = TypeAdapter(JobDelta)
_FRAMES: Final = TypeAdapter(JobFrames)
_SUMMARY: Final = TypeAdapter(FrameSummary)
_NAMES: Final = TypeAdapter(list[str])
_OUTPUTS: Final = TypeAdapter(list[OutputEntry])
_BODY: Final[TypeAdapter[JsonValue]] = TypeAdapter(JsonValue)

_POLL_TIMEOUT: Final = 90.0
_SUBMIT_TIMEOUT: Final = 600.0
"""An archive is unpacked and its project inspected before the answer comes."""
_FOLLOW_INTERVAL: Final = 0.5


class JobCalls(UploadCalls):
    """The job routes of a node. A job id that the node does not know raises :class:`.errors.JobNotFound`."""

    connection: Connection

    # reading

    async def get_jobs(self) -> JobList:
        """All jobs, and the token of this state."""
        return read(_JOB_LIST, await self.connection.get("/api/jobs"))

    async def get_jobs_delta(self, token: str | None = None) -> JobDelta:
        """What changed since ``token``; everything, marked ``full``, without one or with one that is too old."""
        return read(_DELTA, await self.connection.get("/api/jobs", {"delta": "true", "token": token}))

    async def long_poll(self, token: str | None = None) -> JobList | None:
        """All jobs as soon as they are not those of ``token`` any more; None if nothing changed for a while."""
        response = await self.connection.get("/api/jobs/long_poll", {"token": token}, timeout=_POLL_TIMEOUT)
        return None if response.status_code == 204 else read(_JOB_LIST, response)

    async def long_poll_delta(self, token: str | None = None) -> JobDelta | None:
        """Like :meth:`long_poll`, but only what changed."""
        response = await self.connection.get(
            "/api/jobs/long_poll", {"delta": "true", "token": token}, timeout=_POLL_TIMEOUT
        )
        return None if response.status_code == 204 else read(_DELTA, response)

    def get_events(self, last_event_id: str | None = None) -> AsyncGenerator[JobDelta, None]:
        """Every change of the job list as it happens, without end; reconnects and resumes by itself.

        Args:
            last_event_id: token of the last change seen; None: begin with the full list.
        """
        return follow_events(self.connection, last_event_id)

    async def get_jobs_by_status(self, status: JobStatus | str) -> list[Job]:
        """The jobs in one status.

        Raises:
            BadRequest: there are none, or there is no such status (the reference answers both alike).
        """
        return read(_JOBS, await self.connection.get(f"/api/jobs/status/{quote(str(status), safe='')}"))

    async def get_job(self, job_id: str) -> Job:
        """One job."""
        return read(_JOB, await self.connection.get(_of(job_id)))

    async def explain_job(self, job_id: str) -> Explanation:
        """Why a job is not running or how it failed, and what would help."""
        return read(_EXPLANATION, await self.connection.get(_of(job_id, "explain")))

    async def get_job_frames(self, job_id: str, *, offset: int = 0, limit: int = 1000) -> JobFrames:
        """What has become of the frames of a job, a page at a time.

        Args:
            offset: position of the first frame, in the order of rendering.
            limit: how many frames at most; 10,000 are allowed.
        """
        return read(_FRAMES, await self.connection.get(_of(job_id, "frames"), {"offset": offset, "limit": limit}))

    async def check_frames(self, frames: str) -> FrameSummary:
        """What frames in the field's notation mean.

        Raises:
            BadRequest: they are no frame set; the message says what would be one.
        """
        body = FrameNotation(frames=frames).model_dump()
        return read(_SUMMARY, await self.connection.send("POST", "/api/frames", json=body))

    async def get_job_files(self, job_id: str) -> list[str]:
        """The names of the verified outputs."""
        return read(_NAMES, await self.connection.get(_of(job_id, "files")))

    async def get_job_manifest(self, job_id: str) -> list[OutputEntry]:
        """The verified outputs with their sizes, hashes and frames."""
        return read(_OUTPUTS, await self.connection.get(_of(job_id, "manifest")))

    # logs and previews

    async def get_job_logs(self, job_id: str) -> str:
        """The log as it is now."""
        return (await self.connection.get(_of(job_id, "logs"))).content.decode("utf-8", "replace")

    async def stream_job_logs(self, job_id: str, *, follow: bool = False, offset: int = 0) -> AsyncIterator[bytes]:
        """The log from byte ``offset``; with ``follow``, goes on as it grows until the job has ended."""
        while True:
            # Asked before reading: what a job wrote before it ended is then surely read.
            ended = not follow or (await self.get_job(job_id)).status.ended
            grew = False
            async for piece in self._log_piece(job_id, offset):
                offset += len(piece)
                grew = True
                yield piece
            if ended:
                return
            if not grew:
                await asyncio.sleep(_FOLLOW_INTERVAL)

    async def _log_piece(self, job_id: str, offset: int) -> AsyncIterator[bytes]:
        headers = {"Range": f"bytes={offset}-", "Accept-Encoding": "identity"} if offset else {}
        async with self.connection.stream(
            "GET", _of(job_id, "logs"), headers=headers, accept_statuses=(416,)
        ) as response:
            if response.status_code == 416:
                return
            skip = offset if response.status_code != 206 else 0
            async for piece in response.aiter_bytes():
                if skip < len(piece):
                    yield piece[skip:]
                skip = max(0, skip - len(piece))

    async def get_job_thumbnail(self, job_id: str, *, big: bool = False, video_ok: bool = False) -> tuple[str, bytes]:
        """A preview: its media type (``image/jpeg`` or ``video/mp4``) and its bytes.

        Raises:
            NotFound: there is none yet.
        """
        params = {"size": "big" if big else None, "video_ok": "true" if video_ok else None}
        response = await self.connection.get(_of(job_id, "thumbnail"), params, timeout=60.0)
        return response.headers.get("Content-Type", "").split(";")[0], response.content

    async def get_frame_preview(self, job_id: str, frame: int, size: str = "small") -> tuple[str, bytes]:
        """One verified frame: its media type (``image/jpeg``; of a full one perhaps another) and its bytes.

        Args:
            size: ``small``, ``big`` or ``full``.

        Raises:
            NotFound: the frame is not done.
        """
        path = _of(job_id, f"frames/{frame}/preview")
        response = await self.connection.get(path, {"size": size}, timeout=60.0)
        return response.headers.get("Content-Type", "").split(";")[0], response.content

    # fetching

    async def download_job_file(
        self, job_id: str, filename: str, target: Path, progress: Progress | None = None
    ) -> Path:
        """Fetch one output; goes on where an earlier, broken download ended.

        Args:
            filename: as in :meth:`get_job_files`; case does not matter.
            target: the file to write, or an existing folder to write it into under its own name.
            progress: told the bytes so far and in all.

        Returns:
            The path of the file.

        Raises:
            NotFound: the job has no such output.
            TransferFailed: it did not come whole, or its name is no plain file name.
            OSError: it cannot be written.
        """
        path = await asyncio.to_thread(_place, target, filename)
        return await download(self.connection, _of(job_id, "download"), {"filename": filename}, path, progress)

    async def download_all_job_files(self, job_id: str, target: Path, progress: Progress | None = None) -> Path:
        """Fetch all outputs as one zip.

        Args:
            target: the file to write, or an existing folder to write ``<job_id>.zip`` into.

        Raises:
            NotFound: there are no outputs yet.
            OSError: it cannot be written.
        """
        path = await asyncio.to_thread(_place, target, f"{job_id}.zip")
        return await download(self.connection, _of(job_id, "download_all"), None, path, progress)

    # changing

    async def create_job(
        self,
        jobs: AddJob | Sequence[AddJob] | Mapping[str, JsonValue],
        file: Path | None = None,
        *,
        progress: Progress | None = None,
        idempotency_key: str | None = None,
        resumable: bool = False,
    ) -> list[Job]:
        """Submit one job or several, with the project they share if it is on this machine.

        Safe to send again: every submit carries an ``Idempotency-Key``, and is repeated under it if the connection
        breaks.

        Args:
            file: the project, or a zip of it; streamed, never held in memory.
            progress: told the bytes of the file sent so far and in all.
            idempotency_key: yours, to repeat a submit across processes; None: a new one.
            resumable: send the file in as many requests as it takes, and go on with an earlier upload of it that broke.
                Costs reading the file twice, and one more request.

        Returns:
            The created jobs.

        Raises:
            BadRequest: the job cannot render, or a field is wrong; nothing was created.
            TooLarge: the file is too large for the node.
            OSError: the file cannot be read.
        """
        document = _document(jobs)
        if resumable and file is not None:
            document, file = _with_upload(document, (await self.upload(file, progress)).id), None
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        upload = None
        if file is not None:
            upload = await asyncio.to_thread(Upload, _BODY.dump_json(document), file, progress)
        async for attempt in self.connection.repeating():
            with attempt:
                response = await self.connection.send(
                    "POST",
                    "/api/add_job",
                    json=document if upload is None else None,
                    content=None if upload is None else upload.body(),
                    headers=headers if upload is None else headers | upload.headers,
                    timeout=_SUBMIT_TIMEOUT,
                )
        return read(_JOBS, response)

    async def edit_job(
        self, job_id: str, *, name: str | None = None, priority: int | None = None, notes: str | None = None
    ) -> Job:
        """Change something of a job; what is None stays. Its subjobs get the same priority.

        Raises:
            BadRequest: a value is wrong, or nothing is to be changed.
        """
        body = EditJob(name=name, priority=priority, notes=notes).model_dump(exclude_none=True)
        return read(_JOB, await self.connection.send("PATCH", _of(job_id), json=body))

    async def cancel_job(self, job_id: str, *, confirm: bool = True) -> Job:
        """Stop a job; what is finished stays.

        Raises:
            BadRequest: ``confirm`` is False.
        """
        await self.connection.send("POST", _of(job_id, "cancel"), {"confirm": "true" if confirm else None})
        return await self.get_job(job_id)

    async def retry_job(self, job_id: str) -> Job:
        """Have the frames rendered that are missing or bad, and no others; the job keeps its id and outputs.

        A job that has ended comes back if a frame is missing: its outputs are all read and compared first, which may
        take a while. In one that has not, frames that were given up get new chances.
        """
        return read(_JOB, await self.connection.send("POST", _of(job_id, "retry"), timeout=_SUBMIT_TIMEOUT))

    async def delete_job(self, job_id: str, *, confirm: bool = True) -> None:
        """Stop and delete a job with its uploads, outputs and previews.

        Raises:
            BadRequest: ``confirm`` is False.
        """
        await self.connection.send(
            "POST", _of(job_id, "delete"), {"confirm": "true" if confirm else None}, timeout=_POLL_TIMEOUT
        )

    async def send_subjob_update_notification(self, parent_id: str, subjob: Job | SubjobUpdate) -> None:
        """Tell a parent job that one of its subjobs changed."""
        update = SubjobUpdate.model_validate(subjob.model_dump(include={"id", "status", "reason", "errors"}))
        await self.connection.send("POST", _of(parent_id, "subjob_update"), json=update.model_dump(mode="json"))


def _of(job_id: str, noun: str = "") -> str:
    """Path of a job's route; whatever is in an id stays in its own path segment."""
    segment = quote(job_id, safe="")
    if segment in ("", ".", ".."):
        raise NotFound(f"{job_id!r} is no job id", status=404)
    return f"/api/jobs/{segment}/{noun}" if noun else f"/api/jobs/{segment}"


def _place(target: Path, filename: str) -> Path:
    """Where a download goes. A name that the node sent must not lead out of the folder it is meant for."""
    if not target.is_dir():
        return target
    if filename in ("", ".", "..") or PurePosixPath(filename).name != filename or "\\" in filename or "\0" in filename:
        raise TransferFailed(f"{filename!r} is no plain file name")
    return target / filename


def _document(jobs: AddJob | Sequence[AddJob] | Mapping[str, JsonValue]) -> JsonValue:
    if isinstance(jobs, AddJob):
        one: JsonValue = jobs.model_dump(mode="json", exclude_none=True)
        return one
    if isinstance(jobs, Mapping):
        return dict(jobs)
    return [job.model_dump(mode="json", exclude_none=True) for job in jobs]


def _with_upload(document: JsonValue, upload_id: str) -> JsonValue:
    """The jobs of a request, all with the same upload."""
    if isinstance(document, list):
        return [_with_upload(one, upload_id) for one in document]
    return {**document, "upload": upload_id} if isinstance(document, dict) else document
