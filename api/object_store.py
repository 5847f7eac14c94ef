"""Objects in a bucket: S3 and what speaks its protocol, Google Cloud Storage, Azure; by obstore.

An object is whole or absent: large ones are sent in parts and appear when the last part is there. Parts that a killed
process left behind are invisible; a lifecycle rule of the bucket (abort incomplete multipart uploads) removes them.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from api.away import StoreAwayError
from surrogate import InfrastructureError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

_PART_BYTES = 8 * 2**20
_LONGEST_PAUSE = timedelta(seconds=3)

log = structlog.get_logger()


class ObjectStore:
    """The objects under a prefix of a bucket.

    Credentials are those that obstore finds: the AWS_... variables, a web identity, the instance's role.

    Args:
        url: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://account/container/prefix`.
        endpoint: address of an S3-compatible server; None takes the cloud's own.
        patience_s: how long a request is tried again while the store is away or fails, s.

    Raises:
        InfrastructureError: obstore is not installed, or the URL names no store.
    """

    def __init__(self, url: str, *, endpoint: str | None = None, patience_s: float = 10.0) -> None:
        try:
            import obstore
            from obstore.store import from_url
        except ImportError as error:
            raise InfrastructureError(
                "SURROGATE_BLOB_URL needs obstore, which is not installed: pip install 'jepa-surrogate[s3]'"
            ) from error
        client: ClientConfig = {"connect_timeout": "5s", "timeout": "60s", "allow_http": _is_http(endpoint)}
        # The count is no limit of its own: the first pauses are short.
        retry: RetryConfig = {
            "max_retries": 1000,
            "retry_timeout": timedelta(seconds=patience_s),
            "backoff": {"max_backoff": _LONGEST_PAUSE},
        }
        config: S3Config | None = {"endpoint": endpoint} if endpoint else None
        self._obstore = obstore
        self._name = url
        try:
            self._store = from_url(url, config=config, client_options=client, retry_config=retry)
            # Who asks whether the service is well does not wait.
            hurried: ClientConfig = {**client, "connect_timeout": "1s", "timeout": "2s"}
            self._probe = from_url(url, config=config, client_options=hurried, retry_config={"max_retries": 0})
        except (obstore.exceptions.BaseError, ValueError) as error:
            raise InfrastructureError(
                f"SURROGATE_BLOB_URL = {url!r} names no store ({_first_line(error)}); give s3://bucket/prefix, "
                "gs://bucket/prefix or az://account/container/prefix"
            ) from error

    def check(self) -> None:
        """Raises StoreAwayError where the bucket does not answer at once, or does not let us in."""
        with self._told("list"):
            next(iter(self._obstore.list(self._probe, prefix="check", chunk_size=1)), None)

    def version(self, key: str) -> str | None:
        """Another name for every content of an object, None where there is none."""
        try:
            with self._told(key):
                return _version(self._obstore.head(self._store, key).get("e_tag"))
        except FileNotFoundError:
            return None

    def put(self, path: Path, key: str) -> str:
        """Sends a file, which appears when it is whole; its version."""
        with self._told(key):
            return _version(self._obstore.put(self._store, key, path, chunk_size=_PART_BYTES).get("e_tag"))

    def fetch(self, key: str, path: Path) -> str:
        """Writes an object to a file that does not exist yet; its version.

        Raises:
            FileNotFoundError: there is no such object.
        """
        with self._told(key), path.open("xb") as copy:
            found = self._obstore.get(self._store, key)
            for chunk in found.stream(min_chunk_size=2**20):
                copy.write(chunk)
            return _version(found.meta.get("e_tag"))

    def delete_all(self, prefix: str) -> None:
        """Removes the objects of a directory."""
        with self._told(prefix):
            for page in self._obstore.list(self._store, prefix=prefix):
                self._obstore.delete(self._store, [entry["path"] for entry in page])

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turns the errors of the store into ours."""
        errors = self._obstore.exceptions
        try:
            yield
        except errors.BaseError as error:
            if isinstance(error, errors.NotFoundError) and "NoSuchBucket" not in str(error):
                raise FileNotFoundError(f"no object {what}") from error
            # The text names hosts and buckets, which are none of a client's business.
            log.warning("object store failed", store=self._name, object=what, reason=_first_line(error))
            raise StoreAwayError(self._remedy(error)) from error

    def _remedy(self, error: BaseException) -> str:
        errors = self._obstore.exceptions
        if "NoSuchBucket" in str(error):
            return "the bucket of the object store does not exist; make it, or correct SURROGATE_BLOB_URL"
        if isinstance(error, (errors.PermissionDeniedError, errors.UnauthenticatedError)):
            return (
                "the object store refuses this service; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the policy "
                "of the bucket, which must let it get, put, list and delete"
            )
        return (
            "the object store does not answer; try again in a minute. Whoever runs the service: the log has the cause; "
            "see that the store runs and that SURROGATE_BLOB_URL and SURROGATE_BLOB_ENDPOINT are right"
        )


def _is_http(endpoint: str | None) -> bool:
    return urlsplit(endpoint or "").scheme == "http"


def _version(e_tag: str | None) -> str:
    """A file name for an entity tag, which may hold any character."""
    if not e_tag:
        raise InfrastructureError("the object store gives its objects no ETag; use one that does, as S3 does")
    return hashlib.sha256(e_tag.encode()).hexdigest()[:16]


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0][:300]
