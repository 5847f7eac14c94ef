"""What runs below a process, as Linux tells it."""

from contextlib import suppress
from pathlib import Path


def children(process: int) -> list[int]:
    """Process ids."""
    found: list[int] = []
    for listed in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, listed.read_text().split())
    return found


def command(process: int) -> bytes:
    """How a process was called."""
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""
