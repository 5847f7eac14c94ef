"""A service that has enough to do says so, and when to come back."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from api.backlog import Backlog, BacklogCollector
from api.database import open_database
from api.errors import BusyError, describe, headers_of
from api.metrics import ServiceMetrics
from api.records import Records
from api.roll import Roll
from api.tables import MeshRow, PredictionRow, now


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(f"sqlite:///{tmp_path / 'service.sqlite'}")


def prediction(name: str, fidelity: str = "surrogate", **changes: object) -> PredictionRow:
    return PredictionRow(id=name, mesh_id="m", name=name, request="{}", fidelity=fidelity, **changes)


def mesh(name: str) -> MeshRow:
    return MeshRow(id=name, name=name, suffix=".step")


def test_new_work_is_refused_while_there_is_too_much(engine: Engine) -> None:
    records, metrics = Records(engine), ServiceMetrics.create()
    backlog = Backlog(engine, 3, metrics)
    rows = [mesh("m1"), prediction("p1"), prediction("p2", "solved")]
    for row in rows:
        backlog.admit(row)
        records.add(row)
    with pytest.raises(BusyError, match="3 jobs wait or run") as caught:
        backlog.admit(prediction("p3"))
    assert describe(caught.value).status == 503
    assert 1 <= int(headers_of(caught.value)["Retry-After"]) <= 60
    # The same part again takes no place, whatever waits.
    backlog.admit(mesh("m1"))
    records.finish(records.prediction("p1"), "done")
    backlog.admit(prediction("p3"))
    assert metrics.registry.get_sample_value("surrogate_refused_total", {"kind": "predict"}) == 1


@pytest.mark.parametrize(("finished", "seconds"), [(60, 1), (6, 10), (1, 60)])
def test_the_wait_follows_from_how_fast_the_service_is(engine: Engine, finished: int, seconds: int) -> None:
    """So many in the last minute: one place is free after a minute divided by them."""
    records = Records(engine)
    for number in range(finished):
        ended = now() - timedelta(seconds=0.9 * 60 * number / finished)
        records.add(prediction(f"done{number}", status="done", finished_at=ended))
    # What ended long ago says nothing of now.
    records.add(prediction("old", status="done", finished_at=now() - timedelta(hours=1)))
    records.add(prediction("waits"))
    with pytest.raises(BusyError) as caught:
        Backlog(engine, 1, ServiceMetrics.create()).admit(prediction("new"))
    assert caught.value.retry_after_s == pytest.approx(seconds, abs=1)


def test_prometheus_sees_each_queue(engine: Engine) -> None:
    records = Records(engine)
    backlog = Backlog(engine, 100, ServiceMetrics.create())
    waiting = prediction("p1", created_at=now() - timedelta(seconds=40))
    for row in (mesh("m1"), waiting, prediction("p2"), prediction("s1", "auto")):
        records.add(row)
    records.begin(records.prediction("p2"), "w")
    told = {
        (family.name, sample.labels.get("kind", "")): sample.value
        for family in BacklogCollector(backlog, Roll(engine), 15.0).collect()
        for sample in family.samples
    }
    assert [told["surrogate_queued_jobs", kind] for kind in ("mesh", "predict", "solve")] == [1, 1, 1]
    assert told["surrogate_running_jobs", "predict"] == 1
    assert told["surrogate_oldest_queued_seconds", "predict"] == pytest.approx(40, abs=5)
    assert told["surrogate_database_up", ""] == 1


def test_prometheus_is_told_when_the_database_is_away(engine: Engine, tmp_path: Path) -> None:
    backlog = Backlog(engine, 100, ServiceMetrics.create())
    engine.dispose()
    for file in tmp_path.glob("service.sqlite*"):
        file.unlink()
    (tmp_path / "service.sqlite").mkdir()
    (family,) = BacklogCollector(backlog, Roll(engine), 15.0).collect()
    assert family.name == "surrogate_database_up" and family.samples[0].value == 0
