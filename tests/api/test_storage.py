"""A row ends once, whoever ends it; files appear whole or not at all."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.errors import ConflictError, NotFoundError
from api.storage import Blobs, MeshRow, PredictionRow, Records, open_database
from surrogate import InfrastructureError


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(open_database(f"sqlite:///{tmp_path / 'service.sqlite'}"))


def prediction(name: str, **changes: str) -> PredictionRow:
    return PredictionRow(id=name, mesh_id="mesh", name=name, request="{}", fidelity="solved", **changes)


def test_a_row_ends_once(records: Records) -> None:
    row = prediction("a")
    assert records.add(row) and not records.add(prediction("a"))
    assert records.begin(row) and records.begin(row)
    assert records.prediction("a").attempts == 2
    assert records.finish(row, "done")
    assert not records.finish(row, "failed")
    assert not records.begin(row)
    assert records.prediction("a").status == "done"


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
    records.begin(running)
    assert records.ask_to_cancel("waiting").status == "cancelled"
    assert records.ask_to_cancel("running").status == "running"
    assert not records.report("running", "solve", 0.5)
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


def test_tables_of_another_version_are_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'service.sqlite'}"
    with Session(open_database(url)) as session, session.begin():
        session.execute(text("update surrogate_schema set version = 99"))
    with pytest.raises(InfrastructureError, match="version 99"):
        open_database(url)


def test_scratch_is_gone_and_kept_files_are_not(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path, "worker-0")
    with blobs.scratch() as scratch:
        (scratch / "made").write_text("whole")
        (scratch / "rest").write_text("rest")
        kept = blobs.keep(scratch / "made", blobs.of_mesh("m") / "file")
    assert kept.read_text() == "whole" and not scratch.exists()
    # A worker that died leaves scratch behind; the next of its name clears it, and no other's.
    other, left = tmp_path / "incoming" / "worker-1" / "x", tmp_path / "incoming" / "worker-0" / "x"
    for directory in (other, left):
        directory.mkdir(parents=True)
    Blobs(tmp_path, "worker-0")
    assert other.exists() and not left.exists()
