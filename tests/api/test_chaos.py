"""The chaos in short, on both databases; `make chaos` has 500 jobs and 20 kills."""

from pathlib import Path

import pytest

from tests.api.chaos import run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("database", "workers"), [("sqlite", 1), ("postgres", 2)])
def test_nothing_is_lost_when_processes_are_killed_at_random(
    tmp_path: Path, request: pytest.FixtureRequest, database: str, workers: int
) -> None:
    outcome = run(
        tmp_path,
        database=database,
        jobs=40,
        kills=4,
        workers=workers,
        seed=3,
        postgres=request.getfixturevalue("postgres") if database == "postgres" else None,
    )
    assert outcome.found == [], "\n".join(outcome.found)
    assert sum(outcome.kills.values()) == 4 and sum(outcome.attempts.values()) == 41
