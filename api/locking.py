"""What may share a data directory: SQLite serves one service and one worker; of a name there is one at a time.

Each process holds a file of the directory while it lives. The kernel lets go of it however the process ends.
"""

import fcntl
import os
import time
import uuid
from contextlib import suppress
from pathlib import Path, PurePath
from shutil import rmtree
from typing import IO

from sqlalchemy.engine import make_url

from api.away import RefusedError
from api.blobs import Role, scratch_of
from api.settings import Settings
from surrogate import InfrastructureError

# Neither locks nor the shared memory of SQLite's log can be relied on there.
_NETWORK_TYPES = frozenset(
    {"nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "9p", "afs", "ceph", "coda", "gfs2", "gpfs"}
    | {"glusterfs", "lustre", "beegfs", "ocfs2", "pvfs2"}
    | {f"fuse.{name}" for name in ("sshfs", "s3fs", "gcsfuse", "glusterfs", "ceph", "rclone", "mfs", "juicefs")}
)
_POSTGRES = "set SURROGATE_DATABASE_URL to a Postgres database"


def check_layout(settings: Settings) -> None:
    """Refuses what would lose data.

    Raises:
        RefusedError: several workers on SQLite, or SQLite on a network file system.
    """
    if not settings.single_process:
        return
    if settings.workers > 1:
        raise RefusedError(
            f"SURROGATE_WORKERS = {settings.workers}, but SQLite serves one worker: leave it at 1, or {_POSTGRES}"
        )
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8") if os.path.exists("/proc/self/mounts") else ""
    for url in (settings.metadata_url, settings.jobs_url):
        database = make_url(url).database
        if not url.startswith("sqlite") or not database:
            continue
        path = Path(database).resolve()
        kind = file_system(path, mounts)
        if kind in _NETWORK_TYPES:
            raise RefusedError(
                f"{path} lies on a network file system ({kind}), where SQLite loses data: choose a "
                f"SURROGATE_DATA_DIRECTORY on a disk of this machine, or {_POSTGRES}"
            )


def file_system(path: Path, mounts: str) -> str | None:
    """The type of the file system that a path lies on, None where that is not known.

    Args:
        path: absolute, without links.
        mounts: as /proc/self/mounts tells.
    """
    best, kind = -1, None
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        # Blanks and backslashes are written as octal numbers.
        point = PurePath(fields[1].encode().decode("unicode_escape").encode("latin-1").decode())
        # Of two mounts on one point, the later hides the earlier.
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind


def hold(settings: Settings, role: Role, *, patience_s: float = 0.0) -> IO[str]:
    """The held file, released when it is closed or the process dies.

    Args:
        settings: of the service or the worker.
        role: which of the two this is.
        patience_s: how long another one is given to end, s.

    Raises:
        RefusedError: another process holds it.
        InfrastructureError: there can be no data directory.
    """
    directory = settings.directory
    try:
        directory.mkdir(parents=True, exist_ok=True)
        stream = _lock_file(settings, role, settings.worker_id).open("a")
    except OSError as error:
        raise InfrastructureError(
            f"cannot write to the data directory {directory}: {error.strerror}; set SURROGATE_DATA_DIRECTORY"
        ) from error
    deadline = time.monotonic() + patience_s
    while not _locks(stream):
        if time.monotonic() >= deadline:
            stream.close()
            raise RefusedError(_taken(settings, role))
        time.sleep(0.1)
    return stream


def clear_scratch(settings: Settings, role: Role) -> None:
    """Removes what processes of this role left behind that died and do not come back; ours must be held."""
    for scratch in scratch_of(settings, role):
        name = scratch.name.removeprefix(f"{role}-")
        if name == settings.worker_id:
            continue
        if settings.single_process:
            # We hold the one file that they all would have to hold.
            rmtree(scratch, ignore_errors=True)
            continue
        with suppress(OSError), _lock_file(settings, role, name).open("a") as stream:
            if _locks(stream):
                rmtree(scratch, ignore_errors=True)


def place_of(directory: Path) -> str:
    """The name of a data directory, which no other has: 32 hexadecimal digits, made when it is first asked for.

    Raises:
        OSError: the directory cannot be written.
    """
    path, name = directory / "place", uuid.uuid4().hex
    made = directory / f"place.{name}"
    made.write_text(name, encoding="ascii")
    try:
        # Whoever is first decides, and nobody reads half a name.
        os.link(made, path)
    except FileExistsError:
        return path.read_text(encoding="ascii")
    finally:
        made.unlink()
    return name


def _lock_file(settings: Settings, role: Role, name: str) -> Path:
    return settings.directory / (f"{role}.lock" if settings.single_process else f"{role}-{name}.lock")


def _locks(stream: IO[str]) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _taken(settings: Settings, role: str) -> str:
    if settings.single_process:
        return (
            f"another {role} uses the data directory {settings.directory}; SQLite serves one: stop it, choose another "
            f"SURROGATE_DATA_DIRECTORY, or {_POSTGRES}"
        )
    return (
        f"another {role} called {settings.worker_id!r} uses the data directory {settings.directory}; give each a name "
        "of its own (SURROGATE_WORKER_ID, or surrogate worker --name)"
    )
