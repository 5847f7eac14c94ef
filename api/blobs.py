"""Files of meshes and predictions, by keys that are made of ids which the service itself chose.

A file is whole or absent: it is made in scratch and renamed into place, so a job that runs twice does no harm. They lie
in a directory that all processes share, or in an object store: then every machine keeps a cache of what it used.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Literal

from api.blob_cache import BlobCache
from api.object_store import ObjectStore
from api.settings import Settings

Role = Literal["service", "worker"]
_CHECK_BYTES = 1 << 16
# A request tells its client soon that the store is away; a job begins again.
_PATIENCE_S = 8.0


def of_mesh(mesh_id: str) -> str:
    """Key of a mesh's directory."""
    return f"meshes/{mesh_id}"


def of_prediction(prediction_id: str) -> str:
    """Key of a prediction's directory."""
    return f"predictions/{prediction_id}"


class Blobs:
    """The kept files, and room to make new ones.

    Args:
        directory: where scratch is, and the kept files where there is no store.
        process_id: stable name of this process; its scratch is its own.
        store: keeps the files; None keeps them in the directory.
        cache_bytes: about how much disk the copies of what is in the store may take.
    """

    def __init__(
        self, directory: Path, process_id: str, store: ObjectStore | None = None, cache_bytes: int = 10 * 2**30
    ) -> None:
        self._directory = directory
        self._store = store
        self._cache = BlobCache(directory / "kept", cache_bytes)
        self._incoming = directory / "incoming" / process_id
        # What this process was writing when it died is of no use to anybody.
        rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(parents=True)

    def check(self) -> None:
        """Raises InfrastructureError or OSError where nothing could be kept now."""
        with self.scratch() as scratch:
            # More than a name: that a full disk still takes.
            (scratch / "check").write_bytes(bytes(_CHECK_BYTES))
        if self._store is not None:
            self._store.check()

    def exists(self, key: str) -> bool:
        """Whether a file is kept."""
        if self._store is not None:
            return self._store.version(key) is not None
        return (self._directory / key).exists()

    def path(self, key: str) -> Path:
        """A kept file on this machine, to be opened soon: a copy may be gone some minutes later.

        Raises:
            FileNotFoundError: it is not kept.
            InfrastructureError: the object store does not answer.
        """
        if self._store is not None:
            return self._copy(self._store, key)
        path = self._directory / key
        if not path.exists():
            raise FileNotFoundError(f"no file {key}")
        return path

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A directory that is gone afterwards; `keep` what should stay of it."""
        path = self._incoming / uuid.uuid4().hex
        path.mkdir(parents=True)
        try:
            yield path
        finally:
            rmtree(path, ignore_errors=True)

    def keep(self, made: Path, key: str) -> Path:
        """Moves a finished file from scratch to its place, atomically.

        Raises:
            InfrastructureError: the object store does not answer.
        """
        if self._store is not None:
            return self._cache.add(made, key, self._store.put(made, key))
        kept = self._directory / key
        kept.parent.mkdir(parents=True, exist_ok=True)
        return made.replace(kept)

    def delete(self, key: str) -> None:
        """Removes a directory of a mesh or a prediction."""
        if self._store is not None:
            self._store.delete_all(key)
            self._cache.remove(key)
        else:
            rmtree(self._directory / key, ignore_errors=True)

    def _copy(self, store: ObjectStore, key: str) -> Path:
        """The store is asked each time: another machine may have put something else under the key."""
        version = store.version(key)
        if version is None:
            raise FileNotFoundError(f"no file {key}")
        held = self._cache.find(key, version)
        if held is not None:
            return held
        with self.scratch() as scratch:
            fetched = scratch / "fetched"
            return self._cache.add(fetched, key, store.fetch(key, fetched))


def open_blobs(settings: Settings, role: Role) -> Blobs:
    """The files as the operator chose to keep them.

    Raises:
        InfrastructureError: the object store does not answer, or does not let the service in.
    """
    if settings.blob_url is None:
        return Blobs(settings.directory / "blobs", f"{role}-{settings.worker_id}")
    store = ObjectStore(settings.blob_url, endpoint=settings.blob_endpoint, patience_s=_PATIENCE_S)
    store.check()
    return Blobs(settings.directory / "cache", f"{role}-{settings.worker_id}", store, settings.cache_bytes)


def scratch_of(settings: Settings, role: Role) -> list[Path]:
    """The scratch of all processes of a role that ever shared the data directory: `role-name`."""
    return [path for folder in ("blobs", "cache") for path in (settings.directory / folder).glob(f"incoming/{role}-*")]
