"""Settings come from the environment, and only there is it read."""

import ast
from pathlib import Path

import pytest
from pydantic import ValidationError

from api.settings import Settings
from tests.api.service_process import ROOT


def test_the_environment_sets_what_is_not_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SURROGATE_PORT", "9000")
    monkeypatch.setenv("SURROGATE_DATA_DIRECTORY", str(tmp_path))
    assert Settings().port == 9000
    assert Settings(port=9001).port == 9001
    assert Settings().metadata_url == f"sqlite:///{tmp_path}/service.sqlite"
    assert Settings().jobs_url == f"sqlite:///{tmp_path}/jobs.sqlite"
    assert Settings().single_process


def test_postgres_holds_both_kinds_of_tables() -> None:
    shared = Settings(database_url="postgresql+psycopg://surrogate@db/surrogate")
    assert shared.jobs_url == shared.metadata_url
    assert not shared.single_process


@pytest.mark.parametrize("name", ["../other", "a/b", "", "."])
def test_a_worker_id_is_a_harmless_directory_name(name: str) -> None:
    with pytest.raises(ValidationError):
        Settings(worker_id=name)


def test_nothing_else_in_the_service_reads_the_environment() -> None:
    """`api/demo.py` is a client that starts a service, not a part of it."""
    readers = set()
    for path in (ROOT / "api").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"):
                readers.add(path.name)
    assert readers <= {"demo.py", "settings.py"}
