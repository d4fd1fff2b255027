"""What holds for all tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# No service of a test asks anybody for engines, unless the test itself says whom.
os.environ["ZORDON_ENGINE_SOURCES"] = "[]"

# A machine that is busy makes examples slow, and says nothing about the code: no test here asserts on time.
settings.register_profile("zordon", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("zordon")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no rubbish while thousands of modules and tests come to stay, nor among them ever after."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
