"""Copies of objects on this machine's disk, the least recently used of them removed when there are too many."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

import structlog

# Who was handed a path opens it within this time; an open file outlives its name.
GRACE_S = 900.0
# The directory is looked through again when this share of the limit was added.
_LOOK_SHARE = 0.05

log = structlog.get_logger()


class BlobCache:
    """Files by key and version. Processes of one machine may share the directory.

    Args:
        directory: where.
        most_bytes: what is kept; for some time after each use a file stays all the same.
        grace_s: how long, s.
    """

    def __init__(self, directory: Path, most_bytes: int, *, grace_s: float = GRACE_S) -> None:
        self._directory = directory
        self._most_bytes = most_bytes
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._unseen_bytes = float("inf")

    def find(self, key: str, version: str) -> Path | None:
        """The copy, marked as used now."""
        path = self._directory / key / version
        try:
            # Not atime: file systems are often mounted without it.
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    def add(self, made: Path, key: str, version: str) -> Path:
        """Moves a file in, atomically, and makes room for it."""
        path = self._directory / key / version
        size = made.stat().st_size
        os.utime(made)
        for attempt in range(3):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                made.replace(path)
                break
            except FileNotFoundError:
                # Another process removed the directory, which was empty until now.
                if attempt == 2:
                    raise
        self._make_room(size)
        return path

    def remove(self, key: str) -> None:
        """Forgets the copies of a directory."""
        rmtree(self._directory / key, ignore_errors=True)

    def _make_room(self, added: int) -> None:
        with self._lock:
            self._unseen_bytes += added
            if self._unseen_bytes < _LOOK_SHARE * self._most_bytes:
                return
            self._unseen_bytes = 0
        self._evict()

    def _evict(self) -> None:
        found: list[tuple[float, int, Path]] = []
        for folder, _, names in os.walk(self._directory):
            for name in names:
                path = Path(folder, name)
                with suppress(FileNotFoundError):
                    facts = path.stat()
                    found.append((facts.st_mtime, facts.st_size, path))
        excess = sum(size for _, size, _ in found) - self._most_bytes
        removed, oldest_kept = 0, time.time() - self._grace_s
        for used, size, path in sorted(found):
            if excess <= 0 or used > oldest_kept:
                break
            path.unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()
            excess, removed = excess - size, removed + 1
        if removed:
            log.info("removed copies from the cache", files=removed, megabytes_over=max(0, round(excess / 1e6)))
