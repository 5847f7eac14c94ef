"""The health check of a worker's container looks where its heart beats."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from api import worker_health
from api.database import open_database
from api.tables import WorkerRow, now
from api.worker_health import trouble


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(f"sqlite:///{tmp_path / 'service.sqlite'}")


def beat(engine: Engine, worker_id: str, ago_s: float) -> None:
    with Session(engine) as session:
        beat_at = now() - timedelta(seconds=ago_s)
        session.merge(WorkerRow(id=worker_id, host="here", place="p", instance="i", version="1", beat_at=beat_at))
        session.commit()


def test_a_worker_that_beats_is_well(engine: Engine) -> None:
    beat(engine, "other", 0)
    assert "never heard of" in str(trouble(engine, "mine", 15))
    beat(engine, "mine", 3)
    assert trouble(engine, "mine", 15) is None


def test_a_silent_one_is_not(engine: Engine) -> None:
    beat(engine, "mine", 16)
    beat(engine, "mine2", 0)
    assert "silent" in str(trouble(engine, "mine", 15))


def test_the_workers_that_a_service_keeps_alive_count_as_its_own(engine: Engine) -> None:
    beat(engine, "mine-0", 0)
    assert trouble(engine, "mine", 15) is None
    assert trouble(engine, "min_", 15) is not None


def test_a_database_that_is_away_is_trouble(tmp_path: Path) -> None:
    assert "database" in str(trouble(create_engine(f"sqlite:///{tmp_path / 'none' / 'x.sqlite'}"), "mine", 15))


def test_it_ends_with_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SURROGATE_DATA_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("SURROGATE_WORKER_ID", "mine")
    opened = open_database(f"sqlite:///{tmp_path / 'service.sqlite'}")
    assert worker_health.main() == 1
    beat(opened, "mine", 0)
    assert worker_health.main() == 0 and capsys.readouterr().out.endswith("well\n")
