"""File names from outside: what is made harmless, what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.jobs.names import BadName, collision_key, member_parts, safe_stem, upload_name

STEM = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,78}[A-Za-z0-9_-])?\Z")
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)", re.IGNORECASE)
NASTY = st.text(st.sampled_from(list('aZ09._-/\\:\0\n\t *?"<>|éß日\u202e .')), max_size=120) | st.text(max_size=120)


@given(NASTY)
def test_a_safe_stem_is_safe_everywhere(name: str) -> None:
    stem = safe_stem(name)
    assert STEM.match(stem)
    assert not RESERVED.match(stem)
    assert safe_stem(stem) == stem


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("shot_010", "shot_010"),
        ("Shot 010 – final", "Shot_010_final"),
        ("Café.v2", "Cafe.v2"),
        ("..", "output"),
        ("-rf", "rf"),
        ("日本", "output"),
        ("CON", "output_CON"),
        ("aux.tar", "output_aux.tar"),
        ("console", "console"),
        ("x" * 300, "x" * 80),
    ],
)
def test_safe_stems(name: str, stem: str) -> None:
    assert safe_stem(name) == stem


@given(NASTY)
def test_an_upload_has_a_plain_name_or_none(given_name: str) -> None:
    for windows in (False, True):
        try:
            name = upload_name(given_name, windows=windows)
        except BadName:
            continue
        assert name not in ("", ".", "..")
        assert not set(name) & set("/\\\0\n\r\t")
        assert len(name.encode()) <= 201
        if windows:
            assert not set(name) & set('<>:"|?*')
            assert not RESERVED.match(name)
            assert name == name.rstrip(". ")


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("shot.blend", "shot.blend"),
        ("a\nb.blend", "a_b.blend"),
        ("Szene Ü 日.blend", "Szene Ü 日.blend"),
    ],
)
def test_upload_names(given_name: str, name: str) -> None:
    assert upload_name(given_name, windows=False) == name


@pytest.mark.parametrize(
    "given_name",
    [
        "",
        ".",
        "..",
        "/",
        "a/..",
        "../../etc/passwd",
        "a/b.blend",
        "C:\\Users\\shot.blend",
        "a\0.blend",
        "x" * 201,
        "é" * 150,
    ],
)
def test_names_that_no_upload_may_have(given_name: str) -> None:
    with pytest.raises(BadName):
        upload_name(given_name)


@given(NASTY)
def test_a_member_of_an_archive_never_leaves_it(name: str) -> None:
    for windows in (False, True):
        try:
            parts = member_parts(name, windows=windows)
        except BadName:
            continue
        for part in parts:
            assert part not in ("", ".", "..")
            assert not set(part) & set("/\\\0")
            assert len(part.encode()) <= 255


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "a/../../evil",
        "a\\..\\..\\evil",
        "/etc/passwd",
        "\\\\server\\share",
        "C:evil",
        "c:/evil",
        "a\0b",
        "a\x1bb",
        "x" * 256,
        "/".join("d" * 65),
        "y" * 200 + "/" + "z" * 200 + "/" + "w" * 200 + "/" + "v" * 200 + "/" + "u" * 250,
    ],
)
def test_names_that_no_archive_may_have(name: str) -> None:
    with pytest.raises(BadName):
        member_parts(name)


@pytest.mark.parametrize("name", ["take 1:2.png", "aux.png", "what?.png", "dot.", "space "])
def test_what_windows_cannot_store_is_refused_there_only(name: str) -> None:
    assert member_parts(name, windows=False) == (name,)
    with pytest.raises(BadName, match="Windows"):
        member_parts(name, windows=True)


def test_members_of_an_archive() -> None:
    assert member_parts("./a//b/c.png") == ("a", "b", "c.png")
    assert member_parts("a\\b.png") == ("a", "b.png")
    assert member_parts("./") == ()


def test_names_that_collide_on_some_file_systems() -> None:
    assert collision_key(("A", "Straße")) == collision_key(("a", "STRASSE"))
    assert collision_key(("é",)) == collision_key(("e\u0301",))
    assert collision_key(("a",)) != collision_key(("b",))
