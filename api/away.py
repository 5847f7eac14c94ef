"""Errors of what the service stands on: a database or a disk that is away, and places where it must not run."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from surrogate import InfrastructureError


class RefusedError(InfrastructureError):
    """Running here would harm another process or the data; trying again does not help."""


class AwayError(InfrastructureError):
    """What the service stands on is away; the same works again when it is back."""


class DatabaseAwayError(AwayError):
    """The database does not answer, or not in time."""


class StoreAwayError(AwayError):
    """The object store does not answer, or does not let the service in."""


class StorageFullError(AwayError):
    """No room on the disk, or the quota of the disk is used up."""


def storage_full() -> StorageFullError:
    """What a client is told when the disk is full."""
    return StorageFullError(
        "the service's disk is full: free space in the data directory, delete meshes and predictions, or give it a "
        "larger disk; then the same request works again"
    )


def is_full(error: BaseException | None) -> bool:
    """Whether the operating system said that there is no room."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def telling_full_disk() -> Iterator[None]:
    """Turns the operating system's word for a full disk into ours."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise storage_full() from error
        raise
