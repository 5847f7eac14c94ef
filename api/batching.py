"""One model a process, asked for many problems at a time.

Requests that arrive within a few milliseconds are answered by one call on the one thread that holds the model. While
it computes, further requests gather and make the next batch.
"""

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

import structlog

from surrogate import Fields, InfrastructureError, Problem

ModelFidelity = Literal["surrogate", "refined"]
Progress = Callable[[str, float], None]

log = structlog.get_logger()


# Bytes of an answer by cell and stored step: 13 numbers at 4 quadrature points, 3 at about 2 points a cell.
_BYTES = 8 * (13 * 4 + 3 * 2)


def answer_bytes(problem: Problem) -> int:
    """About how much memory an answer takes: all steps are stored up to 64, else two of each history."""
    steps = sum(len(history.factors) for history in problem.load_histories)
    return len(problem.mesh.cells) * _BYTES * (steps if steps <= 64 else 2 * len(problem.load_histories))


class ByteBudget:
    """Bounds the memory of the answers that are being made and written; what is over it waits."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def share(self, size: int) -> Iterator[None]:
        """Holds some bytes while the block runs; one that is over the budget runs alone."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken == 0 or self._taken + size <= self._most)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()


class PredictMany(Protocol):
    """Answers problems together."""

    def __call__(
        self, problems: Sequence[Problem], *, fidelity: ModelFidelity, model: str | None, progress: Progress
    ) -> Sequence[Fields]:
        """One answer a problem, in their order."""


@dataclass(frozen=True)
class Query:
    """A problem that waits for the model."""

    problem: Problem
    fidelity: ModelFidelity
    model: str | None
    progress: Progress
    answer: Future[Fields] = field(default_factory=Future)


class MicroBatcher:
    """Gathers problems and asks the model for them together.

    Args:
        predict_many: the model.
        window_s: how long the first problem waits for others, s.
        size: most problems in a batch.
        batch_points: most points of the meshes in a batch; a larger problem goes alone.
        batch_bytes: most memory that the answers of a batch may take; a larger problem goes alone.
        capacity: problems that may wait.
        observe: told the problems and the points of each batch.
    """

    def __init__(
        self,
        predict_many: PredictMany,
        *,
        window_s: float,
        size: int,
        capacity: int,
        batch_points: int = 100_000,
        batch_bytes: int = 400_000_000,
        observe: Callable[[int, int], None] = lambda problems, points: None,
    ) -> None:
        self._predict_many = predict_many
        self._window_s = window_s
        self._size = size
        self._batch_points = batch_points
        self._batch_bytes = batch_bytes
        self._observe = observe
        self._waiting: queue.Queue[Query | None] = queue.Queue(capacity)
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    def answer(self, problem: Problem, *, fidelity: ModelFidelity, model: str | None, progress: Progress) -> Fields:
        """Waits for the answer to one problem.

        Raises:
            InfrastructureError: too many problems are waiting.
            SurrogateError: what the model says of the problem.
        """
        query = Query(problem, fidelity, model, progress)
        try:
            self._waiting.put_nowait(query)
        except queue.Full:
            raise InfrastructureError(
                f"{self._waiting.maxsize} problems are waiting for the model; try again in a few seconds"
            ) from None
        return query.answer.result()

    @property
    def waiting(self) -> int:
        """How many problems wait for the model."""
        return self._waiting.qsize()

    @property
    def alive(self) -> bool:
        """Whether the thread of the model still works."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ends the thread after what is waiting is answered."""
        self._waiting.put(None)
        self._thread.join(timeout=5)

    def _work(self) -> None:
        left_over: Query | None = None
        while True:
            first = left_over or self._waiting.get()
            if first is None:
                return
            batch, left_over, ended = self._gather(first)
            self._answer(batch)
            if ended:
                return

    def _gather(self, first: Query) -> tuple[list[Query], Query | None, bool]:
        """The batch that begins with a query, the query that did not fit, and whether the end was met."""
        batch, deadline = [first], time.monotonic() + self._window_s
        taken, points = answer_bytes(first.problem), _points(first)
        while len(batch) < self._size:
            try:
                query = self._waiting.get(timeout=max(deadline - time.monotonic(), 0.0))
            except queue.Empty:
                break
            if query is None:
                return batch, None, True
            taken, points = taken + answer_bytes(query.problem), points + _points(query)
            if taken > self._batch_bytes or points > self._batch_points:
                return batch, query, False
            batch.append(query)
        return batch, None, False

    def _answer(self, batch: Sequence[Query]) -> None:
        groups: dict[tuple[ModelFidelity, str | None], list[Query]] = defaultdict(list)
        for query in batch:
            groups[query.fidelity, query.model].append(query)
        for (fidelity, model), queries in groups.items():
            self._observe(len(queries), sum(map(_points, queries)))
            try:
                self._ask(queries, fidelity, model)
            except Exception as error:
                unanswered = [query for query in queries if not query.answer.done()]
                if len(queries) == 1:
                    for query in unanswered:
                        query.answer.set_exception(error)
                    continue
                # One bad problem must not fail the others.
                log.info("a batch failed and is asked one by one", size=len(queries), reason=str(error))
                for query in unanswered:
                    self._answer([query])

    def _ask(self, queries: Sequence[Query], fidelity: ModelFidelity, model: str | None) -> None:
        def progress(stage: str, fraction: float) -> None:
            """An error of a query's own progress, such as its cancellation, ends that query alone."""
            for query in queries:
                if query.answer.done():
                    continue
                try:
                    query.progress(stage, fraction)
                except Exception as error:
                    query.answer.set_exception(error)
            if all(query.answer.done() for query in queries):
                raise InfrastructureError("nobody waits for this batch any more")

        answers = self._predict_many(
            [query.problem for query in queries], fidelity=fidelity, model=model, progress=progress
        )
        for query, fields in zip(queries, answers, strict=True):
            if not query.answer.done():
                query.answer.set_result(fields)


def _points(query: Query) -> int:
    return len(query.problem.mesh.points)
