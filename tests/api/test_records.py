"""A row ends once, whoever ends it; files appear whole or not at all."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.blobs import Blobs, of_mesh
from api.database import newest_revision, open_database
from api.errors import ConflictError, NotFoundError
from api.records import Records
from api.tables import LOCAL_OWNER, MeshRow, PredictionRow, Table
from surrogate import InfrastructureError


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    engine = open_database(database_url)
    yield Records(engine)
    engine.dispose()


def prediction(name: str, **changes: str) -> PredictionRow:
    return PredictionRow(id=name, mesh_id="mesh", name=name, request="{}", fidelity="solved", **changes)


def test_a_row_ends_once(records: Records) -> None:
    row = prediction("a")
    assert records.add(row) and not records.add(prediction("a"))
    assert records.begin(row, "w") and records.begin(row, "w")
    assert records.prediction("a").attempts == 2
    assert records.finish(row, "done")
    assert not records.finish(row, "failed")
    assert not records.begin(row, "w")
    assert records.prediction("a").status == "done"


def test_only_the_last_attempt_may_report_and_finish(records: Records) -> None:
    """Who was taken for dead and lives on does not disturb who took the row over."""
    records.add(prediction("a"))
    first, second = records.prediction("a"), records.prediction("a")
    assert records.begin(first, "w1") and records.release(["w1"], planned=False) == 1
    assert records.prediction("a").status == "queued"
    assert records.begin(second, "w2")
    assert records.report(first, "solve", 0.5) == "lost" and not records.finish(first, "failed")
    assert records.report(second, "solve", 0.5) == "on" and records.finish(second, "done")
    row = records.prediction("a")
    assert (row.status, row.attempts, row.worker) == ("done", 2, "w2")


def test_a_planned_end_is_no_attempt(records: Records) -> None:
    """Nor may who ended then count as the one that begins next, though it is of the same number."""
    row = prediction("a")
    records.add(row)
    mine = records.prediction("a")
    records.begin(mine, "w1")
    assert records.release(["w1", "w9"], planned=True) == 1
    assert records.prediction("a").attempts == 0
    records.begin(records.prediction("a"), "w2")
    assert records.report(mine, "solve", 0.5) == "lost" and not records.finish(mine, "done")


def test_a_release_leaves_alone_what_is_not_in_hand(records: Records) -> None:
    ended, waiting, others = prediction("ended"), prediction("waiting"), prediction("others")
    for row in (ended, waiting, others):
        records.add(row)
    records.begin(ended, "w1")
    records.finish(ended, "done")
    records.begin(others, "w2")
    assert records.release(["w1"], planned=False) == 0
    assert [records.prediction(name).status for name in ("ended", "waiting", "others")] == ["done", "queued", "running"]


def test_a_row_is_run_again_once(records: Records) -> None:
    """Two sweepers find the same row without a job."""
    records.add(prediction("a"))
    seen = records.unfinished()[0]
    assert seen.run == records.prediction("a").run
    again = records.rerun(seen)
    assert again is not None and again.run != seen.run and records.rerun(seen) is None
    assert not records.begin(seen, "w"), "the job of the old run has nothing to do"
    records.begin(again, "w")
    records.finish(again, "done")
    assert records.rerun(again) is None


def test_a_renewed_row_is_another_job(records: Records) -> None:
    """The job engine runs a name once; the same name again would do nothing."""
    row = prediction("a")
    records.add(row)
    first = records.prediction("a").run
    records.finish(row, "failed")
    renewed = records.renew(row)
    assert renewed.run != first and renewed.status == "queued"


def test_cancelling_is_told_to_the_job(records: Records) -> None:
    waiting, running = prediction("waiting"), prediction("running")
    for row in (waiting, running):
        records.add(row)
    records.begin(running, "w")
    assert records.ask_to_cancel("waiting").status == "cancelled"
    assert records.ask_to_cancel("running").status == "running"
    assert records.report(running, "solve", 0.5) == "cancelled"
    records.finish(running, "cancelled")
    assert records.ask_to_cancel("running").status == "cancelled"
    with pytest.raises(NotFoundError):
        records.ask_to_cancel("nobody")


def test_what_is_in_use_is_not_deleted(records: Records) -> None:
    mesh = MeshRow(id="mesh", name="a.step", suffix=".step")
    records.add(mesh)
    with pytest.raises(ConflictError, match="queued"):
        records.delete(mesh)
    records.finish(mesh, "ready", facts={"points": 1})
    row = prediction("a")
    records.add(row)
    with pytest.raises(ConflictError, match="predictions"):
        records.delete(mesh)
    records.finish(row, "done")
    records.delete(row)
    records.delete(mesh)
    with pytest.raises(NotFoundError):
        records.mesh("mesh")


def test_pages_follow_each_other(records: Records) -> None:
    for name in "abcde":
        records.add(prediction(name))
    first = records.predictions(2)
    second = records.predictions(9, after=first[-1].id)
    assert [row.id for row in (*first, *second)] == list("edcba")


def test_tables_of_a_newer_release_are_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'service.sqlite'}"
    with Session(open_database(url)) as session, session.begin():
        session.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(InfrastructureError, match="9999"):
        open_database(url)


def test_tables_of_the_first_release_are_migrated(tmp_path: Path) -> None:
    """What a user has is kept, and belongs to the open service."""
    path = tmp_path / "service.sqlite"
    with sqlite3.connect(path) as database:
        database.executescript(Path(__file__).with_name("first_release.sql").read_text())
    engine = open_database(f"sqlite:///{path}")
    found = Records(engine).prediction("p", LOCAL_OWNER)
    assert (found.name, found.idempotency_key, found.revision) == ("bracket", "k", 0)
    # The key was everybody's; now it is its owner's.
    other = PredictionRow(id="q", owner="other", mesh_id="m", name="b", request="{}", fidelity="solved")
    other.idempotency_key = "k"
    assert Records(engine).add(other)
    with Session(engine) as session:
        assert session.scalar(text("select version_num from alembic_version")) == newest_revision()


def test_the_migrated_tables_are_those_of_the_code(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'service.sqlite'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        differences = [
            change
            for change in compare_metadata(context, Table.metadata)
            if "surrogate_schema" not in str(change)  # left over from the first release
        ]
    assert differences == []


def test_nobody_sees_what_is_anothers(records: Records) -> None:
    mine = prediction("mine", owner="a", idempotency_key="k")
    assert records.add(mine) and records.add(prediction("theirs", owner="b", idempotency_key="k"))
    assert records.prediction("mine", "a").id == "mine"
    with pytest.raises(NotFoundError):
        records.prediction("mine", "b")
    assert [row.id for row in records.predictions(9, owner="a")] == ["mine"]
    assert records.prediction_of_key("k", "b").id == "theirs"  # type: ignore[union-attr]
    assert (records.unfinished_count(), records.unfinished_count("a")) == (2, 1)


def test_every_change_is_a_new_revision(records: Records) -> None:
    """Clients that follow a row by its revision miss nothing."""
    row = prediction("a")
    records.add(row)
    seen = [records.prediction("a").revision]
    for change in (
        lambda: records.begin(row, "w"),
        lambda: records.report(row, "solve", 0.5),
        lambda: records.ask_to_cancel("a"),
        lambda: records.finish(row, "cancelled"),
        lambda: records.renew(row),
    ):
        change()
        seen.append(records.prediction("a").revision)
    assert seen == sorted(set(seen))


def test_scratch_is_gone_and_kept_files_are_not(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path, "worker-0")
    with blobs.scratch() as scratch:
        (scratch / "made").write_text("whole")
        (scratch / "rest").write_text("rest")
        kept = blobs.keep(scratch / "made", f"{of_mesh('m')}/file")
    assert kept.read_text() == "whole" and not scratch.exists()
    # A worker that died leaves scratch behind; the next of its name clears it, and no other's.
    other, left = tmp_path / "incoming" / "worker-1" / "x", tmp_path / "incoming" / "worker-0" / "x"
    for directory in (other, left):
        directory.mkdir(parents=True)
    Blobs(tmp_path, "worker-0")
    assert other.exists() and not left.exists()
