"""One service a data folder, one token, one id."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app.jobs.folders import DataFolder
from app.node.instance import InstanceError, InstanceLock, load_node_id, load_token
from app.settings import load_settings

HOLDER = """
import sys
from pathlib import Path
from app.node.instance import InstanceLock
InstanceLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folders(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path / "data")
    made.prepare()
    return made


def test_a_second_service_is_refused_in_one_sentence(folders: DataFolder) -> None:
    with InstanceLock(folders.root):
        with pytest.raises(InstanceError) as caught:
            InstanceLock(folders.root).acquire()
        assert str(folders.root) in str(caught.value)
        assert str(os.getpid()) in str(caught.value)
        assert "--data-dir" in str(caught.value)
    with InstanceLock(folders.root):
        pass


def test_the_lock_ends_with_its_process_however_that_ends(folders: DataFolder) -> None:
    argv = [sys.executable, "-c", HOLDER, str(folders.root)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(InstanceError, match=f"process {process.pid}"):
            InstanceLock(folders.root).acquire()
        process.kill()
        process.wait()
    with InstanceLock(folders.root):
        pass


def test_a_child_of_the_service_does_not_inherit_the_lock(folders: DataFolder) -> None:
    lock = InstanceLock(folders.root)
    lock.acquire()
    argv = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as child:
        lock.release()
        with InstanceLock(folders.root):
            pass
        child.communicate()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InstanceError, match="cannot be written"):
        InstanceLock(tmp_path / "file" / "data").acquire()


def test_the_token_is_made_once_and_for_this_user_only(folders: DataFolder) -> None:
    settings = load_settings(data_dir=folders.root)
    token = load_token(settings, folders)
    assert len(token) >= 32
    assert load_token(settings, folders) == token
    assert stat.S_IMODE((folders.root / "token").stat().st_mode) == 0o600
    (folders.root / "token").chmod(0o644)
    assert load_token(settings, folders) == token
    assert stat.S_IMODE((folders.root / "token").stat().st_mode) == 0o600
    assert [path.name for path in folders.root.iterdir() if path.name.startswith(".")] == []


def test_the_token_of_the_settings_wins_and_is_not_written(folders: DataFolder) -> None:
    settings = load_settings(data_dir=folders.root, token="given-by-the-operator")
    assert load_token(settings, folders) == "given-by-the-operator"
    assert not (folders.root / "token").exists()


@pytest.mark.parametrize("content", [b"", b"short\n", b"two words that are long\n", b"\xff" * 40])
def test_a_damaged_token_is_not_used(folders: DataFolder, content: bytes) -> None:
    (folders.root / "token").write_bytes(content)
    with pytest.raises(InstanceError, match="token"):
        load_token(load_settings(data_dir=folders.root), folders)


def test_a_node_keeps_its_id(folders: DataFolder, tmp_path: Path) -> None:
    node = load_node_id(folders)
    assert len(node) == 32
    assert load_node_id(folders) == node
    other = DataFolder(tmp_path / "other")
    other.prepare()
    assert load_node_id(other) != node
