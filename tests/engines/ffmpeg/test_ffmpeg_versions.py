"""Which FFmpeg renders: the service's own, the newest, the one asked for; and what is fetched where none works."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.contract import (
    EngineVersion,
    Fetchable,
    FoundVersion,
    InstallKind,
    MissingVersion,
    Refusal,
    VersionChoice,
    VersionWish,
)
from engines.ffmpeg import FFmpegEngine
from engines.installs.release import Packaging, Release

ENGINE = FFmpegEngine()


def installed(version: str, kind: InstallKind = InstallKind.SYSTEM) -> EngineVersion:
    return EngineVersion("ffmpeg", version, Path("/opt/ffmpeg"), kind, "linux", "x64")


def offered(*versions: str) -> Fetchable:
    return Fetchable(
        [Release("ffmpeg", version, "linux", "x64", "static", Packaging.ARCHIVE, "") for version in versions]
    )


VERSIONS = (installed("9.1.0"), installed("9.0.2", InstallKind.EMBEDDED), installed("5.1.9"), installed("4.4.1"))


def choose(
    asked: str | None = None,
    versions: tuple[EngineVersion, ...] = VERSIONS,
    fetchable: Fetchable | None = None,
) -> VersionChoice:
    return ENGINE.choose(VersionWish(asked), versions, fetchable)


@pytest.mark.parametrize(
    ("asked", "chosen"), [(None, "9.0.2"), ("9", "9.1.0"), ("9.0", "9.0.2"), ("5.1.9", "5.1.9"), ("5", "5.1.9")]
)
def test_the_one_asked_for_else_the_services_own(asked: str | None, chosen: str) -> None:
    choice = choose(asked)
    assert isinstance(choice, FoundVersion)
    assert choice.version.version == chosen
    assert choice.reason.endswith(".")


def test_newest_where_nothing_is_embedded() -> None:
    choice = choose(versions=(installed("7.1"), installed("6.0")))
    assert isinstance(choice, FoundVersion)
    assert choice.version.version == "7.1"


@pytest.mark.parametrize("asked", ["4.4.1", "8.0", "9.0.20", ""])
def test_versions_that_cannot_be(asked: str) -> None:
    with pytest.raises(Refusal) as refusal:
        choose(asked, fetchable=offered("4.3.0"))
    assert refusal.value.field == "engine_version"


@pytest.mark.parametrize("versions", [(), (installed("4.4.1"),)])
def test_where_none_works_the_newest_that_does_is_fetched(versions: tuple[EngineVersion, ...]) -> None:
    choice = choose(versions=versions, fetchable=offered("8.0.1", "7.1", "4.4.2"))
    assert isinstance(choice, MissingVersion)
    assert (choice.version, choice.fetch) == ("8.0.1", True)
    assert "5.1 or newer" in choice.reason
    choice = choose(versions=versions, fetchable=offered("4.4.2"))
    assert isinstance(choice, MissingVersion)
    assert not choice.fetch, "an old one is of no use"


def test_the_one_asked_for_is_fetched() -> None:
    assert choose("8", fetchable=offered("8.1", "8.0.1")) == MissingVersion(
        "8.1", True, "FFmpeg 8 was asked for and is not installed here, so FFmpeg 8.1 is fetched"
    )
