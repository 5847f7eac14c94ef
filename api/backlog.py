"""How much work waits, and when a service that has too much of it takes more."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from api.away import AwayError
from api.errors import BusyError
from api.jobs import JobKind, prediction_kind
from api.metrics import ServiceMetrics, gauge_family
from api.roll import Roll
from api.tables import UNFINISHED, MeshRow, PredictionRow, now

KINDS: tuple[JobKind, ...] = ("mesh", "predict", "solve")
# What was answered within this time tells how fast the service is now.
_RECENT = timedelta(seconds=60)
_RECENT_ROWS = 200
_SHORTEST_S, _LONGEST_S = 1, 60


@dataclass(frozen=True)
class Counts:
    """The jobs of a kind that are not finished.

    Attributes:
        queued: that wait for a worker.
        running: that a worker does.
        oldest_s: how long the first of those that wait has been waiting, s.
    """

    queued: int = 0
    running: int = 0
    oldest_s: float = 0.0


class Backlog:
    """The unfinished jobs of all owners and processes.

    Args:
        engine: of the service's tables.
        most: unfinished jobs from which new ones are refused.
        metrics: counts those.
    """

    def __init__(self, engine: Engine, most: int, metrics: ServiceMetrics) -> None:
        self._sessions = sessionmaker(engine)
        self._most = most
        self._metrics = metrics

    def admit(self, row: MeshRow | PredictionRow) -> None:
        """Gives a new row its turn while not too many wait or run; one that is there already needs none.

        Who has less than an equal share of the places is let in all the same, so that nobody can keep others out.
        Requests that come at the same moment may exceed the limit by their number.

        Raises:
            BusyError: too many jobs wait or run; it says when to try again.
        """
        with self._sessions() as session:
            if session.get(type(row), row.id) is not None:
                return
            owners = _owners(session)
            count, share = sum(owners.values()), self._most // len({*owners, row.owner})
            if count < self._most or owners.get(row.owner, 0) < share:
                row.turn = _turn(session, type(row), row.owner)
                return
            retry_after_s = _estimate_s(session, count - self._most + 1)
        kind = "mesh" if isinstance(row, MeshRow) else prediction_kind(row.fidelity)
        self._metrics.refused.labels(kind).inc()
        raise BusyError(
            f"{count} jobs wait or run, the most that this service takes; try again in {retry_after_s} s",
            retry_after_s=retry_after_s,
        )

    def counts(self) -> Mapping[JobKind, Counts]:
        """By kind, all of them."""
        with self._sessions() as session:
            return _counts(session)


class BacklogCollector(Collector):
    """Tells Prometheus of the backlog when it asks."""

    def __init__(self, backlog: Backlog, roll: Roll, silence_s: float) -> None:
        self._backlog, self._roll, self._silence_s = backlog, roll, silence_s

    def collect(self) -> Iterator[Metric]:
        """The gauges; while the database is away, that it is."""
        try:
            counts, workers = self._backlog.counts(), self._roll.living(self._silence_s)
        except (SQLAlchemyError, AwayError):
            yield GaugeMetricFamily("surrogate_database_up", "Whether the database answers", value=0)
            return
        yield GaugeMetricFamily("surrogate_database_up", "Whether the database answers", value=1)
        yield GaugeMetricFamily("surrogate_workers", "Workers that live, on all machines", value=workers)
        for name, text, values in (
            ("queued_jobs", "Jobs that wait for a worker", [(kind, each.queued) for kind, each in counts.items()]),
            ("running_jobs", "Jobs that a worker does", [(kind, each.running) for kind, each in counts.items()]),
            ("oldest_queued_seconds", "How long the first waits", [(k, each.oldest_s) for k, each in counts.items()]),
        ):
            yield gauge_family(f"surrogate_{name}", text, values, "kind")


def _owners(session: Session) -> dict[str, int]:
    """How many jobs of each owner are not finished."""
    found: dict[str, int] = {}
    for table in (MeshRow, PredictionRow):
        query = select(table.owner, func.count()).where(table.status.in_(UNFINISHED)).group_by(table.owner)
        for owner, count in session.execute(query):
            found[owner] = found.get(owner, 0) + count
    return found


def _turn(session: Session, table: type[MeshRow] | type[PredictionRow], owner: str) -> int:
    """Start-time fair queueing: behind the owner's own last job, and no further back than whose turn it is now.

    Goyal, Vin and Cheng, "Start-time fair queuing", 1996, equation 4, each job being of one size.
    """
    unfinished = table.status.in_(UNFINISHED)
    now_served = session.scalar(select(func.min(table.turn)).where(unfinished)) or 1
    own_last = session.scalar(select(func.max(table.turn)).where(unfinished, table.owner == owner)) or 0
    return max(now_served, own_last + 1)


def _counts(session: Session) -> dict[JobKind, Counts]:
    """Two looks at an index: what is finished is not counted."""
    found = dict.fromkeys(KINDS, Counts())
    facts = (func.count(), func.min(MeshRow.created_at))
    meshes = select(MeshRow.status, *facts).where(MeshRow.status.in_(UNFINISHED)).group_by(MeshRow.status)
    for status, count, oldest in session.execute(meshes):
        found["mesh"] = _with(found["mesh"], status, count, oldest)
    columns = (PredictionRow.status, PredictionRow.fidelity)
    facts = (func.count(), func.min(PredictionRow.created_at))
    predictions = select(*columns, *facts).where(PredictionRow.status.in_(UNFINISHED)).group_by(*columns)
    for status, fidelity, count, oldest in session.execute(predictions):
        kind = prediction_kind(fidelity)
        found[kind] = _with(found[kind], status, count, oldest)
    return found


def _with(counts: Counts, status: str, count: int, oldest: datetime) -> Counts:
    if status != "queued":
        return replace(counts, running=counts.running + count)
    waited_s = max((now() - oldest).total_seconds(), 0.0)
    return replace(counts, queued=counts.queued + count, oldest_s=max(counts.oldest_s, waited_s))


def _estimate_s(session: Session, places: int) -> int:
    """About when some places are free, by what was finished in the last minute."""
    newest = (
        select(PredictionRow.finished_at)
        .where(PredictionRow.status.not_in(UNFINISHED))
        .order_by(PredictionRow.created_at.desc())
        .limit(_RECENT_ROWS)
    )
    since = now() - _RECENT
    finished = sum(1 for (at,) in session.execute(newest) if at is not None and at > since)
    if not finished:
        return _LONGEST_S // 4
    wait_s = math.ceil(places * _RECENT.total_seconds() / finished)
    return min(max(wait_s, _SHORTEST_S), _LONGEST_S)
