"""What the parent measures of other nodes while they render for it."""

from __future__ import annotations

from pathlib import Path

from app.jobs.events import AttemptEnded, JobEvent
from app.jobs.record import JobRecord
from client.models import JobStatus
from tests.peers.farm import farm_node
from tests.peers.parent import parent_node


async def test_how_long_a_share_takes_to_start_is_known_of_the_node_that_has_it(tmp_path: Path) -> None:
    one_slot = '{"testpattern": 1}'
    async with (
        farm_node(tmp_path, "other", ZORDON_SLOTS=one_slot) as other,
        parent_node(tmp_path / "parent", other, slots={"testpattern": 1}) as parent,
    ):
        peer = await parent.peer("other")
        starts: list[float] = []
        paces: list[float | None] = []

        def listen(record: JobRecord, event: JobEvent) -> None:
            work = parent.parts.supervisor.at_work(record.id)
            if isinstance(event, AttemptEnded) and work is not None:
                starts.append(work.start_of(peer.id))
                paces.append(work.median_of(peer.id))

        parent.parts.jobs.on_event(listen)
        args = {"seconds_per_frame": 0.3, "width": 64, "height": 36}
        job = await parent.submit(renderer="testpattern", name="measured", frames="1-24", args=args)
        assert (await parent.ended(job.id)).status is JobStatus.COMPLETED
        assert max(starts) > 0.0
        assert max(pace or 0.0 for pace in paces) >= 0.3  # a frame's own time, and nothing of the start
