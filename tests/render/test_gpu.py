"""What is heard of the GPU: the real output of vendors' programs and drivers, on machines that have none."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app.render.gpu import Gpu, gpu_of_this_machine
from app.render.gpu.drm import BusyDevices, DrmClients
from app.render.gpu.interface import Worked
from app.render.gpu.nvidia import NvidiaSmi, read_pmon
from client.models import JobStatus

if TYPE_CHECKING:
    from tests.render.conftest import StartNode

posix = pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the vendor's program")

PMON_470 = """\
# gpu        pid  type    sm   mem   enc   dec   command
# Idx          #   C/G     %     %     %     %   name
    0       1183     G     2     1     -     -   Xorg
    0      40127   C+G    87    34     -     -   blender
    1      40127     C    95    40     -     -   blender
    1      40555     C     -     -    12     3   ffmpeg
"""
PMON_550 = """\
# gpu         pid   type     sm    mem    enc    dec    jpg    ofa    command
# Idx           #    C/G      %      %      %      %      %      %    name
    0          -     -      -      -      -      -      -      -    -
"""
AMD = """\
pos:\t0
flags:\t02100002
mnt_id:\t26
ino:\t1140
drm-driver:\tamdgpu
drm-client-id:\t{client}
drm-pdev:\t0000:03:00.0
pasid:\t32770
drm-total-vram:\t1204 KiB
drm-memory-vram:\t1204 KiB
drm-engine-gfx:\t{gfx} ns
drm-engine-compute:\t500000000 ns
drm-engine-dec:\t0 ns
"""
INTEL_I915 = """\
drm-driver:\ti915
drm-pdev:\t0000:00:02.0
drm-client-id:\t7
drm-engine-render:\t9288864723 ns
drm-engine-copy:\t2035071108 ns
drm-engine-video:\t0 ns
drm-engine-capacity-video:\t2
drm-engine-video-enhance:\t0 ns
"""
INTEL_XE = """\
drm-driver:\txe
drm-client-id:\t3
drm-pdev:\t0000:00:02.0
drm-cycles-rcs:\t{rcs}
drm-total-cycles-rcs:\t{total}
drm-cycles-bcs:\t0
drm-total-cycles-bcs:\t{total}
"""


def test_shares_by_process_as_nvidia_smi_prints_them() -> None:
    assert read_pmon(PMON_470) == {1183: 0.02, 40127: pytest.approx(1.82), 40555: pytest.approx(0.15)}
    assert read_pmon(PMON_550) == {}


@pytest.mark.parametrize(
    "printed",
    ["", "No devices were found\n", "Process Monitoring is not supported on this device\n", "# gpu pid\n 0 12\n"],
)
def test_what_is_no_such_table_is_refused(printed: str) -> None:
    with pytest.raises(ValueError, match="lists no processes"):
        read_pmon(printed)


class Tree:
    """A copy of what Linux tells, as far as it matters here."""

    def __init__(self, root: Path) -> None:
        self.proc, self.sys = root / "proc", root / "sys"
        self.proc.mkdir()
        self.sys.mkdir()

    def open(self, pid: int, number: int, device: str, told: str = "") -> None:
        """A process has a device open; the driver tells this beside it."""
        for name in ("fd", "fdinfo"):
            (self.proc / str(pid) / name).mkdir(parents=True, exist_ok=True)
        link = self.proc / str(pid) / "fd" / str(number)
        link.unlink(missing_ok=True)
        link.symlink_to(device)
        (self.proc / str(pid) / "fdinfo" / str(number)).write_text(told)

    def card(self, name: str, node: str, busy: str) -> None:
        device = self.sys / "class" / "drm" / name / "device"
        (device / "drm" / node).mkdir(parents=True)
        (device / "drm" / name).mkdir()
        if busy:
            (device / "gpu_busy_percent").write_text(busy)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_nanoseconds_of_every_client_count_once(tree: Tree) -> None:
    tree.open(10, 3, "/dev/null")
    tree.open(10, 4, "/dev/dri/renderD128", AMD.format(client=41, gfx=1_000_000_000))
    tree.open(10, 5, "/dev/dri/renderD128", AMD.format(client=41, gfx=1_000_000_000))  # opened once, duplicated
    tree.open(11, 7, "/dev/dri/card0", AMD.format(client=42, gfx=2_500_000_000))
    tree.open(12, 7, "/dev/dri/card1", INTEL_I915)
    clients = DrmClients(tree.proc)
    assert clients.seconds([10]) == pytest.approx(1.5)
    assert clients.seconds([10, 11]) == pytest.approx(4.5)
    assert clients.seconds([12]) == pytest.approx(11.323935831)
    assert clients.seconds([99]) is None, "it is gone"


def test_cycles_are_taken_for_their_share_of_the_time_between_two_looks(tree: Tree) -> None:
    now = [100.0]
    clients = DrmClients(tree.proc, Worked(lambda: now[0]))
    for seconds, rcs, total in ((0.0, 1_000, 10_000), (10.0, 6_000, 20_000), (20.0, 6_000, 30_000)):
        now[0] = 100.0 + seconds
        tree.open(10, 4, "/dev/dri/renderD128", INTEL_XE.format(rcs=rcs, total=total))
        told = clients.seconds([10])
        assert told == pytest.approx(0.0 if seconds == 0 else 5.0)


def test_the_load_of_a_card_counts_for_whoever_has_it_open(tree: Tree) -> None:
    tree.card("card0", "renderD128", "80\n")
    tree.card("card1", "renderD129", "30\n")
    tree.card("card2", "renderD130", "")  # of a driver that does not tell
    (tree.sys / "class" / "drm" / "card0-HDMI-A-1").mkdir()
    now = [0.0]
    devices = BusyDevices(tree.proc, tree.sys, Worked(lambda: now[0]))
    tree.open(10, 4, "/dev/dri/renderD128")
    tree.open(11, 4, "/dev/kfd")
    tree.open(12, 4, "/dev/dri/renderD130")
    tree.open(13, 4, "/dev/null")
    for pid in (10, 11):
        assert devices.seconds([pid]) == 0.0
    now[0] = 10.0
    assert devices.seconds([10]) == pytest.approx(8.0)
    assert devices.seconds([11]) == pytest.approx(11.0), "which card ROCm works on cannot be told"
    assert devices.seconds([12]) is None
    assert devices.seconds([13]) is None


def test_a_share_does_not_count_for_a_time_that_nobody_watched() -> None:
    now = [0.0]
    worked = Worked(lambda: now[0])
    assert worked.add(1, 0.5) == 0.0
    now[0] = 10.0
    assert worked.add(1, 0.5) == 5.0
    now[0] = 10_000.0
    assert worked.add(1, 1.0) == 125.0


def test_without_a_gpu_none_works_and_without_a_way_to_ask_it_is_not_known() -> None:
    assert Gpu((), there=False).seconds(os.getpid()) == 0.0
    assert Gpu(()).seconds(os.getpid()) is None
    told = gpu_of_this_machine().seconds(os.getpid())
    assert told is None or told >= 0.0


def vendor(folder: Path, body: str) -> Path:
    """A program of this name, first on the way."""
    program = folder / "nvidia-smi"
    program.with_suffix(".new").write_text(f"#!/bin/sh\n{body}")
    program.with_suffix(".new").chmod(0o755)
    program.with_suffix(".new").rename(program)
    return program


HEAD = "echo '# gpu pid type sm mem enc dec command'\n"


@posix
def test_a_program_that_fails_is_not_asked_again_at_once(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    reader = NvidiaSmi(str(vendor(tmp_path, f"echo x >> {asked}\nexit 9\n")))
    assert reader.seconds([1]) is None
    assert reader.seconds([1]) is None
    assert asked.read_text() == "x\n"
    assert NvidiaSmi(str(tmp_path / "none")).seconds([1]) is None


@posix
async def test_an_engine_that_only_the_gpu_works_for_is_not_stalled(
    start_node: StartNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, asked = tmp_path / "bin", tmp_path / "asked"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    everybody = 'for process in /proc/[0-9]*; do echo " 0 ${process#/proc/} C 90 1 - - blender"; done\n'
    vendor(folder, f"{HEAD}{everybody}echo x >> {asked}\n")
    options = {"width": 32, "height": 32, "hang_at": 1}
    async with start_node(stall_seconds=0.4, slots={"testpattern": 1}) as node:
        job = await node.submit(frames="1", args=options)

        def looked(times: int) -> bool:
            return asked.exists() and len(asked.read_text().splitlines()) >= times

        async with asyncio.timeout(60):
            while not looked(20):  # four looks come in the time that is long enough
                assert node.job(job.id).errors == []
                await asyncio.sleep(0.01)
        assert (node.job(job.id).status, node.job(job.id).errors) == (JobStatus.RUNNING, [])
        vendor(folder, HEAD)
        stalled = await node.until(job.id, lambda now: bool(now.errors))
        assert "no CPU time or GPU time" in stalled.errors[0]
        await node.parts.jobs.cancel(job.id)
