"""Both factors solve the same system; what is not positive definite is refused."""

import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp

from surrogate.errors import SolveError
from surrogate.physics import pardiso_factor, sparse_factor
from surrogate.physics.assembly import unknown_layout
from surrogate.physics.elastic import build_elastic_system
from surrogate.physics.iterative_solver import MultigridSolver
from surrogate.physics.problem import Support
from surrogate.physics.sparse_factor import FactorSettings, factorize, superlu_bytes
from tests.physics.meshes import LEFT, STEEL, block, distorted_block

SYSTEM = build_elastic_system(distorted_block((3, 3, 3)), STEEL, (Support(LEFT),))
LAYOUT = unknown_layout(SYSTEM.mesh.points, SYSTEM.freedom)
needs_pardiso = pytest.mark.skipif(importlib.util.find_spec("pypardiso") is None, reason="MKL PARDISO is for x86 only")


@pytest.fixture(params=["pardiso", "superlu"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "superlu":
        monkeypatch.setattr(sparse_factor.importlib.util, "find_spec", lambda name: None)
    elif importlib.util.find_spec("pypardiso") is None:
        pytest.skip("MKL PARDISO is for x86 only")
    return str(request.param)


def test_a_solution_meets_its_equations(kind: str) -> None:
    factor = factorize(SYSTEM.stiffness)
    assert kind in type(factor).__name__.lower()
    right = np.random.default_rng(0).normal(size=(SYSTEM.stiffness.shape[0], 3))
    solution = factor.solve(right)
    assert np.abs(SYSTEM.stiffness @ solution - right).max() < 1e-9 * np.abs(right).max()
    np.testing.assert_allclose(factor.solve(right[:, 1]), solution[:, 1], atol=1e-12 * np.abs(solution).max())
    assert factor.size_bytes > 8 * SYSTEM.stiffness.shape[0]


@needs_pardiso
def test_pardiso_does_not_refine_what_is_right_already() -> None:
    upper = pardiso_factor.upper_triangle(SYSTEM.stiffness)
    analysis = pardiso_factor.Analysis(upper)
    right = np.random.default_rng(2).normal(size=(SYSTEM.stiffness.shape[0], 2))
    solution = pardiso_factor.PardisoFactor(analysis, upper).solve(right)
    assert analysis.refinements == 0
    assert np.abs(SYSTEM.stiffness @ solution - right).max() < 1e-10 * np.abs(right).max()


@needs_pardiso
def test_the_fallback_agrees_with_pardiso(monkeypatch: pytest.MonkeyPatch) -> None:
    right = np.random.default_rng(1).normal(size=(SYSTEM.stiffness.shape[0], 2))
    pardiso = factorize(SYSTEM.stiffness).solve(right)
    monkeypatch.setattr(sparse_factor.importlib.util, "find_spec", lambda name: None)
    np.testing.assert_allclose(factorize(SYSTEM.stiffness).solve(right), pardiso, atol=1e-9 * np.abs(pardiso).max())


def test_factors_do_not_disturb_each_other(kind: str) -> None:
    right = np.ones(SYSTEM.stiffness.shape[0])
    first = factorize(SYSTEM.stiffness)
    before = first.solve(right)
    second = factorize(sp.csr_matrix(2 * SYSTEM.stiffness))
    np.testing.assert_allclose(second.solve(right), before / 2, rtol=1e-9, atol=1e-12 * np.abs(before).max())
    np.testing.assert_array_equal(first.solve(right), before)


def test_a_replaced_matrix_is_the_one_that_is_solved(kind: str) -> None:
    right = np.ones(SYSTEM.stiffness.shape[0])
    factor = factorize(SYSTEM.stiffness)
    before = factor.solve(right)
    factor.refactorize(sp.csr_matrix(4 * SYSTEM.stiffness))
    np.testing.assert_allclose(factor.solve(right), before / 4, rtol=1e-9, atol=1e-12 * np.abs(before).max())
    # Another pattern is analysed anew.
    diagonal = sp.csr_matrix(sp.diags(np.full(len(right), 2.0)))
    factor.refactorize(diagonal)
    np.testing.assert_allclose(factor.solve(right), 0.5, rtol=1e-12)


def test_a_matrix_that_is_not_positive_definite_is_refused(kind: str) -> None:
    indefinite = sp.csr_matrix(np.array([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(SolveError, match="not positive definite"):
        factorize(indefinite)
    with pytest.raises(SolveError):
        factorize(sp.csr_matrix(np.array([[1.0, 2.0], [2.0, 4.0]])))


def test_the_memory_limit_decides_between_a_factor_and_multigrid(kind: str) -> None:
    taken = factorize(SYSTEM.stiffness, LAYOUT).size_bytes
    kept = factorize(SYSTEM.stiffness, LAYOUT, FactorSettings(memory_limit_bytes=10 * taken))
    assert kind in type(kept).__name__.lower()
    iterated = factorize(SYSTEM.stiffness, LAYOUT, FactorSettings(memory_limit_bytes=taken // 10))
    assert isinstance(iterated, MultigridSolver)
    # Without a layout there are no rigid motions to build the grids with.
    assert kind in type(factorize(SYSTEM.stiffness, None, FactorSettings(memory_limit_bytes=0))).__name__.lower()


@pytest.mark.parametrize("divisions", [3, 5])
def test_the_law_of_the_fallbacks_memory_holds_on_solid_parts(divisions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    system = build_elastic_system(block((divisions,) * 3), STEEL, (Support(LEFT),))
    monkeypatch.setattr(sparse_factor.importlib.util, "find_spec", lambda name: None)
    taken = factorize(system.stiffness).size_bytes
    # The order of elimination depends on the version of SciPy.
    assert taken == pytest.approx(superlu_bytes(system.stiffness.shape[0]), rel=0.5)


def test_the_default_limit_is_no_more_than_half_of_the_machine() -> None:
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    assert 0 < FactorSettings().memory_limit_bytes <= min(6e9, pages * page / 2)


@needs_pardiso
def test_tangents_of_a_held_part_share_its_analysis(monkeypatch: pytest.MonkeyPatch) -> None:
    right = np.ones(SYSTEM.stiffness.shape[0])
    elastic = factorize(SYSTEM.stiffness)
    before = elastic.solve(right)
    analysed = []
    known = pardiso_factor.Analysis.__init__

    def counted(analysis: pardiso_factor.Analysis, upper: sp.csr_matrix) -> None:
        analysed.append(1)
        known(analysis, upper)

    monkeypatch.setattr(pardiso_factor.Analysis, "__init__", counted)
    for factor in (2.0, 3.0, 4.0):  # one after the other, as the histories of a part ask for them
        tangent = elastic.sibling(sp.csr_matrix(factor * SYSTEM.stiffness))
        tangent.refactorize(sp.csr_matrix(2 * factor * SYSTEM.stiffness))
        np.testing.assert_allclose(tangent.solve(right), before / (2 * factor), atol=1e-12 * np.abs(before).max())
        np.testing.assert_array_equal(elastic.solve(right), before)
        del tangent
    assert not analysed
    # Two at the same time: the second gets an analysis of its own, and neither disturbs the other.
    first, second = (elastic.sibling(sp.csr_matrix(f * SYSTEM.stiffness)) for f in (2.0, 3.0))
    assert len(analysed) == 1
    for tangent, factor in ((first, 2.0), (second, 3.0), (elastic, 1.0)):
        np.testing.assert_allclose(tangent.solve(right), before / factor, atol=1e-12 * np.abs(before).max())
    # A tangent outlives the elastic factor whose analysis it shares.
    del elastic
    np.testing.assert_allclose(first.solve(right), before / 2, atol=1e-12 * np.abs(before).max())


def test_threads_may_solve_with_one_factor_at_the_same_time(kind: str) -> None:
    factor = factorize(SYSTEM.stiffness)
    right = np.random.default_rng(2).normal(size=(SYSTEM.stiffness.shape[0], 24))
    expected = factor.solve(right)
    with ThreadPoolExecutor(4) as pool:
        columns = list(pool.map(factor.solve, right.T))
    np.testing.assert_allclose(np.stack(columns, axis=1), expected, atol=1e-12 * np.abs(expected).max())


@needs_pardiso
def test_an_indefinite_tangent_is_refused_and_the_next_one_is_solved() -> None:
    right = np.ones(SYSTEM.stiffness.shape[0])
    factor = factorize(SYSTEM.stiffness)
    before = factor.solve(right)
    with pytest.raises(SolveError, match="positive definite"):
        factor.refactorize(sp.csr_matrix(-SYSTEM.stiffness))
    factor.refactorize(SYSTEM.stiffness)
    np.testing.assert_allclose(factor.solve(right), before, rtol=1e-9, atol=1e-12 * np.abs(before).max())
