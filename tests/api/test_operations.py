"""The operations page says what the program does: names, numbers and messages are the program's, commands work."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from api.keys import open_keys
from api.settings import Settings
from surrogate.cli import app as command_line
from tests.api.postgres_server import PostgresServer
from tests.api.service_process import Server, problem, upload, wait_for_end

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
# Of docker-compose.yml alone.
OF_COMPOSE = {"SURROGATE_API_MEMORY", "SURROGATE_WORKER_MEMORY", "SURROGATE_VERSION"}


def section(title: str) -> str:
    """The text under a heading."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None, title
    return found[1]


def script(title: str) -> str:
    """The commands under a heading that are executed here; those for containers are marked otherwise."""
    blocks = re.findall(r"^```sh\n(.*?)^```", section(title), re.DOTALL | re.MULTILINE)
    assert blocks, title
    return "\n".join(blocks)


def test_the_settings_that_it_names_exist() -> None:
    named = set(re.findall(r"SURROGATE_[A-Z_]+[A-Z]", PAGE)) - OF_COMPOSE
    known = {f"SURROGATE_{name.upper()}" for name in Settings.model_fields}
    assert len(named) > 10 and named <= known


def test_the_quotas_that_it_tells_are_the_defaults() -> None:
    rows = dict(re.findall(r"^\| [^|]+ \| ([^|]+) \| `SURROGATE_(\w+)` \|", section("Who may do what"), re.MULTILINE))
    assert len(rows) == 5
    for told, name in rows.items():
        number, _, unit = told.partition(" ")
        assert int(number) * {"": 1, "MiB": 2**20, "GiB": 2**30}[unit] == getattr(Settings(), name.lower()), name


def test_the_messages_that_it_explains_are_the_program_s() -> None:
    sources = [path for folder in ("api", "surrogate") for path in (ROOT / folder).rglob("*.py")]
    # As a reader sees them: text that is broken over lines is one, and values are left out.
    text = " ".join(re.sub(r'"\s*\n\s*f?"', "", path.read_text()) for path in sources)
    for row in re.findall(r"^\| ([^|]+) \|", section("Troubleshooting"), re.MULTILINE):
        for message in re.findall(r"`([^`/]{20,})`", row):
            fragment = re.split(r"…|\d|another service", message)[0 if "another" not in message else 1].strip()
            assert fragment in text, message


def test_the_commands_for_keys_work(tmp_path: Path) -> None:
    lines = [line.split("#")[0] for line in PAGE.splitlines() if line.startswith("surrogate keys")]
    made: list[str] = []
    for line in lines:
        words = shlex.split(line)[1:]
        # An id of the page stands for one that was made here.
        words = [made[0] if word.startswith("srg_") else word for word in words]
        result = CliRunner().invoke(command_line, [*words, "--data", str(tmp_path)])
        assert result.exit_code == 0, f"{line}: {result.output}"
        if words[1] == "create":
            made.append(result.stdout.split(".")[0].strip())
    assert len(made) >= 3 and len(lines) >= 6


@pytest.mark.slow
def test_a_backup_of_a_running_service_is_restored_whole(tmp_path: Path) -> None:
    """To another directory, as onto another machine: the same keys see the same answers, and work goes on."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    server = Server(first)
    text = open_keys(Settings(data_directory=first / "data")).create("one", ["run"]).text
    places = {"BACKUP": str(tmp_path / "backup"), "PATH": os.environ["PATH"]}
    server.start()
    try:
        with server.client() as client:
            client.headers["X-API-Key"] = text
            mesh = upload(client).json()["id"]
            solved = wait_for_end(client, client.post("/v1/predictions", json=problem(mesh)).headers["Location"])
            assert solved["status"] == "done"
            run(script("Backup"), SURROGATE_DATA_DIRECTORY=str(first / "data"), **places)
    finally:
        server.end()
    run(script("Restore"), SURROGATE_DATA_DIRECTORY=str(second / "data"), **places)
    assert "blobs.tar" in os.listdir(tmp_path / "backup") and os.stat(tmp_path / "backup").st_mode & 0o077 == 0
    restored = Server(second)
    restored.start()
    try:
        with restored.client() as client:
            assert client.get("/v1/predictions").status_code == 401
            client.headers["X-API-Key"] = text
            address = f"/v1/predictions/{solved['id']}"
            assert client.get(address).json()["summary"] == solved["summary"]
            assert client.get(f"{address}/result.vtu").content.startswith(b"<?xml")
            # The queue works on: the mesh that came back is solved for again.
            again = wait_for_end(client, client.post("/v1/predictions", json=problem(mesh)).headers["Location"])
            assert again["status"] == "done"
    finally:
        restored.end()


def test_a_restore_does_not_overwrite_a_service(tmp_path: Path) -> None:
    (tmp_path / "service.sqlite").write_text("mine")
    places = {"SURROGATE_DATA_DIRECTORY": str(tmp_path), "BACKUP": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script("Restore")], env=places, capture_output=True, text=True
    )
    assert done.returncode != 0 and "in use" in done.stderr
    assert (tmp_path / "service.sqlite").read_text() == "mine"


# Does what the page's commands for containers do here: in the database of the tests, in a folder in place of /data.
DOCKER = """#!/bin/bash
set -euo pipefail
case "$*" in
  "compose exec --no-TTY postgres "*) shift 4; exec "$@" ;;
  "compose run --rm --no-deps --no-TTY --entrypoint tar api "*) shift 8; exec tar "${@//\\/data/$DATA}" ;;
  "compose up "* | "compose --profile cpu up "*) ;;
  *) echo "unknown: $*" >&2; exit 1 ;;
esac
"""


def test_a_backup_of_postgres_is_restored_as_it_was(tmp_path: Path, postgres: PostgresServer) -> None:
    """Over what came later, too: whoever restores wants what was there then."""
    with psycopg.connect(postgres.url("postgres", "postgresql"), autocommit=True) as connection:
        connection.execute("create role surrogate superuser login")
        connection.execute("create database surrogate owner surrogate")
    address = f"postgresql+psycopg://surrogate@127.0.0.1:{postgres.port}/surrogate"
    keys = open_keys(Settings(data_directory=tmp_path, database_url=address))
    kept = keys.create("kept", ["run"]).row.id
    data, programs = tmp_path / "data", tmp_path / "programs"
    for folder in (data / "blobs" / "incoming", programs):
        folder.mkdir(parents=True)
    (data / "blobs" / "a").write_text("a part")
    (data / "blobs" / "incoming" / "half").write_text("half a part")
    (programs / "docker").write_text(DOCKER)
    (programs / "docker").chmod(0o755)
    found = {"PATH": f"{programs}:{os.environ['PATH']}", "PGHOST": "127.0.0.1", "PGPORT": str(postgres.port)}
    run(containers("Backup"), directory=tmp_path, DATA=str(data), **found)
    keys.create("later", ["run"])
    restored = tmp_path / "restored"
    restored.mkdir()
    run(containers("Restore"), directory=tmp_path, DATA=str(restored), **found)
    assert [row.id for row in keys.all()] == [kept]
    assert (restored / "blobs" / "a").read_text() == "a part" and not (restored / "blobs" / "incoming").exists()


def containers(title: str) -> str:
    """The commands under a heading that are meant for containers."""
    return "\n".join(re.findall(r"^```bash\n(.*?)^```", section(title), re.DOTALL | re.MULTILINE))


def run(commands: str, directory: Path | None = None, **environment: str) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
