"""Verbs that say who may use the service: keys create, list, revoke, rotate. They work whether it runs or not."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from surrogate.cli.options import AsJson
from surrogate.errors import InputError
from surrogate.serving.terminal import console, print_json, reported

if TYPE_CHECKING:
    from api.keys import IssuedKey, Keys
    from api.tables import KeyRow

keys = typer.Typer(
    name="keys",
    help="API keys of the service. SURROGATE_DATABASE_URL or --data names the service's database, as for `serve`.",
    no_args_is_help=True,
)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="Id of the key: what stands before the dot.")]
DataDirectory = Annotated[Path | None, typer.Option("--data", help="Data directory of the service.")]
Quota = typer.Option(min=0, show_default="as the service says")
_SPAN = re.compile(r"(\d{1,5})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@keys.command()
def create(
    name: Annotated[str, typer.Option(help="What you call it: who or what uses it.")],
    scopes: Annotated[str, typer.Option(help="Of read, run (make and delete; reads too), admin (/metrics).")] = "run",
    expires: Annotated[str | None, typer.Option(help="In 30m, 12h, 90d, or on a day, 2027-01-31 (UTC).")] = None,
    requests_per_minute: Annotated[int | None, Quota] = None,
    unfinished_jobs: Annotated[int | None, Quota] = None,
    stored_bytes: Annotated[int | None, Quota] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="It takes over what was made while the service asked for no key.")
    ] = False,
    data: DataDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key and print it: it is shown this once. From then on the service asks everybody for a key.

    Example: surrogate keys create --name "ci pipeline" --scopes read,run --expires 90d
    """
    with reported(as_json):
        from api.keys import KeyQuotas

        issued = _opened(data).create(
            name,
            [scope.strip() for scope in scopes.split(",") if scope.strip()],
            quotas=KeyQuotas(requests_per_minute, unfinished_jobs, stored_bytes),
            expires_at=_moment(expires) if expires else None,
            adopt=adopt,
        )
        _show(issued, as_json)


@keys.command("list")
def list_all(data: DataDirectory = None, as_json: AsJson = False) -> None:
    """List all keys, without their secrets, which nobody keeps.

    Example: surrogate keys list
    """
    with reported(as_json):
        from rich.markup import escape
        from rich.table import Table

        rows = [_facts(row) for row in _opened(data).all()]
        if as_json:
            print_json(rows)
            return
        shown = ("id", "name", "scopes", "state", "created", "last used", "expires")
        table = Table(*shown, box=None)
        for row in rows:
            cells = (row[column.replace(" ", "_")] for column in shown)
            texts = (", ".join(cell) if isinstance(cell, list) else str(cell or "") for cell in cells)
            table.add_row(*map(escape, texts))
        console().print(table)


@keys.command()
def revoke(key_id: KeyId, data: DataDirectory = None, as_json: AsJson = False) -> None:
    """Refuse a key from now on (a running service: within 5 s). What it made stays, and stays its own.

    Example: surrogate keys revoke srg_1a2b3c4d5e6f
    """
    with reported(as_json):
        row = _opened(data).revoke(key_id)
        if as_json:
            print_json(_facts(row))
        else:
            typer.echo(f"{row.id} ({row.name}) is revoked", err=True)


@keys.command()
def rotate(
    key_id: KeyId,
    overlap: Annotated[str, typer.Option(help="How long the old secret is still taken: 30m, 12h, 7d.")] = "0m",
    data: DataDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret and print the key, this once. What it made stays its own.

    Example: surrogate keys rotate srg_1a2b3c4d5e6f --overlap 1d
    """
    with reported(as_json):
        _show(_opened(data).rotate(key_id, _span(overlap)), as_json)


def _opened(data: Path | None) -> "Keys":
    from api.keys import open_keys
    from api.settings import Settings

    return open_keys(Settings.model_validate({} if data is None else {"data_directory": data}))


def _show(issued: "IssuedKey", as_json: bool) -> None:
    """The key alone on standard output, so that a script can take it."""
    if as_json:
        print_json({"key": issued.text, **_facts(issued.row)})
        return
    row = issued.row
    typer.echo(
        f"{row.id} ({row.name}; {', '.join(row.scopes)}); this key is shown once, send it as X-API-Key:", err=True
    )
    typer.echo(issued.text)


def _facts(row: "KeyRow") -> dict[str, object]:
    from api.keys import key_state

    def moment(time: datetime | None) -> str | None:
        return time.replace(tzinfo=UTC).isoformat(timespec="seconds") if time else None

    return {
        "id": row.id,
        "name": row.name,
        "scopes": row.scopes,
        "state": key_state(row),
        "created": moment(row.created_at),
        "last_used": moment(row.last_used_at),
        "expires": moment(row.expires_at),
        "revoked": moment(row.revoked_at),
        "requests_per_minute": row.requests_per_minute,
        "unfinished_jobs": row.unfinished_jobs,
        "stored_bytes": row.stored_bytes,
    }


def _span(text: str) -> timedelta:
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{text!r} is no span of time: give a number and m, h or d, such as 90d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _moment(text: str) -> datetime:
    """A moment to come, UTC without a zone."""
    now = datetime.now(UTC)
    try:
        given = datetime.fromisoformat(text)
        moment = given.replace(tzinfo=given.tzinfo or UTC).astimezone(UTC)
    except ValueError:
        moment = now + _span(text)
    if moment <= now:
        raise InputError(f"{text!r} is over; give a moment to come, such as 90d or {(now + timedelta(days=90)).date()}")
    return moment.replace(tzinfo=None)
