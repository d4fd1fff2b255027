"""Whatever a name, a frame set, a stored job or a setting is: it is refused, or it is exactly what it should be."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from app.jobs.codec import record_from, spec_bytes, state_bytes, wire_bytes
from app.jobs.names import BadName, MemberNames, collision_key, member_parts, safe_stem, upload_name
from app.jobs.record import JobRecord, JobSpec, JobState
from app.jobs.running import Running, RunningChunk
from app.outputs.names import NameRefused, check_name, natural_key
from app.outputs.names import safe_stem as folder_stem
from app.settings import Settings, SettingsError, load_settings
from client.models import Job, JobStatus
from engines.contract import MissingVersion, VersionWish
from engines.frames import MAX_FRAME_NUMBER, FrameSet, FrameSetError, IndexSet

NASTY = st.text(st.sampled_from(list('aZ09._-/\\:\0\n\t *?"<>|%$~éßﬁ日\u202e\u0301\ud800 ')), max_size=60) | st.text()

# --- names ---------------------------------------------------------------------------------------------------------


@given(NASTY, st.booleans())
def test_an_upload_lies_in_its_folder_or_is_refused(name: str, windows: bool) -> None:
    try:
        kept = upload_name(name, windows=windows)
    except BadName:
        return
    folder = Path("/data/uploads")
    assert Path(os.path.normpath(folder / kept)).parent == folder
    assert upload_name(kept, windows=windows) == kept


@given(NASTY, st.booleans())
def test_a_member_lies_below_its_folder_or_is_refused(name: str, windows: bool) -> None:
    try:
        parts = member_parts(name, windows=windows)
    except BadName:
        return
    folder = Path("/data/project")
    place = Path(os.path.normpath(folder.joinpath(*parts)))
    assert place == folder.joinpath(*parts)
    assert place == folder or folder in place.parents


@given(st.lists(st.text(st.sampled_from("aAß/é\u0301s"), min_size=1, max_size=6), max_size=8))
def test_no_two_members_can_be_one_file(names: list[str]) -> None:
    known, kept = MemberNames(), []
    for name in names:
        try:
            parts = member_parts(name)
            if not parts:
                continue
            known.add(parts, folder=False, shown=name)
        except BadName:
            continue
        kept.append(collision_key(parts))
    assert len(kept) == len(set(kept))
    for key in kept:
        assert not any(other.startswith(f"{key}/") for other in kept), "a file lies below a file"


@given(NASTY)
def test_a_name_of_an_output_is_plain_and_so_is_every_stem(name: str) -> None:
    try:
        assert check_name(name) == name
        assert os.path.basename(name) == name  # noqa: PTH119  # what the system itself takes for a name
    except NameRefused:
        pass
    for stem in (safe_stem(name), folder_stem(name)):
        assert check_name(f"{stem}_0001.png") == f"{stem}_0001.png"
    assert natural_key(name) == natural_key(name)


# --- frame sets ----------------------------------------------------------------------------------------------------

NUMBER = st.integers(-30, 30)
PART = st.one_of(
    NUMBER.map(str),
    st.tuples(NUMBER, NUMBER).map(lambda ends: f"{ends[0]}-{ends[1]}"),
    st.tuples(NUMBER, NUMBER, st.sampled_from("xy:"), st.integers(1, 7)).map(lambda p: f"{p[0]}-{p[1]}{p[2]}{p[3]}"),
)


def naive(part: str) -> list[int]:
    """One part of a notation, written out by hand."""
    for kind in "xy:":
        body, found, step = part.partition(kind)
        if found:
            every, count = naive(body), int(step)
            if kind == "x":
                return every[::count]
            if kind == "y":
                return [frame for at, frame in enumerate(every) if at % count]
            return list(dict.fromkeys(frame for width in range(count, 0, -1) for frame in every[::width]))
    first, dash, last = part[:1] + part[1:].replace("-", "/", 1) if "-" in part[1:] else part, "", ""
    if "/" in first:
        first, dash, last = first.partition("/")
    if not dash:
        return [int(first)]
    begin, end = int(first), int(last)
    return list(range(begin, end + 1)) if begin <= end else list(range(begin, end - 1, -1))


@given(st.lists(PART, min_size=1, max_size=5))
def test_a_notation_means_what_it_says(parts: list[str]) -> None:
    expected = list(dict.fromkeys(frame for part in parts for frame in naive(part)))
    try:
        frames = FrameSet.parse(",".join(parts))
    except FrameSetError:
        assert not expected
        return
    assert list(frames) == expected
    assert len(frames) == len(expected)
    assert (frames.lowest, frames.highest) == (min(expected), max(expected))
    assert list(FrameSet.parse(frames.notation())) == expected


@given(st.text(st.sampled_from("0123456789-,xy: .#@"), max_size=40) | st.text(max_size=20))
def test_any_text_is_a_frame_set_or_refused(text: str) -> None:
    try:
        frames = FrameSet.parse(text)
    except FrameSetError:
        return
    assert len(frames) >= 1
    assert -MAX_FRAME_NUMBER <= frames.lowest <= frames.highest <= MAX_FRAME_NUMBER


POSITIONS = st.sets(st.integers(0, 60))


@given(st.lists(st.tuples(st.sampled_from("|-&"), POSITIONS), max_size=8), POSITIONS, st.integers(1, 9))
def test_positions_are_a_set(steps: list[tuple[str, set[int]]], begin: set[int], most: int) -> None:
    ours, plain = IndexSet.of(begin), set(begin)
    for operation, other in steps:
        theirs = IndexSet.of(other)
        if operation == "|":
            ours, plain = ours | theirs, plain | other
        elif operation == "-":
            ours, plain = ours - theirs, plain - other
        else:
            ours, plain = ours & theirs, plain & other
        assert list(ours) == sorted(plain)
        assert ours == IndexSet.of(plain), "one set has one form"
        assert (len(ours), bool(ours)) == (len(plain), bool(plain))
    run = list(ours.first_run(most))
    assert run == sorted(plain)[: len(run)]
    assert not plain or 1 <= len(run) <= most


# --- what is stored and sent ---------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
TIME = st.floats(0, 4e9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
MISSING = st.builds(MissingVersion, TEXT, st.booleans(), TEXT)
WISH = st.builds(VersionWish, st.none() | TEXT, st.none() | st.tuples(st.integers(0, 9), st.integers(0, 99)))


@st.composite
def records(draw: st.DrawFn) -> JobRecord:
    """Any job that could be stored."""
    frames = FrameSet.of(draw(st.lists(NUMBER, min_size=1, max_size=20, unique=True)))
    places = draw(st.lists(st.integers(0, 4), min_size=len(frames), max_size=len(frames)))

    def at(place: int) -> IndexSet:
        return IndexSet.of(position for position, found in enumerate(places) if found == place)

    spec = draw(
        st.builds(
            JobSpec,
            id=TEXT,
            name=TEXT,
            engine=TEXT,
            engine_version=TEXT,
            engine_version_reason=TEXT,
            frames=st.just(frames),
            divisible=st.booleans(),
            created=TIME,
            project=st.none() | TEXT,
            options=st.dictionaries(TEXT, JSON, max_size=3),
            colour=st.dictionaries(TEXT, TEXT, max_size=2),
            details=st.dictionaries(TEXT, JSON, max_size=2),
            width=st.none() | st.integers(1, 9999),
            fps=st.none() | st.floats(1, 240),
            priority=st.integers(0, 100),
            notes=TEXT,
            scheduled_start=st.none() | TIME,
            parent=st.none() | TEXT,
            children=st.lists(TEXT, max_size=3).map(tuple),
            warnings=st.lists(TEXT, max_size=3).map(tuple),
            wish=WISH,
            missing=st.none() | MISSING,
        )
    )
    state = draw(
        st.builds(
            JobState,
            status=st.sampled_from(JobStatus),
            reason=TEXT,
            done=st.just(at(0)),
            failed=st.just(at(1)),
            running=st.just(Running(RunningChunk(f"a-{place}", at(place)) for place in (2, 3) if at(place))),
            strikes=st.lists(POSITIONS, max_size=3).map(
                lambda levels: tuple(IndexSet.of(level & set(range(len(frames)))) for level in levels)
            ),
            fruitless=st.integers(0, 6),
            cause=TEXT,
            needs_space=st.booleans(),
            attempts=st.integers(0, 9999),
            ending=st.none() | st.sampled_from(JobStatus),
            ending_reason=TEXT,
            seconds_per_frame=st.none() | st.floats(0, 1e6),
            started=st.none() | TIME,
            ended=st.none() | TIME,
            file_count=st.integers(0, 10**7),
            warnings=st.lists(TEXT, max_size=3).map(tuple),
            errors=st.lists(TEXT, max_size=3).map(tuple),
            children_ended=st.dictionaries(
                TEXT, st.sampled_from(JobStatus).map(lambda status: status.value), max_size=2
            ),
        )
    )
    return JobRecord(spec, state)


@given(records())
def test_a_stored_job_comes_back_as_it_was(record: JobRecord) -> None:
    again = record_from(spec_bytes(record.spec), state_bytes(record))
    assert list(again.spec.frames) == list(record.spec.frames)
    assert again.state == record.state
    assert (spec_bytes(again.spec), state_bytes(again)) == (spec_bytes(record.spec), state_bytes(record))


@given(records())
def test_a_job_on_the_wire_is_one_that_clients_read(record: JobRecord) -> None:
    wire = orjson.loads(wire_bytes(record))
    job = Job.model_validate(wire)
    assert set(wire) == set(Job.model_fields)
    assert 0 <= job.percent_complete <= 100
    assert job.frames_done == len(record.state.done)


# --- settings ------------------------------------------------------------------------------------------------------

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.text(max_size=5) | st.integers(), max_size=3),
    st.dictionaries(
        st.text(max_size=5), st.text(max_size=5) | st.integers() | st.lists(st.text(max_size=3)), max_size=3
    ),
)


@given(st.dictionaries(st.sampled_from([*Settings.model_fields, "unknown"]), VALUES, max_size=4))
def test_settings_are_right_or_refused(tmp_path_factory: pytest.TempPathFactory, flags: dict[str, object]) -> None:
    flags["data_dir"] = tmp_path_factory.getbasetemp() / "no-settings"
    try:
        settings = load_settings(**flags)
    except SettingsError:
        return
    assert isinstance(settings, BaseModel)
    assert settings.bind_host in ("127.0.0.1", "::1", "localhost") or settings.lan


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_a_settings_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "settings-file"
    folder.mkdir(exist_ok=True)
    (folder / "settings.yaml").write_bytes(content)
    with contextlib.suppress(SettingsError):
        assert load_settings(data_dir=folder).data_dir == folder
