"""The manifest: what it keeps, what it forgets, what it finds."""

from __future__ import annotations

import gc
import json
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from app.outputs.manifest import Entry, Manifest, Manifests, frames_of
from app.outputs.names import NameRefused


def entry(name: str, frame: int | None = None, size: int = 3) -> Entry:
    return Entry(name, size, "ab" * 32, 123, frame, 64, 36, 1_700_000_000_000_000_000, "attempt1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "manifest.jsonl"


def test_what_was_added_is_there_after_reading_again(path: Path) -> None:
    manifest = Manifest(path)
    assert manifest.entries() == ()
    for name in ("a10.png", "a9.png", "b.exr"):
        manifest.add(entry(name))
    again = Manifest(path)
    assert [item.name for item in again.entries()] == ["a9.png", "a10.png", "b.exr"]
    assert again.entries() == manifest.entries()
    assert len(again) == 3
    assert again.total_bytes == 9


def test_lines_of_earlier_releases_say_nothing_of_time_and_node(path: Path) -> None:
    measured = replace(entry("a.png"), seconds=1.5, node="node-1")
    Manifest(path).add(measured)
    assert Manifest(path).find("a.png") == measured
    line = json.loads(path.read_text())
    del line["seconds"], line["node"]
    path.write_text(json.dumps(line) + "\n")
    assert Manifest(path).find("a.png") == entry("a.png")
    path.write_text(json.dumps({**line, "seconds": "long"}) + "\n")
    assert Manifest(path).entries() == ()


def test_the_last_entry_of_a_name_counts(path: Path) -> None:
    manifest = Manifest(path)
    newer = replace(entry("a.png"), size=99, attempt="attempt2")
    for item in (entry("a.png"), entry("b.png"), newer):
        manifest.add(item)
    for one in (manifest, Manifest(path)):
        assert one.find("a.png") == newer
        assert len(one) == 2
        assert one.newest() == newer
        assert one.newest(lambda item: item.name.startswith("b")) == entry("b.png")


def test_a_torn_last_line_is_dropped_and_the_next_one_is_whole(path: Path) -> None:
    manifest = Manifest(path)
    manifest.add(entry("a.png"))
    manifest.add(entry("b.png"))
    path.write_bytes(path.read_bytes()[:-20])
    again = Manifest(path)
    assert [item.name for item in again.entries()] == ["a.png"]
    again.add(entry("c.png"))
    assert [item.name for item in Manifest(path).entries()] == ["a.png", "c.png"]


@pytest.mark.parametrize(
    "line", [b"\0\0\0", b"[]", b"{}", b'"a"', b"\xff", b"[" * 100_000, b'{"name":"../x","size":1}', b"null"]
)
def test_foreign_lines_are_passed_over(path: Path, line: bytes) -> None:
    Manifest(path).add(entry("a.png"))
    good = path.read_bytes()
    path.write_bytes(line + b"\n" + good.replace(b"a.png", b"../x") + good.replace(b":3,", b':"3",') + good)
    assert [item.name for item in Manifest(path).entries()] == ["a.png"]


def test_names_are_found_in_any_case_and_nothing_else_is(path: Path) -> None:
    manifest = Manifest(path)
    for name in ("Shot_0001.PNG", "straße.png", "x.png", "X.png"):
        manifest.add(entry(name))

    def found(name: str) -> str | None:
        item = manifest.find(name)
        return item.name if item is not None else None

    assert found("shot_0001.png") == "Shot_0001.PNG"
    assert found("STRASSE.PNG") == "straße.png"
    assert (found("x.png"), found("X.png")) == ("x.png", "X.png")
    for name in ("", "..", "../x.png", "x", "x.png\0", "./x.png", "a" * 300):
        assert found(name) is None


def test_a_name_that_leads_elsewhere_is_not_taken(path: Path) -> None:
    with pytest.raises(NameRefused):
        Manifest(path).add(entry("../a.png"))
    assert not path.exists()


def test_reconciling_forgets_what_is_not_there_in_full(path: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    manifest = Manifest(path)
    for frame, name in enumerate(("good", "short", "gone", "link", "also_good"), 1):
        manifest.add(entry(f"{name}.png", frame))
    for name in ("good", "also_good"):
        (output / f"{name}.png").write_bytes(b"123")
    (output / "short.png").write_bytes(b"12")
    (output / "link.png").symlink_to(output / "good.png")
    there = manifest.reconcile(output)
    assert sorted(frames_of(there)) == [1, 5]
    assert manifest.entries() == there
    assert manifest.find("gone.png") is None
    newest = manifest.newest()
    assert newest is not None
    assert newest.name == "also_good.png"
    manifest.add(entry("gone.png", 3))
    assert manifest.find("GONE.png") is not None
    manifest.sync(output)


def test_many_threads_may_add_at_once(path: Path) -> None:
    manifest = Manifest(path)
    threads = [
        Thread(target=lambda k=k: [manifest.add(entry(f"{k}_{n}.png")) for n in range(50)])  # type: ignore[misc]
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Manifest(path)) == len(manifest) == 200


def test_everyone_gets_the_same_manifest_while_anyone_holds_it(tmp_path: Path) -> None:
    manifests = Manifests(kept=2)
    held = manifests.at(tmp_path / "0")
    for number in range(1, 5):
        manifests.at(tmp_path / str(number))
    assert manifests.at(tmp_path / "0") is held
    gc.collect()
    assert manifests.at_hand(tmp_path / "1") is None
    assert manifests.at_hand(tmp_path / "4") is not None
    manifests.forget(tmp_path / "4")
    assert manifests.at_hand(tmp_path / "4") is None
