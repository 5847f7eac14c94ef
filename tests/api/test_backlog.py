"""A service that has enough to do says so, and when to come back."""

import subprocess
import sys
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
from tests.api.service_process import ROOT


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(f"sqlite:///{tmp_path / 'service.sqlite'}")


def prediction(name: str, fidelity: str = "surrogate", owner: str = "a", **changes: object) -> PredictionRow:
    return PredictionRow(id=name, owner=owner, mesh_id="m", name=name, request="{}", fidelity=fidelity, **changes)


def mesh(name: str) -> MeshRow:
    return MeshRow(id=name, owner="a", name=name, suffix=".step")


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


def test_owners_take_turns_however_much_one_of_them_asks_for(engine: Engine) -> None:
    """Of two owners with work in the queue each is served every other time, whoever came first."""
    records, backlog = Records(engine), Backlog(engine, 100, ServiceMetrics.create())
    for number, owner in enumerate("aaaaaabbaab"):
        row = prediction(f"{number:02}{owner}", owner=owner)
        backlog.admit(row)
        records.add(row)
    order = sorted(records.unfinished(), key=lambda row: (row.turn, row.created_at))
    served = "".join(row.id[-1] for row in order)
    assert served == "abababaaaaa"
    # Who comes when five of them are done neither waits behind all others nor is paid back for the time before.
    for row in order[:5]:
        records.finish(row, "done")
    late = [prediction(f"late{number}", owner="c") for number in range(2)]
    for row in late:
        backlog.admit(row)
        records.add(row)
    order = sorted(records.unfinished(), key=lambda row: (row.turn, row.created_at))
    assert [row.owner for row in order[:5]] == ["b", "c", "a", "c", "a"]


def test_nobody_keeps_others_out_by_asking_for_much(engine: Engine) -> None:
    records, backlog = Records(engine), Backlog(engine, 10, ServiceMetrics.create())
    for number in range(10):
        records.add(prediction(f"a{number}", owner="a"))
    with pytest.raises(BusyError):
        backlog.admit(prediction("more", owner="a"))
    for number in range(5):
        row = prediction(f"b{number}", owner="b")
        backlog.admit(row)
        records.add(row)
    with pytest.raises(BusyError):
        backlog.admit(prediction("too many", owner="b"))


@pytest.mark.slow
def test_the_engine_does_jobs_in_their_turn(tmp_path: Path) -> None:
    """Submitted the wrong way round while the one worker is busy; one after the other once it is not."""
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    done = subprocess.run([sys.executable, "-c", _IN_TURN, url], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["one", "two-older", "two-newer", "three"]


# DBOS is one a process, so that it gets one of its own.
_IN_TURN = """
import os, sys, threading

from api.jobs import DbosEngine, DbosQueue, Job

order, began, go, all_done = [], threading.Event(), threading.Event(), threading.Event()

def handle(row_id, run):
    if row_id == "first":
        began.set()
        assert go.wait(60)
        return
    order.append(row_id)
    if len(order) == 4:
        all_done.set()

DbosEngine({"predict": handle}, {"predict": 1}, database_url=sys.argv[1], worker_id="w", poll_s=0.05).start()
queue = DbosQueue(sys.argv[1])
queue.submit(Job("predict", "first", "r"))
assert began.wait(60)
for turn, name in ((3, "three"), (2, "two-older"), (2, "two-newer"), (1, "one")):
    queue.submit(Job("predict", name, "r", turn))
go.set()
assert all_done.wait(60), order
print(*order, flush=True)
os._exit(0)
"""
