"""API keys in the database: who may use the service. Of a secret only a hash is kept; it is shown once, when made.

A key reads `srg_1a2b3c4d5e6f.` and 43 characters. The part before the dot is its id, which owns what the key makes and
may be told to anybody; the part after it is the secret.
"""

import hmac
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal, get_args

from sqlalchemy import Engine, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import sessionmaker

from api.database import open_database
from api.settings import Settings
from api.tables import LOCAL_OWNER, KeyRow, MeshRow, PredictionRow, now
from surrogate import InfrastructureError, InputError

Scope = Literal["read", "run", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_ID_BYTES, _SECRET_BYTES = 6, 32
_FORM = re.compile(r"(srg_[0-9a-f]{12})\.([A-Za-z0-9_-]{43})")
# Writing at every request would cost more than it tells.
_NOTE_USE_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class GivenKey:
    """What a client sent, taken apart.

    Attributes:
        id: the public part.
        secret_hash: sha256 of the secret, hexadecimal.
    """

    id: str
    secret_hash: str

    def opens(self, row: KeyRow | None) -> bool:
        """Whether it is that key, and the key holds now; takes as long for a wrong one."""
        time = now()
        current = hmac.compare_digest(self.secret_hash, row.secret_hash if row else "")
        previous = hmac.compare_digest(self.secret_hash, (row and row.previous_hash) or "")
        if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= time):
            return False
        return current or (previous and row.previous_until is not None and time < row.previous_until)


@dataclass(frozen=True)
class IssuedKey:
    """A key with its secret, which nobody can ask for later.

    Attributes:
        row: what is kept.
        text: what the client sends.
    """

    row: KeyRow
    text: str


@dataclass(frozen=True)
class KeyQuotas:
    """What one key may use; None takes what the settings say.

    Attributes:
        requests_per_minute: 0 sets no limit, as for the others.
        unfinished_jobs: most meshes and predictions that wait or run at once.
        stored_bytes: most that its uploads and results take.
    """

    requests_per_minute: int | None = None
    unfinished_jobs: int | None = None
    stored_bytes: int | None = None


def taken_apart(text: str) -> GivenKey | None:
    """A key as it was sent; None for what has not the form of one."""
    found = _FORM.fullmatch(text)
    return GivenKey(found[1], _hash(found[2])) if found else None


def key_state(row: KeyRow) -> Literal["active", "expired", "revoked"]:
    """Whether a key holds."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= now() else "active"


class Keys:
    """The table of keys. Every method is one transaction and may be called from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._sessions = sessionmaker(engine, expire_on_commit=False)

    def create(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        quotas: KeyQuotas = KeyQuotas(),
        expires_at: datetime | None = None,
        adopt: bool = False,
    ) -> IssuedKey:
        """A new key.

        Args:
            name: what people call it.
            scopes: of `SCOPES`.
            quotas: its own.
            expires_at: it is refused from then on, UTC.
            adopt: it takes over what was made while the service asked for no key.

        Raises:
            InputError: an unknown scope, no scope, no name or one that is too long.
        """
        if not 1 <= len(name.strip()) <= 100 or not name.isprintable():
            raise InputError(f"name {name[:100]!r}: give a key a name of 1 to 100 printable characters")
        unknown = [scope for scope in scopes if scope not in SCOPES]
        if unknown or not scopes:
            wrong = f"unknown scope {unknown[0]!r}" if unknown else "no scope"
            raise InputError(f"{wrong}; choose of {', '.join(SCOPES)}")
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        row = KeyRow(
            id=f"srg_{secrets.token_hex(_ID_BYTES)}",
            secret_hash=_hash(secret),
            name=name.strip(),
            scopes=[scope for scope in SCOPES if scope in scopes],
            requests_per_minute=quotas.requests_per_minute,
            unfinished_jobs=quotas.unfinished_jobs,
            stored_bytes=quotas.stored_bytes,
            expires_at=expires_at,
        )
        with self._sessions.begin() as session:
            session.add(row)
            for table in (MeshRow, PredictionRow) if adopt else ():
                session.execute(update(table).where(table.owner == LOCAL_OWNER).values(owner=row.id))
        return IssuedKey(row, f"{row.id}.{secret}")

    def all(self) -> Sequence[KeyRow]:
        """Every key there ever was, oldest first."""
        with self._sessions() as session:
            return session.scalars(select(KeyRow).order_by(KeyRow.created_at, KeyRow.id)).all()

    def exist(self) -> bool:
        """Whether there ever was a key, a revoked one included: revoking the last one opens the service to nobody."""
        with self._sessions() as session:
            return session.scalar(select(KeyRow.id).limit(1)) is not None

    def find(self, key_id: str) -> KeyRow | None:
        """A key of that id, whether it holds or not."""
        with self._sessions() as session:
            return session.get(KeyRow, key_id)

    def note_use(self, row: KeyRow) -> None:
        """Notes about when a key was last used; a database that takes no writes keeps nobody from reading."""
        time = now()
        if row.last_used_at is not None and time - row.last_used_at < _NOTE_USE_EVERY:
            return
        with suppress(SQLAlchemyError, InfrastructureError), self._sessions.begin() as session:
            session.execute(update(KeyRow).where(KeyRow.id == row.id).values(last_used_at=time))

    def revoke(self, key_id: str) -> KeyRow:
        """Refuses a key from now on.

        Raises:
            InputError: there is none of that id.
        """
        with self._sessions.begin() as session:
            row = self._known(session.get(KeyRow, key_id), key_id)
            row.revoked_at = row.revoked_at or now()
            row.previous_hash = row.previous_until = None
        return row

    def rotate(self, key_id: str, overlap: timedelta = timedelta()) -> IssuedKey:
        """Gives a key another secret; what it made stays its own.

        Args:
            key_id: of an active key.
            overlap: how long the old secret is taken beside the new one.

        Raises:
            InputError: there is none of that id, or it is revoked or expired.
        """
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        with self._sessions.begin() as session:
            row = self._known(session.get(KeyRow, key_id, with_for_update=True), key_id)
            if (state := key_state(row)) != "active":
                raise InputError(f"key {key_id} is {state}; make a new one with `surrogate keys create`")
            row.previous_hash, row.previous_until = (row.secret_hash, now() + overlap) if overlap else (None, None)
            row.secret_hash = _hash(secret)
        return IssuedKey(row, f"{row.id}.{secret}")

    @staticmethod
    def _known(row: KeyRow | None, key_id: str) -> KeyRow:
        if row is None:
            shown = key_id.split(".")[0][:40]
            raise InputError(f"no key {shown!r}; `surrogate keys list` shows the ids of all")
        return row


def open_keys(settings: Settings) -> Keys:
    """The keys of the service that has these settings, whether it runs or not.

    Raises:
        InfrastructureError: the database does not answer, or the data directory cannot be made.
    """
    try:
        settings.directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(
            f"cannot write to the data directory {settings.directory}: {error.strerror}; set SURROGATE_DATA_DIRECTORY"
        ) from error
    return Keys(open_database(settings.metadata_url))


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
