"""A job ends its row once, whatever happens to it."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine

from api.away import DatabaseAwayError, StorageFullError
from api.database import open_database
from api.guard import Facts, Guard
from api.metrics import WorkerMetrics
from api.patience import Patience
from api.quarantine import Quarantine
from api.records import Records
from api.tables import MeshRow, PredictionRow
from api.tracing import NoTracing
from surrogate import GeometryError

ATTEMPTS = 3


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = open_database(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def records(engine: Engine) -> Records:
    records = Records(engine)
    records.add(MeshRow(id="mesh", name="a.step", suffix=".step"))
    records.add(PredictionRow(id="a", mesh_id="mesh", name="a", request="{}", fidelity="solved"))
    return records


def guard(records: Records, worker: str = "w1") -> Guard:
    waits_for_nobody = Patience(lambda seconds: None)
    return Guard(records, worker, ATTEMPTS, waits_for_nobody, Quarantine(), WorkerMetrics.create(), NoTracing())


def solve(records: Records, work: Callable[[PredictionRow], Facts], run: str | None = None) -> None:
    run = run or records.prediction("a").run
    guard(records).run("solve", run, lambda: records.prediction("a"), work)


def test_a_job_ends_its_row_and_does_nothing_the_next_time(records: Records) -> None:
    done: list[str] = []
    run = records.prediction("a").run
    for _ in range(2):
        solve(records, lambda row: done.append(row.id), run)
    row = records.prediction("a")
    assert done == ["a"] and (row.status, row.attempts, row.worker, row.progress) == ("done", 1, "w1", 1.0)


def test_a_job_of_another_run_or_of_a_deleted_row_does_nothing(records: Records) -> None:
    def never(row: PredictionRow) -> Facts:
        raise AssertionError("not its work")

    solve(records, never, "another")
    assert records.prediction("a").attempts == 0
    guard(records).run("solve", "r", lambda: records.prediction("gone"), never)


@pytest.mark.parametrize("died", [ATTEMPTS - 1, ATTEMPTS])
def test_what_killed_so_many_workers_is_not_tried_again(records: Records, died: int) -> None:
    for _ in range(died):
        records.begin(records.prediction("a"), "w0")
        records.release(["w0"], planned=False)
    done: list[str] = []
    solve(records, lambda row: done.append(row.id))
    row = records.prediction("a")
    if died < ATTEMPTS:
        assert done == ["a"] and row.status == "done"
    else:
        assert done == [] and row.status == "failed"
        assert row.error is not None and f"died {ATTEMPTS} times" in str(row.error["detail"])


@pytest.mark.parametrize("away", [DatabaseAwayError("away"), StorageFullError("full"), OSError(28, "No space left")])
def test_a_job_does_not_fail_because_something_is_away(records: Records, away: Exception) -> None:
    failures = [away, away]

    def work(row: PredictionRow) -> Facts:
        if failures:
            raise failures.pop()
        return None

    solve(records, work)
    assert (records.prediction("a").status, records.prediction("a").attempts) == ("done", 1)


def test_what_is_wrong_with_a_problem_is_its_outcome(records: Records) -> None:
    def told(row: PredictionRow) -> Facts:
        raise GeometryError("no volume")

    solve(records, told)
    error = records.prediction("a").error
    assert error is not None and (error["status"], error["detail"]) == (422, "no volume")


def test_who_was_taken_for_dead_leaves_the_row_to_the_other(records: Records) -> None:
    def work(row: PredictionRow) -> Facts:
        records.release(["w1"], planned=False)
        records.begin(records.prediction("a"), "w2")
        guard(records).progress(row)("solve", 0.5)
        raise AssertionError("it goes on")

    solve(records, work)
    row = records.prediction("a")
    assert (row.status, row.worker, row.attempts, row.progress) == ("running", "w2", 2, 0.0)


def test_a_cancelled_job_ends_at_its_next_report(records: Records) -> None:
    def work(row: PredictionRow) -> Facts:
        records.ask_to_cancel("a")
        guard(records).progress(row)("solve", 0.5)
        raise AssertionError("it goes on")

    solve(records, work)
    assert records.prediction("a").status == "cancelled"


def test_progress_that_cannot_be_stored_holds_nothing_up(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    def report(*_: object) -> str:
        raise DatabaseAwayError("away")

    def work(row: PredictionRow) -> Facts:
        with monkeypatch.context() as patched:
            patched.setattr(records, "report", report)
            guard(records).progress(row)("solve", 0.5)
        return None

    solve(records, work)
    assert records.prediction("a").status == "done"


def test_an_outcome_that_cannot_be_stored_fails_the_job(records: Records, engine: Engine) -> None:
    """Else it would be found without a job, and done again, for ever. Postgres takes no NaN for JSON."""
    run = records.mesh("mesh").run
    guard(records).run("mesh", run, lambda: records.mesh("mesh"), lambda row: {"volume_m3": float("nan")})
    row = records.mesh("mesh")
    if engine.dialect.name == "postgresql":
        assert row.status == "failed" and row.error is not None and row.error["status"] == 500
    else:
        assert row.status == "ready"
