"""Problems that arrive together are answered together, on one thread, each with its own answer."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest

from api.batching import ByteBudget, MicroBatcher, ModelFidelity, Progress, answer_bytes
from surrogate import Fields, InfrastructureError, InputError, Problem


def small_problem(name: str, cells: int = 10, points: int = 10) -> Problem:
    """What the batcher looks at: points, cells, and the steps of the histories."""
    mesh = SimpleNamespace(cells=range(cells), points=range(points))
    histories = (SimpleNamespace(factors=range(5)),)
    return cast(Problem, SimpleNamespace(name=name, mesh=mesh, load_histories=histories))


@dataclass
class Recorder:
    """A model that notes what it is asked, and lets the first batch wait until the others have gathered."""

    gate: threading.Event = field(default_factory=threading.Event)
    batches: list[list[str]] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    fail: Callable[[Sequence[str]], bool] = lambda names: False

    def __call__(
        self, problems: Sequence[Problem], *, fidelity: ModelFidelity, model: str | None, progress: Progress
    ) -> Sequence[Fields]:
        names = [problem.name for problem in problems]
        self.batches.append(names)
        self.threads.add(threading.get_ident())
        if names == ["first"]:
            assert self.gate.wait(10)
        progress("rollout", 0.5)
        if self.fail(names):
            raise InputError(f"cannot answer {names}")
        return [cast(Fields, f"{name} {fidelity} {model}") for name in names]


def ask_all(batcher: MicroBatcher, recorder: Recorder, problems: Sequence[Problem], **changes: object) -> list[object]:
    """The answers to problems that gather while a first one is being answered."""

    def ask(problem: Problem) -> object:
        options = {"fidelity": "surrogate", "model": None, "progress": lambda stage, fraction: None, **changes}
        try:
            return batcher.answer(problem, **options)  # type: ignore[arg-type]
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(problems) + 1) as pool:
        first = pool.submit(ask, small_problem("first"))
        while not recorder.batches:
            pass
        rest = [pool.submit(ask, problem) for problem in problems]
        while batcher.waiting < len(problems):
            pass
        recorder.gate.set()
        assert first.result() == "first surrogate None" or changes
        return [each.result() for each in rest]


def batcher_of(recorder: Recorder, **changes: object) -> MicroBatcher:
    options = {"window_s": 0.005, "size": 4, "capacity": 100, **changes}
    return MicroBatcher(recorder, **options)  # type: ignore[arg-type]


def test_waiting_problems_are_answered_in_one_call_each() -> None:
    recorder = Recorder()
    answers = ask_all(batcher_of(recorder), recorder, [small_problem(f"p{n}") for n in range(6)])
    assert answers == [f"p{n} surrogate None" for n in range(6)]
    assert [len(batch) for batch in recorder.batches] == [1, 4, 2]
    assert len(recorder.threads) == 1


def test_a_large_problem_goes_alone() -> None:
    recorder, large = Recorder(), [small_problem(f"p{n}", cells=100) for n in range(3)]
    ask_all(batcher_of(recorder, batch_bytes=1.5 * answer_bytes(large[0])), recorder, large)
    assert [len(batch) for batch in recorder.batches[1:]] == [1, 1, 1]


def test_a_batch_has_no_more_points_than_it_may() -> None:
    """The memory and the time of a batch go with the points, whatever the number of problems."""
    recorder, seen = Recorder(), list[tuple[int, int]]()
    points = (40, 50, 20, 200, 10)
    problems = [small_problem(f"p{n}", points=count) for n, count in enumerate(points)]
    batcher = batcher_of(recorder, batch_points=100, observe=lambda *batch: seen.append(batch))
    answers = ask_all(batcher, recorder, problems)
    assert answers == [f"p{n} surrogate None" for n in range(5)]
    batches = [[points[int(name[1:])] for name in batch] for batch in recorder.batches[1:]]
    assert all(sum(batch) <= 100 or len(batch) == 1 for batch in batches)
    assert len(batches) < len(points), "what fits is answered together"
    assert seen[1:] == [(len(batch), sum(batch)) for batch in batches]


def test_one_bad_problem_does_not_fail_the_others() -> None:
    recorder = Recorder(fail=lambda names: "bad" in names)
    answers = ask_all(batcher_of(recorder), recorder, [small_problem(name) for name in ("good", "bad", "fine")])
    assert answers[0] == "good surrogate None" and answers[2] == "fine surrogate None"
    assert isinstance(answers[1], InputError)


def test_a_cancelled_problem_leaves_its_batch_alone() -> None:
    recorder = Recorder()
    batcher = batcher_of(recorder)

    def cancel(stage: str, fraction: float) -> None:
        raise InputError("cancelled")

    with ThreadPoolExecutor(1) as pool:
        answers = ask_all(batcher, recorder, [small_problem("kept")])
        lost = pool.submit(batcher.answer, small_problem("lost"), fidelity="surrogate", model=None, progress=cancel)
        assert answers == ["kept surrogate None"]
        with pytest.raises(InputError, match="cancelled"):
            lost.result()


def test_a_full_queue_refuses_instead_of_growing() -> None:
    recorder = Recorder()
    batcher = batcher_of(recorder, capacity=2)
    with ThreadPoolExecutor(3) as pool:
        options = {"fidelity": "surrogate", "model": None, "progress": lambda stage, fraction: None}
        asked = [pool.submit(batcher.answer, small_problem("first"), **options)]
        while not recorder.batches:
            pass
        asked += [pool.submit(batcher.answer, small_problem(f"p{n}"), **options) for n in range(2)]
        while batcher.waiting < 2:
            pass
        with pytest.raises(InfrastructureError, match="2 problems"):
            batcher.answer(small_problem("late"), **options)
        recorder.gate.set()
        assert len({each.result() for each in asked}) == 3


def test_the_memory_budget_lets_in_what_fits_and_one_that_never_would() -> None:
    budget, order = ByteBudget(100), list[str]()
    entered, leave = threading.Event(), threading.Event()

    def hold(name: str, size: int) -> None:
        with budget.share(size):
            order.append(name)
            entered.set()
            if name == "first":
                assert leave.wait(10)

    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(hold, "first", 60)]
        assert entered.wait(10)
        held.append(pool.submit(hold, "second", 40))
        held[1].result(10)
        held.append(pool.submit(hold, "too large", 1000))
        assert order == ["first", "second"]
        leave.set()
        for each in held:
            each.result(10)
    assert order == ["first", "second", "too large"]
