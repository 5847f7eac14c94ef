"""The arithmetic of the accuracy-time front: what counts as a turning point, an error, a front, a speed-up."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from surrogate.data.histories import draw_history
from surrogate.fields import FloatArray
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.problem import LoadHistory
from surrogate.physics.solver import SolverSettings, solve
from tests.model.parts import wedge_problem

Wedge = tuple[ElasticAnchor, FloatArray, FloatArray]
DOCS = Path(__file__).parent.parent / "docs"


def loaded(name: str) -> Iterator[ModuleType]:
    """A script of docs/ as a module; its neighbours are found as when it runs."""
    sys.path.insert(0, str(DOCS))
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(DOCS))


@pytest.fixture(scope="module")
def page() -> Iterator[ModuleType]:
    yield from loaded("front_page")


@pytest.fixture(scope="module")
def hottest() -> Iterator[ModuleType]:
    yield from loaded("front_hottest")


@pytest.fixture(scope="module")
def methods() -> Iterator[ModuleType]:
    yield from loaded("front_methods")


@pytest.fixture(scope="module")
def front() -> Iterator[ModuleType]:
    yield from loaded("front")


def row(page: ModuleType, seconds: float, median: float, p90: float = 0.5) -> object:
    return page.Row(5000, seconds, 0.1, 200, seconds, 1.0, 150, median, p90, None, None, 5)


def test_hottest_points_hold_the_hottest_of_every_state(hottest: ModuleType) -> None:
    generator = np.random.default_rng(5)
    stress, turned = generator.normal(size=(6, 300, 2)), generator.normal(size=(7, 3, 2))
    chosen = hottest.hottest_points(stress, turned)
    for state in turned.reshape(-1, 2):
        s = stress @ state
        deviator = s - np.array([1, 1, 1, 0, 0, 0])[:, None] * s[:3].mean(axis=0)
        assert ((deviator[:3] ** 2).sum(axis=0) + 2 * (deviator[3:] ** 2).sum(axis=0)).argmax() in chosen
    assert len(chosen) < 300


def test_the_best_factor_undoes_a_constant_one_whatever_does_not_yield(hottest: ModuleType) -> None:
    true = np.array([0.01, 0.02, 0.005, 1e-6, 0.0])
    local = np.array([0.01, 0.02, 0.005, 0.3, 0.3]) / 1.6
    assert hottest.best_factor(true, local) == pytest.approx(1.6, abs=0.006)  # half of the grid's step


@pytest.fixture(scope="module")
def wedge() -> Wedge:
    """Anchor, factors and the solver's peak plastic strain of six histories, every step of them solved tightly."""
    generator = np.random.default_rng(2)
    factors = np.stack([scale * draw_history(generator, 10, 2).factors for scale in (1.2, 1.3, 1.4, 1.25, 1.35, 0.5)])
    problem = wedge_problem(tuple(LoadHistory(f"{i}", history) for i, history in enumerate(factors)))
    solved = solve(problem, settings=SolverSettings(tolerance=1e-8))
    assert all(history.collapse is None for history in solved.histories)
    peak = np.array([history.scalars.peak_plastic_strain[-1] for history in solved.histories])
    assert (peak[1:5] > 1e-4).all() and (peak[[0, 5]] == 0).all()
    return elastic_anchor(problem), factors, peak


def test_passes_at_every_step_lead_to_the_solver(methods: ModuleType, wedge: Wedge) -> None:
    anchor, factors, true = wedge
    few, many = (methods.passes(anchor, list(factors), count).peak for count in (1, 30))
    # Thirty passes at tolerance 1e-4 of the load leave some 1e-4 of the strain; one pass leaves far more.
    assert np.allclose(many, true, rtol=2e-3, atol=1e-9)
    assert np.abs(few - true).max() > 10 * np.abs(many - true).max()


def test_histories_come_back_in_their_order_whatever_the_blocks(
    hottest: ModuleType, methods: ModuleType, wedge: Wedge
) -> None:
    anchor, factors, _ = wedge
    jumps = hottest.jumping(factors)
    together = methods.passes(anchor, jumps, 3)
    alone = [methods.passes(anchor, [history], 3) for history in jumps]
    # The same operations on the same numbers, but for the order of sums in products of matrices.
    assert np.allclose(together.peak, [found.peak[0] for found in alone], rtol=1e-9)
    assert np.allclose(together.p999, [found.p999[0] for found in alone], rtol=1e-9)


def test_more_enrichments_bring_the_reduced_anchor_nearer(methods: ModuleType, wedge: Wedge) -> None:
    anchor, factors, true = wedge
    yields = true > 0
    local = np.abs(methods.full_local(anchor, factors).peak / np.maximum(true, 1e-300) - 1)[yields]
    found = [methods.reduced(anchor, list(factors), count) for count in (0, 2)]
    errors = [np.abs(each.peak[yields] / true[yields] - 1) for each in found]
    assert np.median(errors[1]) < np.median(errors[0]) < np.median(local)
    assert found[1].peak[~yields].max() == 0
    everywhere = methods.reduced_everywhere(anchor, factors, list(factors), 2)
    # The same modes and points; the hottest cells hold the peak of the whole part.
    assert np.allclose(everywhere.peak, found[1].peak, rtol=1e-6, atol=1e-12) and everywhere.once_s > 0


def test_the_hottest_cells_alone_tell_the_local_peak(methods: ModuleType, wedge: Wedge) -> None:
    anchor, factors, _ = wedge
    whole, hottest = methods.full_local(anchor, factors).peak, methods.hottest_cells(anchor, factors, "local", 1.0).peak
    # Along straight lines one large step of the radial return differs from many by its path error alone.
    assert np.allclose(hottest, whole, rtol=0.1, atol=1e-6)


def test_errors_are_of_the_histories_that_yield_and_have_a_truth(front: ModuleType, methods: ModuleType) -> None:
    peak = np.array([[0.0, 0.01], [0.0, 0.02], [0.0, np.nan], [0.0, 1e-6]])
    known = front.Truth(np.array([3, 5, 8, 9]), peak, np.array([1e-5, 0.01, 0.01, 0.0]), np.array([0, 0, 1, 0], bool))
    # Histories 5 and 3 count, 20 % and 50 % off; 7 has no truth, 8 collapses, 9 does not yield.
    found = methods.Strains(np.array([0.024, 9.0, 0.005, 9.0, 9.0]), np.array([0.011, 9.0, 9.0, 9.0, 9.0]))
    judged = front.held_against(known, np.array([5, 7, 3, 8, 9]), found)
    assert judged.judged == 2 and judged.worst_found is None
    assert (judged.peak_median, judged.peak_p90) == pytest.approx((0.35, 0.47))
    assert (judged.p999_median, judged.p999_p90) == pytest.approx((0.1, 0.1))


def test_only_what_nothing_beats_is_on_the_front(page: ModuleType) -> None:
    rows = {"fast": row(page, 1, 0.2), "good": row(page, 5, 0.05), "slow": row(page, 9, 0.06), "best": row(page, 20, 0)}
    assert page.on_front(rows) == {"fast", "good", "best"}


def test_the_fastest_as_accurate_is_classical_and_within_both_errors(page: ModuleType) -> None:
    rows = {
        "ours, quick": row(page, 0.1, 0.01, 0.01), "fast": row(page, 1, 0.2, 0.3),
        "median only": row(page, 5, 0.05, 0.4), "both": row(page, 9, 0.05, 0.1),
    }  # fmt: skip
    assert page.fastest(rows, 0.08) == "median only"
    assert page.fastest(rows, 0.08, 0.2) == "both"
    assert page.fastest(rows, 0.001) is None
    rows["reduced, 1 enrichments"] = row(page, 0.5, 0.04)
    assert page.fastest(rows, 0.08) == "median only"
    assert page.fastest(rows, 0.08, left_out=page.ALL) == "reduced, 1 enrichments"
    rows["jump, 3 passes"] = row(page, 2, 0.05)
    assert page.fastest(rows, 0.08) == "jump, 3 passes"
    assert page.fastest(rows, 0.08, left_out=page.EVERY_STEP) == "median only"


def test_the_section_states_speed_up_bar_and_what_misses_it(page: ModuleType, tmp_path: Path) -> None:
    rows = {
        "5k | solved | 200": row(page, 90, 0.0, 0.0), "5k | ours, quick | 200": row(page, 3, 0.05),
        "5k | solved | 1": row(page, 2, 0.0), "5k | ours, quick | 1": row(page, 1, 0.04),
    }  # fmt: skip
    path = tmp_path / "front.json"
    kept = {key: asdict(value) for key, value in rows.items()}  # type: ignore[call-overload]
    path.write_text(
        json.dumps({"machine": "m", "clock": "wall", "factors": {"local": 1.5}, "fitted_on": 10, "rows": kept})
    )
    text = page.front_section(path)
    assert "solved: 90.0 s, **30.0x**" in text and "10x (30x)" in text
    assert "| 5000 | solved | 2.00 | 0.0% | 2.0x |" in text
    worse = {**kept, "5k | ours, quick | 200": asdict(row(page, 3, 0.09))}  # type: ignore[call-overload]
    path.write_text(
        json.dumps({"machine": "m", "clock": "wall", "factors": {"local": 1.5}, "fitted_on": 10, "rows": worse})
    )
    assert "(ours is not)" in page.front_section(path)
