"""The content store and the folders made of it."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from app.content.checkout import checkout
from app.content.store import RECENT_SECONDS, ContentGone, ContentStore
from app.content.tree import make_tree
from app.jobs.folders import DataFolder
from client.models import Tree, TreeFile


def put(store: ContentStore, *contents: bytes, main: str = "file-0") -> Tree:
    """A tree of these contents, complete in the store."""
    files = []
    for number, content in enumerate(contents):
        sha256 = hashlib.sha256(content).hexdigest()
        store.add(content, sha256)
        files.append(TreeFile(path=f"file-{number}", size=len(content), sha256=sha256))
    tree = make_tree(main, files)
    store.complete(tree)
    return tree


def age(store: ContentStore, *trees: Tree) -> None:
    """Let these trees have been used long ago, the first one longest."""
    for number, tree in enumerate(trees):
        then = time.time() - 2 * RECENT_SECONDS + number
        os.utime(store.root / "trees" / f"{tree.id}.json", (then, then))


def again(store: ContentStore, **settings: object) -> ContentStore:
    """The store after a restart."""
    budget = settings.get("budget", 1 << 30)
    assert isinstance(budget, int)
    fresh = ContentStore(store.root, budget)
    fresh.open()
    return fresh


def test_what_was_complete_is_so_after_a_restart(store: ContentStore) -> None:
    tree = put(store, b"one", b"two")
    after = again(store)
    assert after.complete_trees() == [tree.id]
    assert after.tree(tree.id) == tree
    assert after.missing(tree) == {}
    assert after.tree("0" * 64) is None


def test_a_checkout_has_the_files(store: ContentStore, folders: DataFolder) -> None:
    tree = put(store, b"one", b"two")
    place = checkout(tree, store, folders)
    assert place == folders.projects / tree.id
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {"file-0": b"one", "file-1": b"two"}
    assert list(folders.uploads.iterdir()) == []


def test_what_a_job_did_to_a_checkout_is_mended(store: ContentStore, folders: DataFolder) -> None:
    tree = put(store, b"one", b"two", b"three")
    place = checkout(tree, store, folders)
    (place / "file-0").unlink()
    (place / "file-1").unlink()
    (place / "file-1").write_bytes(b"owt")
    assert checkout(tree, store, folders) == place
    assert [(place / f"file-{number}").read_bytes() for number in range(3)] == [b"one", b"two", b"three"]


def test_content_that_was_changed_through_a_link_is_not_used(store: ContentStore, folders: DataFolder) -> None:
    tree = put(store, b"one", b"two")
    blob = store.find(tree.files[0].sha256)
    assert blob is not None
    blob.chmod(0o600)
    blob.write_bytes(b"eno")  # the same size
    assert list(store.missing(tree)) == [tree.files[0].sha256]
    with pytest.raises(ContentGone):
        checkout(tree, store, folders)
    store.add(b"one", tree.files[0].sha256)
    assert (checkout(tree, store, folders) / "file-0").read_bytes() == b"one"


def test_a_file_outside_counts_while_it_is_the_same(store: ContentStore, folders: DataFolder, tmp_path: Path) -> None:
    import threading

    outside = tmp_path / "texture.png"
    outside.write_bytes(b"wood")
    known = store.hashes.of(outside, threading.Event(), lambda done: None)
    tree = make_tree("t.png", [TreeFile(path="t.png", size=4, sha256=known.sha256)])
    assert again(store).missing(tree) == {}
    folder, entry = store.entry(known.sha256)
    assert (folder / entry.name, entry.size) == (outside, 4)
    place = checkout(tree, store, folders)
    (place / "t.png").chmod(0o600)
    (place / "t.png").write_bytes(b"burnt")
    assert outside.read_bytes() == b"wood", "a job changed the user's own file"
    outside.write_bytes(b"metal")
    (store.root / "blobs" / known.sha256[:2] / known.sha256).unlink()
    assert list(store.missing(tree)) == [known.sha256]


def test_the_oldest_goes_first_and_nothing_that_is_needed(store: ContentStore) -> None:
    old, shared, held, used = (put(store, b"old" * 100, b"x" * 100), put(store, b"x" * 100, b"s" * 200),
                               put(store, b"h" * 300), put(store, b"u" * 300))  # fmt: skip
    age(store, old, shared, held, used)
    small = again(store, budget=950)
    with small.hold(held.id):
        small.prune([used.id])
        assert small.complete_trees() == [used.id, held.id, shared.id]
        assert small.missing(shared) == {}, "what two projects share went with the first"
        assert list(small.missing(old)) == [old.files[0].sha256]
        tiny = again(small, budget=0)
        with tiny.hold(held.id):
            tiny.prune([used.id])
            assert tiny.complete_trees() == [used.id, held.id]
            assert tiny.size() == 600


def test_what_was_used_just_now_stays(store: ContentStore) -> None:
    tree = put(store, b"x" * 100)
    tiny = again(store, budget=0)
    assert tiny.prune(()).trees == 0
    assert tiny.missing(tree) == {}


def test_content_that_belongs_to_nothing_goes_first(store: ContentStore) -> None:
    tree = put(store, b"x" * 100)
    store.add(b"left", hashlib.sha256(b"left").hexdigest())
    small = again(store, budget=100)
    assert small.prune(()).size == 4
    assert small.complete_trees() == [tree.id]
