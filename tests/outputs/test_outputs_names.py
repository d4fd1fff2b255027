"""Names of outputs."""

from __future__ import annotations

import pytest

from app.outputs.names import NameRefused, check_name, natural_key, safe_stem


@pytest.mark.parametrize("name", ["shot_0001.png", "größe.exr", "a b (2).tar.gz", ".hidden", "com10.txt", "日本.png"])
def test_plain_names_are_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "a\\b", "/a", "c:a", "a\0b", "a\nb", "a?", 'a"', "a.", "a ", "CON", "aux.txt", "Lpt1.png"],
)
def test_names_that_are_bad_somewhere_are_refused(name: str) -> None:
    with pytest.raises(NameRefused):
        check_name(name)


@pytest.mark.parametrize("name", ["é" * 121, "\ud800.png"])
def test_names_that_are_too_long_or_no_text_are_refused(name: str) -> None:
    with pytest.raises(NameRefused):
        check_name(name)


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("My shot: final/v2", "My shot_ final_v2"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("", "output"),
        ("...", "output"),
        ("///", "output"),
        ("nul", "_nul"),
        ("ü" * 100, "ü" * 40),
        ("\ud800x", "_x"),
    ],
)
def test_any_text_becomes_a_good_stem(text: str, stem: str) -> None:
    assert safe_stem(text) == stem
    assert check_name(safe_stem(text)) == stem


def test_numbers_sort_as_numbers() -> None:
    names = ["b1", "a10.png", "a9.png", "A1.png", "10", "9"]
    assert sorted(names, key=natural_key) == ["9", "10", "A1.png", "a9.png", "a10.png", "b1"]
