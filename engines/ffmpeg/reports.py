"""Reading what FFmpeg says: its ``-progress`` lines while it works, its last words when it failed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engines.contract import EngineEvent, EngineFailed, FailureCause, Progress

_CAUSES: tuple[tuple[re.Pattern[str], FailureCause, str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), cause, sentence)
    for pattern, cause, sentence in (
        (r"No space left on device|Disk quota exceeded", FailureCause.DISK, "the disk is full"),
        (r"Read-only file system|Permission denied", FailureCause.DISK, "a file cannot be read or written"),
        (r"Cannot allocate memory|out of memory", FailureCause.OUT_OF_MEMORY, "there was not enough memory"),
        (r"Unknown (en|de)coder|(En|De)coder .* not found", FailureCause.BAD_OPTION, "this FFmpeg lacks the codec"),
        (r"No such filter|Filter not found", FailureCause.BAD_OPTION, "this FFmpeg lacks a filter"),
        (
            r"Unrecognized option|Option .* not found|Error (parsing|setting|applying) option|Invalid argument"
            r"|Undefined constant|Unable to parse",
            FailureCause.BAD_OPTION,
            "the encoder does not take these options",
        ),
        (
            r"No such file or directory|Could find no file|Could not open file",
            FailureCause.MISSING_ASSET,
            "a file of the project is missing",
        ),
        (r"not on whitelist", FailureCause.MISSING_ASSET, "the project refers to something outside, which is not read"),
        (
            r"Invalid data found|moov atom not found|Error (while )?decoding|corrupt|truncat|Input/output error"
            r"|partial file",
            FailureCause.ERROR,
            "the project is damaged",
        ),
    )
)
_SAID = re.compile(r"\[(?:error|fatal|panic)\]\s*(.*)")
_FOLLOWS = re.compile(
    r"Task finished|Terminating thread|Conversion failed|Error (sending|opening|processing)|Nothing was"
)
_LONGEST = 300


def parse_progress(line: str) -> Sequence[EngineEvent]:
    """One ``key=value`` line of ``-progress``. ``frame`` counts the frames written so far, from 1."""
    key, equals, value = line.partition("=")
    if not equals:
        return ()
    key, value = key.strip(), value.strip()
    if key == "frame" and value.isascii() and value.isdigit() and len(value) < 12:
        return (Progress(frame=int(value)),) if int(value) else ()
    if key == "speed" and (match := re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?(?:e\+\d{1,2})?)x", value)):
        return (Progress(note=f"speed {float(match[1]):.3g}x"),)
    return ()


def explain(code: int, tail: Sequence[str]) -> EngineFailed | None:
    """What a failed exit means, by the last lines of the log; None where they do not tell."""
    if code == 0:
        return None
    said = [match[1].strip() for line in tail if (match := _SAID.search(line)) and match[1].strip()]
    # The first thing that went wrong is what a person needs; what follows from it often names the kind of error only.
    telling = next((text for text in said if not _FOLLOWS.search(text)), "")
    for pattern, cause, sentence in _CAUSES:
        matching = next((text.strip() for text in said or tail if pattern.search(text)), None)
        if matching is not None:
            detail = telling if telling and _FOLLOWS.search(matching) else matching
            return EngineFailed(f"{sentence}: {detail[:_LONGEST]}", cause)
    if said and code > 0:
        return EngineFailed((telling or said[0])[:_LONGEST], FailureCause.ERROR)
    return None
