"""Who lives, who is dead, and what becomes of the jobs of the dead."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from api import tables
from api.away import DatabaseAwayError, RefusedError, StorageFullError
from api.database import open_database
from api.engine_log import Seldom
from api.heartbeat import Heart
from api.jobs import DbosQueue, Job
from api.locking import check_layout, clear_scratch, file_system, hold, place_of
from api.naming import job_of
from api.patience import Patience
from api.quarantine import Quarantine
from api.records import Records
from api.roll import Roll, Watch
from api.settings import Settings
from api.sweeper import Sweeper
from api.tables import PredictionRow, WorkerRow

SILENCE_S = 10.0


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Engines:
    """What a worker's job engine knows, for a sweeper to look at."""

    def __init__(self) -> None:
        self.known: dict[Job, bool] = {}
        self.held_by: set[str] = set()
        self.recovered: list[str] = []

    def start(self) -> None: ...

    def submit(self, job: Job) -> None:
        self.known[job] = False

    def over(self, jobs: Sequence[Job]) -> Mapping[Job, bool]:
        return {job: self.known[job] for job in jobs if job in self.known}

    def holders(self) -> set[str]:
        return self.held_by

    def recover(self, workers: Collection[str]) -> int:
        self.recovered += sorted(workers)
        self.held_by -= set(workers)
        return len(workers)

    def readopt(self) -> int:
        return 0

    def forget(self, age: timedelta) -> int:
        return 0

    def drain(self, patience_s: float, hurry: threading.Event) -> int:
        return 0


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = open_database(database_url)
    yield opened
    opened.dispose()


def worker(name: str, *, place: str = "here", instance: str = "1") -> WorkerRow:
    return WorkerRow(id=name, host="host-of-" + name, place=place, instance=instance, version="1")


def joined(roll: Roll, name: str, **facts: str) -> WorkerRow:
    row = worker(name, **facts)
    roll.join(row, SILENCE_S)
    roll.begin(row.id, row.instance, {"device": "cpu"})
    return row


def prediction(name: str) -> PredictionRow:
    return PredictionRow(id=name, mesh_id="mesh", name=name, request="{}", fidelity="solved")


def test_a_worker_counts_once_it_takes_jobs_and_while_its_heart_beats(engine: Engine) -> None:
    roll = Roll(engine)
    roll.join(worker("w1"), SILENCE_S)
    assert roll.living(SILENCE_S) == 0
    roll.begin("w1", "1", {"device": "cpu"})
    assert roll.beat("w1", "1") and roll.living(SILENCE_S) == 1
    assert roll.living(0.0) == 0
    assert not roll.beat("w1", "2"), "another process of the name is not on the roll"
    roll.leave("w1", "1")
    assert roll.workers() == [] and roll.living(SILENCE_S) == 0


@pytest.mark.parametrize("off_by", [timedelta(days=1), timedelta(days=-1)])
def test_a_wrong_clock_kills_nobody(engine: Engine, monkeypatch: pytest.MonkeyPatch, off_by: timedelta) -> None:
    """Of a worker's own clock nothing is told or compared: the beats are timed by the database and by who watches."""
    true_now, clock = tables.now, Clock()
    monkeypatch.setattr("api.tables.now", lambda: true_now() + off_by)
    roll = Roll(engine)
    joined(roll, "w1")
    roll.beat("w1", "1")
    assert roll.living(SILENCE_S) == 1
    watch = Watch(roll, SILENCE_S, clock=clock)
    for _ in range(10):
        clock.now += SILENCE_S / 3
        roll.beat("w1", "1")
        assert [row.id for row in watch.look()[0]] == ["w1"]


def test_a_database_whose_clock_jumps_kills_nobody(engine: Engine) -> None:
    roll, clock = Roll(engine), Clock()
    joined(roll, "w1")
    watch = Watch(roll, SILENCE_S, clock=clock)
    watch.look()
    for jump in (timedelta(hours=-5), timedelta(hours=9)):
        with Session(engine) as session, session.begin():
            # What it wrote before it jumped.
            session.execute(update(WorkerRow).values(beat_at=tables.now() + jump, beats=WorkerRow.beats + 1))
        clock.now += SILENCE_S / 2
        assert [row.id for row in watch.look()[0]] == ["w1"]
        # `readyz` asks but once; the next beat puts it right.
        roll.beat("w1", "1")
        assert roll.living(SILENCE_S) == 1


def test_only_who_does_not_beat_while_somebody_watches_is_dead(engine: Engine) -> None:
    roll, clock = Roll(engine), Clock()
    watch = Watch(roll, SILENCE_S, clock=clock)
    joined(roll, "w1")
    joined(roll, "w2")
    for _ in range(4):
        clock.now += SILENCE_S / 2
        roll.beat("w1", "1")
        living, silent = watch.look()
    assert ([row.id for row in living], [row.id for row in silent]) == (["w1"], ["w2"])
    # Who watches stood still itself: nobody is judged by that time.
    clock.now += 100 * SILENCE_S
    assert watch.look()[1] == []


def test_nobody_died_while_the_database_was_away(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """All hearts stop then; the first one that beats again must not bury the others."""
    roll, clock = Roll(engine), Clock()
    watch = Watch(roll, SILENCE_S, clock=clock)
    joined(roll, "w1")
    watch.look()
    with monkeypatch.context() as patched:
        patched.setattr(roll, "workers", lambda: (_ for _ in ()).throw(DatabaseAwayError("away")))
        for _ in range(9):
            clock.now += SILENCE_S / 3
            with pytest.raises(DatabaseAwayError):
                watch.look()
    assert watch.look()[1] == []


def test_a_second_worker_of_a_name_is_refused_while_the_first_lives(engine: Engine) -> None:
    clock, others = Clock(), Roll(engine)

    def wait(seconds: float) -> None:
        clock.sleep(seconds)
        others.beat("w1", "1")

    joined(others, "w1", place="elsewhere")
    with pytest.raises(RefusedError, match="'w1' lives on host-of-w1"):
        Roll(engine, clock=clock, sleep=wait).join(worker("w1", instance="2"), SILENCE_S)
    # Its heart stopped: after a silence its name is free.
    started = clock.now
    Roll(engine, clock=clock, sleep=clock.sleep).join(worker("w1", instance="2"), SILENCE_S)
    assert SILENCE_S <= clock.now - started < 2 * SILENCE_S
    # In the same data directory a held file tells, and nobody waits.
    started = clock.now
    Roll(engine, clock=clock, sleep=clock.sleep).join(worker("w1", instance="3"), SILENCE_S)
    assert clock.now == started
    assert [(row.id, row.instance) for row in others.workers()] == [("w1", "3")]


def sweeper(engine: Engine, jobs: Engines, name: str, clock: Clock, deposed: Callable[[], None]) -> Sweeper:
    return Sweeper(Records(engine), jobs, Roll(engine), name, "1", silence_s=SILENCE_S, deposed=deposed, clock=clock)


def never() -> None:
    raise AssertionError("it lives")


def test_the_jobs_of_the_dead_are_given_to_the_living(engine: Engine) -> None:
    records, roll, jobs, clock = Records(engine), Roll(engine), Engines(), Clock()
    for name in ("w1", "w2"):
        joined(roll, name)
        row = prediction(f"of-{name}")
        records.add(row)
        records.begin(records.prediction(row.id), name)
    jobs.held_by = {"w1", "w2"}
    one = sweeper(engine, jobs, "w1", clock, never)
    taken = 0
    for _ in range(4):
        clock.now += SILENCE_S / 2
        roll.beat("w1", "1")
        taken += one.take_over()
    assert taken == 1 and jobs.recovered == ["w2"]
    assert records.prediction("of-w2").status == "queued" and records.prediction("of-w2").attempts == 1
    assert records.prediction("of-w1").status == "running"
    assert [row.id for row in roll.workers()] == ["w1"]


def test_jobs_of_who_is_not_on_the_roll_are_taken_at_once(engine: Engine) -> None:
    """It left, or who dismissed it died before the jobs were given away."""
    roll, jobs = Roll(engine), Engines()
    joined(roll, "w1")
    jobs.held_by = {"gone", "w1"}
    assert sweeper(engine, jobs, "w1", Clock(), never).take_over() == 1
    assert jobs.recovered == ["gone"]


def test_who_was_taken_for_dead_is_told(engine: Engine) -> None:
    roll, told = Roll(engine), threading.Event()
    row = joined(roll, "w1")
    one = sweeper(engine, Engines(), "w1", Clock(), told.set)
    one.take_over()
    assert not told.is_set()
    assert roll.dismiss(row)
    one.take_over()
    assert told.is_set()


def test_a_beat_in_the_last_moment_saves(engine: Engine) -> None:
    roll = Roll(engine)
    joined(roll, "w1")
    seen = roll.workers()[0]
    roll.beat("w1", "1")
    assert not roll.dismiss(seen) and len(roll.workers()) == 1


def test_rows_without_a_job_get_one(engine: Engine) -> None:
    """The service was killed between the row and its job, or the job was over before it ended its row."""
    records, jobs = Records(engine), Engines()
    joined(Roll(engine), "w1")
    for name in ("no-job", "waits", "job-is-over", "done"):
        records.add(prediction(name))
    records.finish(records.prediction("done"), "done")
    jobs.known = {job_of(records.prediction("waits")): False, job_of(records.prediction("job-is-over")): True}
    one = sweeper(engine, jobs, "w1", Clock(), never)
    assert one.resubmit() == 2
    assert one.resubmit() == 0
    for name in ("no-job", "waits", "job-is-over"):
        assert jobs.known[job_of(records.prediction(name))] is False
    assert len(jobs.known) == 4, "the job that is over stays over; its row has another"


def test_what_cannot_be_submitted_is_left_to_the_workers(database_url: str) -> None:
    """The engine's tables are made by the first worker; a request that comes before it is not refused for that."""
    queue = DbosQueue(database_url)
    queue.submit(Job("solve", "row", "run"))
    queue.close()


def test_a_heart_beats_on_when_the_database_comes_back(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    roll = Roll(engine)
    joined(roll, "w1")
    beaten, away = threading.Semaphore(0), threading.Event()

    def beat(worker_id: str, instance: str) -> bool:
        beaten.release()
        if away.is_set():
            raise DatabaseAwayError("away")
        return Roll(engine).beat(worker_id, instance)

    monkeypatch.setattr(roll, "beat", beat)
    heart = Heart(roll, "w1", "1", 0.01)
    heart.start()
    for phase in (False, True, False):
        (away.set if phase else away.clear)()
        for _ in range(3):
            assert beaten.acquire(timeout=30)
    heart.stop()
    assert roll.workers()[0].beats > 2


def test_suspects_are_alone() -> None:
    quarantine = Quarantine()
    running: list[str] = []
    beside: dict[str, int] = {}

    def job(name: str) -> None:
        with quarantine.room(suspect=name.startswith("suspect")):
            running.append(name)
            time.sleep(0.03)
            beside[name] = len(running)
            running.remove(name)

    names = [f"{kind} {number}" for number in range(4) for kind in ("suspect", "fresh")]
    threads = [threading.Thread(target=job, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(beside) == len(names)
    assert [count for name, count in beside.items() if name.startswith("suspect")] == [1] * 4


def test_jobs_that_never_met_a_death_go_together() -> None:
    quarantine, together = Quarantine(), threading.Barrier(3, timeout=30)

    def job() -> None:
        with quarantine.room(suspect=False):
            together.wait()

    threads = [threading.Thread(target=job) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not together.broken


def test_nobody_waits_for_ever_for_a_long_suspect() -> None:
    """A solution of hours was running when the machine was switched off: predictions are not to wait for hours."""
    clock = Clock()
    quarantine = Quarantine(alone_s=30.0, clock=clock)
    with ExitStack() as stack:
        # Not alone: somebody runs for long.
        stack.enter_context(quarantine.room(suspect=False))
        entered, gone = threading.Event(), threading.Event()

        def suspect() -> None:
            with quarantine.room(suspect=True):
                entered.set()
                gone.wait(30)

        thread = threading.Thread(target=suspect)
        thread.start()
        assert not entered.wait(0.7)
        clock.now += 31
        assert entered.wait(30), "it goes beside what does not end"
        clock.now += 31
        stack.enter_context(quarantine.room(suspect=False))
        gone.set()
        thread.join(30)


def test_patience_outlasts_what_comes_back_and_nothing_else() -> None:
    slept: list[float] = []
    stages: list[str] = []
    failures: list[Exception] = [
        DatabaseAwayError("away"),
        OSError(28, "No space left on device"),
        StorageFullError(""),
    ]

    def work() -> str:
        if failures:
            raise failures.pop(0)
        return "done"

    patience = Patience(slept.append)
    assert patience.until_done(work, stages.append) == "done"
    assert stages == ["waiting for the database"] + 2 * ["waiting for room on the disk"]
    assert slept == sorted(slept) and slept[0] < 1
    failures.append(OSError(5, "Input/output error"))
    with pytest.raises(OSError, match="Input/output"):
        patience.until_done(work)
    failures.append(DatabaseAwayError("away"))
    with pytest.raises(InterruptedError):
        # Whoever waits may be told that it is cancelled.
        patience.until_done(work, lambda stage: (_ for _ in ()).throw(InterruptedError()))


def test_the_engine_repeats_itself_seldom() -> None:
    clock = Clock()
    seldom = Seldom(30.0, clock)

    def said(text: str) -> bool:
        return seldom.filter(logging.LogRecord("dbos", logging.WARNING, "", 0, text, None, None))

    assert said("no database") and not said("no database") and said("something else")
    clock.now += 31
    assert said("no database") and not said("no database")


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/export /srv/share nfs4 rw 0 0
/dev/sdb1 /srv/share/local xfs rw 0 0
me@host:/ /home/me/my\\040files fuse.sshfs rw 0 0
drvfs /mnt/c 9p rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/data", "ext4"),
        ("/srv/share/data", "nfs4"),
        ("/srv/shared", "ext4"),
        ("/srv/share/local/data", "xfs"),
        ("/home/me/my files/x", "fuse.sshfs"),
        ("/mnt/c/data", "9p"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_the_deepest_mount(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


def test_sqlite_is_refused_where_it_would_lose_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_layout(Settings(data_directory=tmp_path))
    with pytest.raises(RefusedError, match=r"SURROGATE_WORKERS = 2.*Postgres"):
        check_layout(Settings(data_directory=tmp_path, workers=2))
    monkeypatch.setattr("api.locking.file_system", lambda path, mounts: "nfs4")
    with pytest.raises(RefusedError, match=r"network file system.*nfs4.*SURROGATE_DATA_DIRECTORY"):
        check_layout(Settings(data_directory=tmp_path))
    check_layout(Settings(data_directory=tmp_path, workers=2, database_url="postgresql+psycopg://host/db"))


def test_of_a_name_there_is_one_in_a_data_directory(tmp_path: Path) -> None:
    there = Settings(data_directory=tmp_path, database_url="postgresql+psycopg://host/db", worker_id="w1")
    other = there.model_copy(update={"worker_id": "w2"})
    first, beside, another = hold(there, "worker"), hold(other, "worker"), hold(there, "service")
    with pytest.raises(RefusedError, match=r"another worker called 'w1'.*--name"):
        hold(there, "worker")
    first.close()
    again = hold(there, "worker")
    for stream in (again, beside, another):
        stream.close()


def test_scratch_of_the_dead_is_cleared_and_that_of_the_living_is_not(tmp_path: Path) -> None:
    there = Settings(data_directory=tmp_path, database_url="postgresql+psycopg://host/db", worker_id="w1")
    other = there.model_copy(update={"worker_id": "w2"})
    living = hold(other, "worker")
    for name in ("worker-w1", "worker-w2", "worker-dead", "service-w1"):
        (tmp_path / "blobs" / "incoming" / name / "x").mkdir(parents=True)
    clear_scratch(there, "worker")
    left = {path.name for path in (tmp_path / "blobs" / "incoming").iterdir()}
    assert left == {"worker-w1", "worker-w2", "service-w1"}
    living.close()


def test_a_data_directory_has_one_name(tmp_path: Path) -> None:
    names: list[str] = []
    threads = [threading.Thread(target=lambda: names.append(place_of(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 8 and set(names) == {place_of(tmp_path)} and len(names[0]) == 32
    assert [path.name for path in tmp_path.iterdir()] == ["place"]
