"""Both factors solve the same system; what is not positive definite is refused."""

import importlib.util

import numpy as np
import pytest
import scipy.sparse as sp

from surrogate.errors import SolveError
from surrogate.physics import sparse_factor
from surrogate.physics.elastic import build_elastic_system
from surrogate.physics.problem import Support
from surrogate.physics.sparse_factor import factorize
from tests.physics.meshes import LEFT, STEEL, distorted_block

SYSTEM = build_elastic_system(distorted_block((3, 3, 3)), STEEL, (Support(LEFT),))
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
    matrix = sp.csr_matrix(np.array([[1.0, 2.0], [2.0, 4.0 if kind == "superlu" else 1.0]]))
    with pytest.raises(SolveError):
        factorize(matrix)


@needs_pardiso
def test_an_indefinite_tangent_is_refused_and_the_next_one_is_solved() -> None:
    right = np.ones(SYSTEM.stiffness.shape[0])
    factor = factorize(SYSTEM.stiffness)
    before = factor.solve(right)
    with pytest.raises(SolveError, match="positive definite"):
        factor.refactorize(sp.csr_matrix(-SYSTEM.stiffness))
    factor.refactorize(SYSTEM.stiffness)
    np.testing.assert_allclose(factor.solve(right), before, rtol=1e-9, atol=1e-12 * np.abs(before).max())
