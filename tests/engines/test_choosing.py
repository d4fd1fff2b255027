"""What may be a version at all, and which versions a short one means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.choosing import fits, is_version, listed, numbers, series


@pytest.mark.parametrize("text", ["4.5.3", "4.2", "7", "4.5.0-rc1", "studio_4.5+cycles", "n7.1-12-gabc", "x" * 40])
def test_versions(text: str) -> None:
    assert is_version(text)


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "4..5", "../4.5", "4.5/..", "4/5", "4\\5", "4.5\n", "4 5", "4.5\0", "~4", "4:5", "vier²", "x" * 41],
)
def test_what_is_no_version(text: str) -> None:
    assert not is_version(text)


@given(st.text(max_size=45))
def test_a_version_is_always_a_plain_name_of_a_folder(text: str) -> None:
    if is_version(text):
        assert text.isascii()
        assert text not in ("", ".", "..")
        assert not set(text) & set("/\\:\0\n ~*?")


def test_numbers_end_where_a_word_begins() -> None:
    assert numbers("4.5.15 LTS") == (4, 5, 15)
    assert numbers("9.0.2-static") == (9, 0, 2)
    assert numbers("studio") == ()
    assert [series(version) for version in ("4.5.15", "4.5", "7", "studio")] == ["4.5", "4.5", "7", "studio"]


@pytest.mark.parametrize(
    ("version", "asked", "fitting"),
    [
        ("4.5.3", "4.5.3", True),
        ("4.5.3", "4.5", True),
        ("4.5.3", "4", True),
        ("4.51.0", "4.5", False),
        ("4.5.30", "4.5.3", False),
        ("4.5", "4.5.3", False),
        ("4.5.3", "", False),
        ("studio", "studio", True),
        ("studio-2", "studio", False),
        ("4.5.3", "studio", False),
    ],
)
def test_a_short_version_means_all_that_begin_with_it(version: str, asked: str, fitting: bool) -> None:
    assert fits(version, asked) is fitting


def test_a_sentence_names_some_of_many() -> None:
    assert listed([]) == "none"
    assert listed(["5.0", "5.0", "4.5"]) == "5.0, 4.5"
    assert listed(str(number) for number in range(25)).endswith("19 and 5 more")
