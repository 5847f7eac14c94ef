"""A sparse symmetric positive definite factor: MKL PARDISO where there is one, SuperLU elsewhere."""

import copy
import importlib.util
import sys
from collections.abc import Callable
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from surrogate.errors import SolveError
from surrogate.fields import FloatArray


class SparseFactor(Protocol):
    """A factored matrix."""

    size_bytes: int

    def solve(self, right: FloatArray) -> FloatArray:
        """Solution for one or more right-hand sides [n] or [n, R]."""
        ...

    def refactorize(self, matrix: sp.csr_matrix) -> None:
        """Replace the matrix; one of the same pattern is not analysed again.

        Raises:
            SolveError: not positive definite.
        """
        ...


class _Pardiso:
    def __init__(self, matrix: sp.csr_matrix) -> None:
        import pypardiso
        from pypardiso.pardiso_wrapper import PyPardisoError

        # Making a solver searches the whole environment for MKL, half a second: copy the module's own one instead.
        self._solver = copy.copy(pypardiso.ps)
        self._solver.mtype = 2
        self._solver.pt, self._solver.iparm = np.zeros_like(pypardiso.ps.pt), np.zeros_like(pypardiso.ps.iparm)
        self._failure = PyPardisoError
        self._matrix: sp.csr_matrix | None = None
        self.refactorize(matrix)
        self.size_bytes = int(self._solver.get_iparm(15) + self._solver.get_iparm(17)) * 1024

    def refactorize(self, matrix: sp.csr_matrix) -> None:
        upper = sp.triu(matrix, format="csr")
        upper.sort_indices()
        known = self._matrix
        same = known is not None and np.array_equal(known.indptr, upper.indptr)
        same = same and known is not None and np.array_equal(known.indices, upper.indices)
        self._matrix = upper
        self._solver.set_phase(22 if same else 12)
        try:
            self._solver._call_pardiso(upper, np.zeros((upper.shape[0], 1), order="F"))
        except self._failure as error:
            self._matrix = None
            raise SolveError(f"the stiffness matrix is not positive definite ({error})") from error

    def solve(self, right: FloatArray) -> FloatArray:
        self._solver.set_phase(33)
        block = np.asfortranarray(right if right.ndim == 2 else right[:, None])
        solution = np.asarray(self._solver._call_pardiso(self._matrix, block))
        return solution if right.ndim == 2 else solution[:, 0]

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # PARDISO keeps its factor outside Python; at interpreter exit there is nothing left to free with, and the
        # globals of this module may be gone.
        if not finalizing() and hasattr(self, "_solver"):
            self._solver.free_memory(everything=True)


class _SuperLU:
    def __init__(self, matrix: sp.csr_matrix) -> None:
        self.refactorize(matrix)

    def refactorize(self, matrix: sp.csr_matrix) -> None:
        try:
            self._factor = splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        except RuntimeError as error:
            raise SolveError(f"the stiffness matrix is singular ({error})") from error
        self.size_bytes = 12 * (self._factor.L.nnz + self._factor.U.nnz)

    def solve(self, right: FloatArray) -> FloatArray:
        return np.asarray(self._factor.solve(np.ascontiguousarray(right)))


def factorize(matrix: sp.csr_matrix) -> SparseFactor:
    """Factor a symmetric positive definite matrix.

    Raises:
        SolveError: not positive definite.
    """
    if importlib.util.find_spec("pypardiso") is not None:
        return _Pardiso(matrix)
    return _SuperLU(matrix)
