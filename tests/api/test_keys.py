"""Keys are made, listed, revoked and rotated on the command line, and their secrets are kept nowhere."""

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.database import open_database
from api.keys import KeyQuotas, key_state, open_keys, taken_apart
from api.records import Records
from api.settings import Settings
from api.tables import LOCAL_OWNER, MeshRow, PredictionRow
from surrogate import InputError
from surrogate.cli import app as command_line
from tests.api.in_process import started

RUN = CliRunner()
FORM = re.compile(r"srg_[0-9a-f]{12}\.[A-Za-z0-9_-]{43}")


def told(*words: str, directory: Path) -> str:
    """What the command prints on standard output."""
    result = RUN.invoke(command_line, ["keys", *words, "--data", str(directory)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_key_is_printed_once_and_alone(tmp_path: Path) -> None:
    """So that a script can take it from standard output."""
    text = told("create", "--name", "ci", directory=tmp_path).strip()
    assert FORM.fullmatch(text)
    listed = told("list", directory=tmp_path) + told("list", "--json", directory=tmp_path)
    assert text.split(".")[0] in listed and text.split(".")[1] not in listed


def test_only_a_hash_is_kept(tmp_path: Path) -> None:
    keys = open_keys(Settings(data_directory=tmp_path))
    issued = keys.create("one", ["read"])
    secret = issued.text.split(".")[1]
    assert issued.row.secret_hash == sha256(secret.encode()).hexdigest()
    assert secret.encode() not in b"".join(path.read_bytes() for path in tmp_path.rglob("*.sqlite*"))


def test_no_two_keys_are_alike(tmp_path: Path) -> None:
    keys = open_keys(Settings(data_directory=tmp_path))
    texts = {keys.create("same", ["read"]).text for _ in range(50)}
    assert len({text.split(".")[0] for text in texts}) == len({text.split(".")[1] for text in texts}) == 50


def test_the_command_line_s_keys_open_the_service(tmp_path: Path) -> None:
    text = told("create", "--name", "me", "--scopes", "read,admin", directory=tmp_path).strip()
    with started(tmp_path) as service, service.client(text) as client:
        assert client.get("/v1/materials").status_code == client.get("/metrics").status_code == 200
        assert client.post("/v1/predictions", json={}).status_code == 403
        rotated = told("rotate", text.split(".")[0], "--overlap", "1h", directory=tmp_path).strip()
        with service.client(rotated) as newer:
            assert newer.get("/v1/materials").status_code == client.get("/v1/materials").status_code == 200
    (row,) = json.loads(told("list", "--json", directory=tmp_path))
    assert row["state"] == "active" and row["last_used"] and row["scopes"] == ["read", "admin"]
    told("revoke", row["id"], directory=tmp_path)
    (row,) = json.loads(told("list", "--json", directory=tmp_path))
    assert row["state"] == "revoked" and row["revoked"]
    with started(tmp_path) as service, service.client(rotated) as client:
        assert client.get("/v1/materials").status_code == 401


def test_what_was_made_while_no_key_was_asked_for_can_be_taken_over(tmp_path: Path) -> None:
    """Otherwise the first key would hide all that there is."""
    settings = Settings(data_directory=tmp_path)
    records = Records(open_database(settings.metadata_url))
    records.add(MeshRow(id="m", name="part", suffix=".step", status="ready"))
    records.add(PredictionRow(id="p", mesh_id="m", name="part", request="{}", fidelity="solved", status="failed"))
    first = told("create", "--name", "first", directory=tmp_path).strip()
    adopting = told("create", "--name", "second", "--adopt", directory=tmp_path).strip()
    with started(tmp_path) as service, service.client(first) as one, service.client(adopting) as other:
        assert one.get("/v1/predictions/p").status_code == 404
        assert other.get("/v1/predictions/p").status_code == other.get("/v1/meshes/m").status_code == 200
    assert records.mesh("m").owner != LOCAL_OWNER


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["create", "--name", "x", "--scopes", "read,write"], "read, run, admin"),
        (["create", "--name", "x", "--scopes", ","], "read, run, admin"),
        (["create", "--name", " "], "1 to 100"),
        (["create", "--name", "x\x1b[2J"], "printable"),
        (["create", "--name", "x", "--expires", "2020-01-31"], "to come"),
        (["create", "--name", "x", "--expires", "soon"], "such as 90d"),
        (["revoke", "srg_000000000000"], "surrogate keys list"),
        (["rotate", "srg_000000000000"], "surrogate keys list"),
    ],
)
def test_mistakes_are_told_with_the_remedy_and_make_nothing(tmp_path: Path, words: list[str], remedy: str) -> None:
    result = RUN.invoke(command_line, ["keys", *words, "--data", str(tmp_path)])
    assert result.exit_code == 2 and remedy in result.stderr
    assert json.loads(told("list", "--json", directory=tmp_path)) == []


def test_a_mistaken_secret_is_not_repeated(tmp_path: Path) -> None:
    """Whoever gives the whole key in place of its id must not find it in a log of the terminal."""
    result = RUN.invoke(command_line, ["keys", "revoke", f"srg_000000000000.{'s' * 43}", "--data", str(tmp_path)])
    assert result.exit_code == 2 and "sss" not in result.output


def test_a_revoked_key_cannot_be_rotated(tmp_path: Path, database_url: str) -> None:
    """Or whoever lost the right to it could have it back."""
    keys = open_keys(Settings(data_directory=tmp_path, database_url=database_url))
    assert not keys.exist()
    issued = keys.create("one", ["run"], quotas=KeyQuotas(stored_bytes=7))
    assert taken_apart(keys.rotate(issued.row.id).text) != taken_apart(issued.text)
    assert keys.revoke(issued.row.id).revoked_at == keys.revoke(issued.row.id).revoked_at
    with pytest.raises(InputError, match="revoked"):
        keys.rotate(issued.row.id)
    assert key_state(keys.all()[0]) == "revoked" and keys.all()[0].stored_bytes == 7


@pytest.mark.parametrize("verb", ["create", "list", "revoke", "rotate"])
def test_every_verb_shows_an_example(verb: str) -> None:
    result = RUN.invoke(command_line, ["keys", verb, "--help"])
    assert result.exit_code == 0 and f"surrogate keys {verb}" in result.output.split("Example:")[1]


@pytest.mark.parametrize(
    "text",
    ["", "srg_", "srg_0123456789ab", f"srg_0123456789ab.{'a' * 42}", f"srg_0123456789ab.{'a' * 43}\n", "é" * 60,
     f"srg_0123456789AB.{'a' * 43}", f"xsrg_0123456789ab.{'a' * 43}", f"srg_0123456789ab.{'a' * 42}/", "x" * 10**6],
)  # fmt: skip
def test_what_has_not_the_form_of_a_key_is_none(text: str) -> None:
    """It does not reach the database."""
    assert taken_apart(text) is None
