"""Many jobs' bytes, each kept once: whatever is put, replaced and removed, the list is that of a plain dictionary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.jobs.wires import BLOCK_JOBS, Wires

MOST = 3 * BLOCK_JOBS

steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, MOST), st.binary(max_size=40)),
        st.tuples(st.just("remove"), st.integers(0, MOST), st.just(b"")),
        st.tuples(st.just("fill"), st.integers(0, MOST), st.binary(max_size=5)),
        st.tuples(st.just("list"), st.just(0), st.just(b"")),
    ),
    max_size=60,
)


@given(steps)
def test_they_are_what_a_dictionary_would_hold(steps: list[tuple[str, int, bytes]]) -> None:
    wires, plain = Wires(), dict[str, bytes]()
    for what, number, wire in steps:
        if what == "put":
            wires.put(f"{number}", wire)
            plain[f"{number}"] = wire
        elif what == "remove":
            assert wires.remove(f"{number}") == (plain.pop(f"{number}", None) is not None)
        elif what == "fill":
            for other in range(number, MOST):
                wires.put(f"{other}", wire)
                plain[f"{other}"] = wire
        else:
            assert b"".join(wires.texts()) == b"".join(b"," + one for one in plain.values())
        assert len(wires) == len(plain)
    assert list(wires) == list(plain.values())
    assert all(wires.get(job_id) == wire for job_id, wire in plain.items())
    assert wires.get("none") is None
    assert "none" not in wires
    assert b"".join(wires.texts()) == b"".join(b"," + one for one in plain.values())


def test_a_change_makes_one_block_anew() -> None:
    wires = Wires()
    for number in range(10 * BLOCK_JOBS):
        wires.put(f"{number}", b"before")
    before = wires.texts()
    wires.put("300", b"after")
    changed = [at for at, (one, other) in enumerate(zip(before, wires.texts(), strict=True)) if one is not other]
    assert changed == [300 // BLOCK_JOBS]
