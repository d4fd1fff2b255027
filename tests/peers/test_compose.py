"""The two nodes of ``compose.yaml``, with the environment that it gives them, on loopback and not in Docker."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.peers.served import served

COMPOSE = Path(__file__).parents[2] / "compose.yaml"


async def test_they_are_a_farm_with_nothing_but_what_the_file_says(tmp_path: Path) -> None:
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    first, second = services["node-1"]["environment"], services["node-2"]["environment"]
    assert first == second
    assert re.fullmatch(r"\$\{ZORDON_FARM_SECRET:\?.+\}", first["ZORDON_FARM_SECRET"])
    names = [place.partition(":")[0] for place in first["ZORDON_PEERS"].split(",")]
    assert names == ["node-1", "node-2"] == [services[name]["hostname"] for name in names]
    secret = "what openssl would have made"
    async with served(tmp_path, "node-1", farm_secret=secret) as one:
        # As there: each is told of itself, too.
        places = {"node-1": one.address, "node-2": "127.0.0.1:9"}
        told = [places[name] for name in names]
        async with served(tmp_path, "node-2", *told, farm_secret=secret) as two:
            await one.sees(two)
            await two.sees(one)
