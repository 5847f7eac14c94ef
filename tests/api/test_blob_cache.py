"""Copies of objects stay within a limit, and no copy vanishes under the hands of who was just given it."""

import os
import time
from pathlib import Path

from api.blob_cache import BlobCache

SIZE = 1000
HOUR_S = 3600.0


def added(cache: BlobCache, tmp_path: Path, key: str, *, unused_s: float = 0.0) -> Path:
    made = tmp_path / "made"
    made.write_bytes(b"x" * SIZE)
    path = cache.add(made, key, "version")
    then = time.time() - unused_s
    os.utime(path, (then, then))
    return path


def test_the_least_recently_used_copies_make_room(tmp_path: Path) -> None:
    roomy, cache = (BlobCache(tmp_path / "cache", count * SIZE) for count in (100, 3))
    hours = {"a": 5, "b": 9, "c": 1, "d": 7}
    paths = {key: added(roomy, tmp_path, key, unused_s=hours[key] * HOUR_S) for key in hours}
    assert cache.find("b", "version") == paths["b"]
    added(cache, tmp_path, "e")
    kept = {key for key, path in paths.items() if path.exists()}
    # The oldest by use, not by age: b was the oldest until it was looked up.
    assert kept == {"b", "c"}
    # No empty directories are left behind either: there are as many as there were objects.
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"b", "c", "e"}


def test_what_was_used_a_moment_ago_stays_over_the_limit(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "cache", SIZE)
    paths = [added(cache, tmp_path, f"k{n}") for n in range(5)]
    assert all(path.exists() for path in paths)


def test_another_version_is_another_file(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "cache", 10 * SIZE)
    added(cache, tmp_path, "a")
    assert cache.find("a", "version") is not None
    assert cache.find("a", "newer") is None
    cache.remove("a")
    assert cache.find("a", "version") is None
