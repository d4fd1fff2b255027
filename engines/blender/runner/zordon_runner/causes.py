"""Which kind of failure a message of Blender's means; what a retry could mend depends on it."""

from __future__ import annotations

# First match wins. Texts as Blender 3.4 to 5.0 print them, in lower case.
_SIGNS = (
    (
        "out_of_memory",
        (
            "out of memory",
            "out of gpu memory",
            "memoryerror",
            "bad_alloc",
            "failed to allocate",
            "cannot allocate memory",
        ),
    ),
    ("disk", ("cannot save", "couldn't create directory", "no space left", "permission denied", "read-only file")),
    ("bad_option", ("no camera", "denoise", "image too small", "no render layer")),
)


def cause_of(message: str) -> str:
    """The service's word for the cause; ``engine_error`` where nothing better is known."""
    text = message.lower()
    for cause, signs in _SIGNS:
        if any(sign in text for sign in signs):
            return cause
    return "engine_error"


def in_short(message: str) -> str:
    """Blender's message as one line, without its ``Error:``."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    text = "; ".join(line[6:].strip() if line.startswith("Error:") else line for line in lines)
    return text or "Blender gave no reason"
