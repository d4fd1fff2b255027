"""Which Blender renders a project: its own major.minor, else a long-term release, else the newest; here or fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.blender.inspection import inspect_project
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
from engines.installs.release import Packaging, Release
from tests.support.blender_sessions import ENGINE, FIXTURES


def installed(*numbers: str) -> list[EngineVersion]:
    return [
        EngineVersion("blender", number, Path("/opt") / number, InstallKind.MANAGED, "linux", "x64", "binary")
        for number in numbers
    ]


def offered(*versions: str, allowed: bool = True, **troubles: str) -> Fetchable:
    """What a source offers, and why others could not be asked."""
    releases = [Release("blender", version, "linux", "x64", "a source", Packaging.ARCHIVE, "") for version in versions]
    return Fetchable(releases, allowed, troubles)


def choose(
    saved_by: tuple[int, ...] | None,
    versions: list[EngineVersion],
    fetchable: Fetchable | None = None,
    *,
    asked: str | None = None,
) -> VersionChoice:
    return ENGINE.choose(VersionWish(asked, saved_by), versions, fetchable)


def found(choice: VersionChoice) -> tuple[str, str]:
    assert isinstance(choice, FoundVersion), choice
    return choice.version.version, choice.reason


def missing(choice: VersionChoice) -> MissingVersion:
    assert isinstance(choice, MissingVersion), choice
    return choice


def refused(*words: str, choice: tuple[object, ...], asked: str | None = None) -> None:
    with pytest.raises(Refusal) as caught:
        choose(*choice, asked=asked)  # type: ignore[arg-type]  # the arguments of choose
    assert caught.value.field == "engine_version"
    for word in words:
        assert word in caught.value.message


# what is installed


@pytest.mark.parametrize(
    ("saved_by", "versions", "chosen", "why"),
    [
        ((3, 4), ("5.0.1", "4.5.15", "3.4.1"), "3.4.1", "saved by Blender 3.4"),
        ((4, 5), ("5.0.1", "4.5.3", "4.5.15", "3.4.1"), "4.5.15", "saved by Blender 4.5"),
        ((3, 4), ("5.0.1", "4.5.3", "4.5.15", "4.4.0", "4.2.9"), "4.5.15", "long-term"),
        ((4, 3), ("5.0.1", "4.4.3", "4.2.9"), "5.0.1", "newest installed"),
        ((2, 79), ("2.93.18", "2.80.1"), "2.93.18", "2.79"),
        (None, ("5.0.1", "4.5.15"), "5.0.1", "newest"),
    ],
)
def test_an_installed_version_follows_the_project(
    saved_by: tuple[int, ...] | None, versions: tuple[str, ...], chosen: str, why: str
) -> None:
    version, reason = found(choose(saved_by, installed(*versions), offered("9.0.0")))
    assert version == chosen
    assert why in reason


@pytest.mark.parametrize("name", ["studio", "saved_by_4_5", "saved_by_5_0"])
def test_real_files_say_what_saved_them(name: str) -> None:
    wish = VersionWish(None, inspect_project(FIXTURES / f"{name}.blend").format_version)
    version, _ = found(ENGINE.choose(wish, installed("5.0.1", "4.5.15", "3.4.1"), None))
    assert version == {"studio": "3.4.1", "saved_by_4_5": "4.5.15", "saved_by_5_0": "5.0.1"}[name]


@pytest.mark.parametrize(
    ("asked", "chosen"), [("4.5", "4.5.15"), ("4.5.3", "4.5.3"), ("4", "4.5.15"), ("5.0.1", "5.0.1")]
)
def test_the_version_asked_for(asked: str, chosen: str) -> None:
    version, reason = found(choose((3, 4), installed("5.0.1", "4.5.15", "4.5.3", "3.4.1"), asked=asked))
    assert version == chosen
    assert "asked for" in reason


def test_a_build_with_a_name_of_its_own_is_taken_only_by_its_name() -> None:
    versions = installed("studio", "3.4.1")
    assert found(choose((3, 4), versions))[0] == "3.4.1"
    assert found(choose((4, 5), versions, asked="studio"))[0] == "studio"
    assert missing(choose((4, 5), versions)).version == "4.5"


# what is fetched


@pytest.mark.parametrize(
    ("saved_by", "releases", "fetched"),
    [
        ((4, 5), ("5.2.1", "5.0.1", "4.5.15", "4.5.3", "4.2.9"), "4.5.15"),
        ((4, 3), ("5.0.1", "4.5.15", "4.4.0", "4.2.9"), "4.5.15"),
        ((4, 3), ("5.0.1", "4.4.3", "4.2.9"), "5.0.1"),
        ((9, 9), ("9.9.0",), "9.9.0"),
    ],
)
def test_what_is_fetched_follows_the_same_rules(
    saved_by: tuple[int, ...], releases: tuple[str, ...], fetched: str
) -> None:
    choice = missing(choose(saved_by, installed("3.4.1"), offered(*releases)))
    assert (choice.version, choice.fetch) == (fetched, True)
    assert f"Blender {fetched} is fetched" in choice.reason


def test_before_anybody_was_asked_nothing_is_fetched_or_refused() -> None:
    for saved_by in ((4, 5), (9, 9)):
        choice = missing(choose(saved_by, installed("3.4.1")))
        assert (choice.version, choice.fetch) == (f"{saved_by[0]}.{saved_by[1]}", False)
    assert not missing(choose((3, 4), installed("3.4.1"), asked="77.7")).fetch


@pytest.mark.parametrize(
    ("fetchable", "says"),
    [
        (offered("4.5.15", allowed=False), "auto_install is off): zordon engines install blender 4.5"),
        (offered("4.2.9"), "no source offers one"),
        (offered(vendor="no route to host"), "(vendor: no route to host)"),
    ],
)
def test_what_cannot_be_fetched_is_waited_for_and_the_reason_says_why(fetchable: Fetchable, says: str) -> None:
    choice = missing(choose((4, 5), installed("3.4.1"), fetchable))
    assert (choice.version, choice.fetch) == ("4.5", False)
    assert choice.reason.startswith("it needs Blender 4.5 or later; none is installed here")
    assert says in choice.reason


def test_without_any_blender_one_is_fetched() -> None:
    assert missing(choose((3, 4), [], offered("5.0.1", "4.5.15"))).version == "4.5.15"
    assert missing(choose(None, [], offered("5.0.1", "4.5.15"))).version == "5.0.1"


def test_a_version_asked_for_is_fetched_if_somebody_offers_it() -> None:
    choice = missing(choose((3, 4), installed("3.4.1"), offered("4.5.15", "4.2.9", "4.2.3"), asked="4.2"))
    assert (choice.version, choice.fetch) == ("4.2.9", True)
    assert missing(choose((3, 4), installed("3.4.1"), offered("4.2.9", "4.2.3"), asked="4.2.3")).version == "4.2.3"
    told = missing(choose((3, 4), installed("3.4.1"), offered("4.2.9", allowed=False), asked="4.2"))
    assert not told.fetch
    assert "zordon engines install blender 4.2" in told.reason
    told = missing(choose((3, 4), installed("3.4.1"), offered(allowed=False), asked="4.2"))
    assert "auto_install is off" in told.reason, "nobody was asked whether there is a 4.2"
    told = missing(choose((3, 4), installed("3.4.1"), offered("4.5.15", pypi="it says 503"), asked="4.2"))
    assert (told.version, told.fetch) == ("4.2", False)
    assert "pypi: it says 503" in told.reason


# what is refused


def test_versions_that_cannot_be() -> None:
    both, nothing = installed("4.5.15", "3.4.1"), offered("5.0.1")
    refused("4.2", "4.5.15, 3.4.1", "5.0.1", choice=((3, 4), both, nothing), asked="4.2")
    refused("installed: 3.4.1;", choice=((4, 2), installed("3.4.1"), nothing), asked="4.5")
    refused("4.51", choice=((3, 4), both, nothing), asked="4.51")
    refused("nonsense", choice=((3, 4), both, nothing), asked="nonsense")


def test_a_version_that_cannot_open_the_project_is_refused_whoever_offers_it() -> None:
    for asked in ("3.4", "3.4.1", "3", "4.2"):
        refused("saved by Blender 4.5", "4.5 or later", choice=((4, 5), installed("3.4.1"), None), asked=asked)


def test_a_project_of_a_blender_that_nobody_has_heard_of() -> None:
    for fetchable in (offered("5.0.1"), offered(), offered(vendor="no route to host")):
        refused("9.9", "3.4.1", choice=((9, 9), installed("3.4.1"), fetchable))
