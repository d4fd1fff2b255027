"""The test pattern: an engine without a program of its own.

It is the demo on a machine without Blender, and the engine that the tests make slow, break, crash and hang. It goes the
same way as every other engine: a process, chunks on its stdin, events on its pipe, pictures that must be verified.
"""

from engines.testpattern.engine import TestPatternEngine
from engines.testpattern.options import TestPatternOptions

__all__ = ["TestPatternEngine", "TestPatternOptions"]
