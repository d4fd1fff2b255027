"""``/api/jobs/{job_id}/…``: what came out of a job: files, the zip of them, previews, the log."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.api.answers import Handover
from app.api.errors import ApiError
from app.api.logs import LogAnswer
from app.api.openapi import NO_JOB, Responses, binary, failures, text
from app.api.parts import Parts, PartsOf
from app.jobs.service import JobNotFound
from app.jobs.subjobs import ambiguous, subjobs_of
from app.outputs.collection import Output, Share, collect, find_output, outputs_in
from app.outputs.manifest import Manifest
from app.outputs.sending import FileAnswer, ZipAnswer
from client.models import OutputEntry

router = APIRouter(prefix="/api/jobs/{job_id}", tags=["outputs"])

MAX_NAME = 255
"""Bytes of the longest name that a file can have."""

_PARTIAL: Responses = {
    206: {
        "description": "The part that Range asked for.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
    416: {"description": "The range begins behind the end of the file."},
}


@router.get(
    "/logs",
    operation_id="get_job_logs",
    summary="The log",
    response_class=Response,
    responses={**text("The log."), 416: {"description": "Nothing is there yet behind the offset."}}
    | failures(s400=NO_JOB),
)
async def get_job_logs(
    request: Request,
    parts: PartsOf,
    job_id: str,
    offset: Annotated[int, Query(ge=0, description="Byte to begin with; Range does the same.")] = 0,
    follow: Annotated[bool, Query(description="Go on as the log grows, until the job has ended.")] = False,
) -> Response:
    """What was printed so far, the command lines first; empty if nothing was."""
    _known(parts, job_id)
    return Handover(LogAnswer(parts, job_id, offset, follow))


@router.get(
    "/files",
    operation_id="get_job_files",
    summary="Names of the outputs",
    responses=failures(s400=NO_JOB),
)
async def get_job_files(parts: PartsOf, job_id: str) -> list[str]:
    """The verified outputs, sorted as a person does. A job with subjobs has those of all its subjobs; where two of them
    may have a file of one name, the subjob's number is behind the stem: `shot_0001 (2).png`."""
    return [output.name for output in await _outputs(parts, job_id)]


@router.get(
    "/manifest",
    operation_id="get_job_manifest",
    summary="The outputs, with what is known of them",
    responses=failures(s400=NO_JOB),
)
async def get_job_manifest(parts: PartsOf, job_id: str) -> list[OutputEntry]:
    """The verified outputs as in the file list, each with its size, its SHA-256 and its frame."""
    outputs = await _outputs(parts, job_id)
    return [
        OutputEntry(
            name=one.name,
            size=one.entry.size,
            sha256=one.entry.sha256,
            frame=one.entry.frame,
            width=one.entry.width,
            height=one.entry.height,
            seconds=one.entry.seconds,
        )
        for one in outputs
    ]


@router.get(
    "/download",
    operation_id="download_job_file",
    summary="One output",
    response_class=Response,
    responses={
        **binary("The file.", "application/octet-stream"),
        **_PARTIAL,
        **failures(s400="The file name is missing or cannot be one, or there is no such job.", s404="No such output."),
    },
)
async def download_job_file(
    parts: PartsOf,
    job_id: str,
    filename: Annotated[str, Query(description="A name from the file list; upper and lower case are the same.")],
) -> Response:
    """One output as an attachment; takes Range, If-Range and If-None-Match."""
    # Only ever looked up in the manifest, so nothing bad can come of a bad name; but it deserves its own sentence.
    if not filename or len(filename.encode("utf-8", "surrogatepass")) > MAX_NAME:
        raise ApiError(400, f"filename must have 1 to {MAX_NAME} bytes", field="filename")
    if filename in (".", "..") or any(letter in "/\\" or ord(letter) < 32 for letter in filename):
        raise ApiError(
            400, f"{filename[:100]!r} is no plain file name; the job's file list has the names", field="filename"
        )
    output = await _output(parts, job_id, filename)
    if output is None:
        raise ApiError(404, f"the job has no output {filename[:100]!r}; its file list has the names", field="filename")
    return Handover(FileAnswer(output.folder, output.entry, name=output.name))


@router.get(
    "/download_all",
    operation_id="download_all_job_files",
    summary="All outputs as a zip",
    response_class=Response,
    responses={
        **binary("The zip.", "application/zip"),
        **failures(s400=NO_JOB, s404="The job has no outputs yet."),
    },
)
async def download_all_job_files(parts: PartsOf, job_id: str) -> Response:
    """All verified outputs, streamed as a zip of stored files whose length is known beforehand."""
    outputs = await _outputs(parts, job_id)
    if not outputs:
        raise ApiError(404, "the job has no outputs yet")
    record = await parts.jobs.record(job_id)
    return Handover(ZipAnswer(outputs, record.spec.name))


async def _outputs(parts: Parts, job_id: str) -> list[Output]:
    """The outputs of a job, or of its subjobs: a parent renders nothing itself.

    Raises:
        JobNotFound: there is no such job.
    """
    manifest = await _manifest(parts, job_id)
    if len(manifest):
        return outputs_in(manifest.entries(), parts.folders.output(job_id))
    children = await subjobs_of(parts.jobs, await parts.jobs.record(job_id))
    if not children:
        return []
    manifests = {number: await _manifest(parts, child.id) for number, child in children.items()}

    def collected() -> list[Output]:
        marked = ambiguous([child.spec for child in children.values()])
        return collect(
            [
                Share(manifests[number], parts.folders.output(child.id), number, child.id in marked)
                for number, child in children.items()
            ]
        )

    return await asyncio.to_thread(collected)


async def _output(parts: Parts, job_id: str, name: str) -> Output | None:
    manifest = await _manifest(parts, job_id)
    if len(manifest):
        entry = manifest.find(name)
        return None if entry is None else Output(entry.name, parts.folders.output(job_id), entry)
    return find_output(await _outputs(parts, job_id), name)


async def _manifest(parts: Parts, job_id: str) -> Manifest:
    """The manifest of a job that exists.

    Raises:
        JobNotFound: it does not.
    """
    _known(parts, job_id)
    path = parts.folders.manifest(job_id)
    at_hand = parts.manifests.at_hand(path)
    return at_hand if at_hand is not None else await asyncio.to_thread(parts.manifests.at, path)


def _known(parts: Parts, job_id: str) -> None:
    if job_id not in parts.jobs:
        raise JobNotFound(job_id)
