"""Files of meshes and predictions, by keys that are made of ids which the service itself chose.

A file is whole or absent: it is made in scratch and renamed into place, so a job that runs twice does no harm.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree


def of_mesh(mesh_id: str) -> str:
    """Key of a mesh's directory."""
    return f"meshes/{mesh_id}"


def of_prediction(prediction_id: str) -> str:
    """Key of a prediction's directory."""
    return f"predictions/{prediction_id}"


class Blobs:
    """The files in a directory that all processes of the service share.

    Args:
        directory: where.
        process_id: stable name of this process; its scratch is its own.
    """

    def __init__(self, directory: Path, process_id: str) -> None:
        self._directory = directory
        self._incoming = directory / "incoming" / process_id
        # What this process was writing when it died is of no use to anybody.
        rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(parents=True)

    def exists(self, key: str) -> bool:
        """Whether a file is kept."""
        return (self._directory / key).exists()

    def path(self, key: str) -> Path:
        """A kept file on this machine, to be read.

        Raises:
            FileNotFoundError: it is not kept.
        """
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
        """Moves a finished file from scratch to its place, atomically."""
        kept = self._directory / key
        kept.parent.mkdir(parents=True, exist_ok=True)
        return made.replace(kept)

    def delete(self, key: str) -> None:
        """Removes a directory of a mesh or a prediction."""
        rmtree(self._directory / key, ignore_errors=True)
