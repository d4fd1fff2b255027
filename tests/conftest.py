"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No service of a test asks anybody for engines, unless the test itself says whom.
os.environ["ZORDON_ENGINE_SOURCES"] = "[]"

# A machine that is busy makes examples slow, and says nothing about the code: no test here asserts on time.
settings.register_profile("zordon", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("zordon")
