"""A tree: the files of a project by path and content. Its id is its own hash, so that whoever has the id can tell
whether the tree that somebody sends is the one that was meant."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import orjson
from pydantic import ValidationError

from app.jobs.names import BadName, MemberNames, member_parts
from client.models import Tree, TreeFile


class BadTree(ValueError):
    """A tree is not what it should be, or holds what must not be put on a disk; the message says why."""


def make_tree(main: str, files: Iterable[TreeFile]) -> Tree:
    """The tree of these files.

    Raises:
        BadTree: two of them have one path, or a path cannot be stored on every machine.
    """
    ordered = tuple(sorted(files, key=lambda file: file.path))
    tree = Tree(id=id_of(main, ordered), main=main, files=ordered)
    check_paths(tree)
    return tree


def read_tree(body: bytes, tree_id: str, *, most_files: int, most_bytes: int) -> Tree:
    """A tree that another node has sent.

    Args:
        tree_id: the one that was asked for.
        most_files: how many files it may have.
        most_bytes: how many bytes they may have in all.

    Raises:
        BadTree: it is another one, too large, or unsafe.
    """
    try:
        tree = Tree.model_validate_json(body)
    except ValidationError as error:
        raise BadTree(f"what came is no tree: {error.errors(include_url=False)[0]['msg']}") from error
    if tree.id != tree_id or id_of(tree.main, tree.files) != tree_id:
        raise BadTree("what came is another tree than the one that was asked for")
    if len(tree.files) > most_files:
        raise BadTree(f"the project has {len(tree.files)} files; {most_files} are allowed (max_archive_files)")
    if size_of(tree) > most_bytes:
        raise BadTree(f"the project has {size_of(tree)} bytes; {most_bytes} are allowed (max_unpacked_bytes)")
    check_paths(tree)
    return tree


def check_paths(tree: Tree) -> None:
    """See that every path stays inside and none takes the place of another: the rules of uploaded archives.

    Raises:
        BadTree: one does not.
    """
    names = MemberNames()
    folders: set[str] = set()
    for file in tree.files:
        shown = repr(file.path[:100])
        try:
            parts = member_parts(file.path)
            if "/".join(parts) != file.path:
                raise BadName(f"{shown} is not the plain form of a path")
            names.add(parts, folder=False, shown=shown)
        except BadName as error:
            raise BadTree(f"the project is refused: {error}") from error
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    if tree.main not in folders and all(file.path != tree.main for file in tree.files):
        raise BadTree(f"the project is refused: {tree.main[:100]!r} is not in it")


def size_of(tree: Tree) -> int:
    """Bytes of all its files."""
    return sum(file.size for file in tree.files)


def blobs_of(tree: Tree) -> Mapping[str, int]:
    """The contents of a tree, each once: size in bytes by hash."""
    return {file.sha256: file.size for file in tree.files}


def tree_bytes(tree: Tree) -> bytes:
    """A tree as it is kept and sent."""
    return orjson.dumps(tree.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)


def id_of(main: str, files: tuple[TreeFile, ...]) -> str:
    """The id of a tree of these files, sorted by path."""
    plain = {"main": main, "files": [file.model_dump(mode="json") for file in files]}
    return hashlib.sha256(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)).hexdigest()
