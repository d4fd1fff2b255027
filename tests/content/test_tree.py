"""Trees: the same content gives the same id, and what is unsafe is refused whole."""

from __future__ import annotations

import pytest

from app.content.tree import BadTree, make_tree, read_tree, tree_bytes
from client.models import Tree, TreeFile


def file(path: str, size: int = 1, sha256: str = "0" * 64) -> TreeFile:
    return TreeFile(path=path, size=size, sha256=sha256)


def read(tree: Tree, tree_id: str | None = None, most_files: int = 10, most_bytes: int = 100) -> Tree:
    return read_tree(tree_bytes(tree), tree_id or tree.id, most_files=most_files, most_bytes=most_bytes)


def test_the_order_of_the_files_says_nothing() -> None:
    one = make_tree("a.blend", [file("a.blend"), file("b/c.png")])
    other = make_tree("a.blend", [file("b/c.png"), file("a.blend")])
    assert one == other
    assert read(one) == one


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree.model_copy(update={"main": "b.blend"}),
        lambda tree: tree.model_copy(update={"files": (*tree.files, file("z"))}),
        lambda tree: tree.model_copy(update={"files": (file("a.blend", 2), *tree.files[1:])}),
        lambda tree: tree.model_copy(update={"files": (file("a.blend", 1, "1" * 64), *tree.files[1:])}),
        lambda tree: tree.model_copy(update={"id": "0" * 64}),
    ],
)
def test_another_tree_than_the_one_asked_for_is_noticed(change: object) -> None:
    tree = make_tree("a.blend", [file("a.blend"), file("b.blend")])
    assert callable(change)
    with pytest.raises(BadTree, match="another tree"):
        read(change(tree), tree.id)


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "a/../../x", "C:/x", "a\\..\\x", "a//b", "./a", "a/", "a\0b", "a\nb", "x" * 300]
)
def test_a_path_that_is_not_safe_is_refused(path: str) -> None:
    with pytest.raises(BadTree):
        make_tree("a.blend", [file("a.blend"), file(path)])


def test_two_files_that_some_disk_takes_for_one_are_refused() -> None:
    with pytest.raises(BadTree, match="twice"):
        make_tree("a.blend", [file("a.blend"), file("A.blend")])
    with pytest.raises(BadTree, match="below a file"):
        make_tree("a", [file("a"), file("a/b")])


def test_the_project_must_be_in_it() -> None:
    make_tree("b", [file("b/c.png")])
    with pytest.raises(BadTree, match=r"'c\.blend' is not in it"):
        make_tree("c.blend", [file("a.blend")])
    with pytest.raises(BadTree):
        make_tree("..", [file("a.blend")])


def test_what_is_too_large_is_refused() -> None:
    tree = make_tree("a", [file("a", 60), file("b", 60)])
    with pytest.raises(BadTree, match="max_unpacked_bytes"):
        read(tree)
    with pytest.raises(BadTree, match="max_archive_files"):
        read(tree, most_files=1, most_bytes=1000)
