"""The work of the CPU benchmark: a program of its own, one process a core, started by :mod:`app.node.benchmarks`.

One unit of work is what renderers do most: 4,096 rays against 16 spheres in single precision, the nearest hit of each
found, with numpy, on one core. The program says ``ready``, waits for a line, works for the given seconds and prints how
many units it did and how many seconds that really took.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from numpy.typing import NDArray

RAYS = 4096
SPHERES = 16


def scene() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Ray directions ``(3, RAYS)`` of length 1, sphere centres ``(SPHERES, 3)``, squared radii ``(SPHERES,)``."""
    random = np.random.default_rng(1)
    directions = random.normal(size=(3, RAYS)).astype(np.float32)
    directions /= np.sqrt((directions * directions).sum(axis=0))
    centres = random.uniform(-8.0, 8.0, size=(SPHERES, 3)).astype(np.float32)
    return directions, centres, random.uniform(0.5, 4.0, size=SPHERES).astype(np.float32)


def unit(
    directions: NDArray[np.float32], centres: NDArray[np.float32], squared_radii: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Distance along each ray from the origin to its nearest sphere, infinity where there is none; shape ``(RAYS,)``.

    A ray from the origin along the unit vector d meets a sphere of centre c and radius r at
    t = d·c - sqrt((d·c)² - c·c + r²).
    """
    nearest = np.full(RAYS, np.inf, dtype=np.float32)
    for (x, y, z), squared_radius in zip(centres, squared_radii, strict=True):
        along = directions[0] * x + directions[1] * y + directions[2] * z
        inside = along * along - (x * x + y * y + z * z) + squared_radius
        distance = along - np.sqrt(np.maximum(inside, 0.0))
        np.minimum(nearest, np.where((inside > 0.0) & (distance > 0.0), distance, np.inf), out=nearest)
    return nearest


def main() -> None:
    """Do units of work for so many seconds."""
    seconds = float(sys.argv[1])
    given = scene()
    unit(*given)
    print("ready", flush=True)
    if not sys.stdin.readline():
        return
    units, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        for _ in range(10):
            unit(*given)
        units += 10
    print(units, spent, flush=True)


if __name__ == "__main__":
    main()
