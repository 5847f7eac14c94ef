"""Intel MKL's PARDISO: one symbolic analysis that serves several factors of the same pattern.

Source: Intel oneAPI Math Kernel Library, developer reference, section "oneMKL PARDISO - Parallel Direct Sparse Solver
Interface": phases, `maxfct` and `mnum` (several factors of one pattern), iparm(1), iparm(2) and iparm(8) (no defaults,
ordering, refinement), iparm(15) to iparm(17) (memory).
"""

import ctypes
import functools
import importlib.metadata
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from surrogate.errors import SolveError
from surrogate.fields import FloatArray

_ANALYSE, _FACTOR, _SOLVE, _FREE_FACTOR, _FREE_ALL = 11, 22, 33, 0, -1
_POSITIVE_DEFINITE = 2
# The elastic factor and one tangent at a time; a second tangent at the same time gets an analysis of its own.
_SLOTS = 2
# Places in iparm: whether it is read at all, the ordering, and how many steps of refinement a solve made. What stays
# zero is as MKL recommends for positive definite matrices but for these steps: its default makes two in every solve,
# which take three quarters of its time and leave a residual of 1e-12 where it was (decision 18).
_READ, _ORDERING, _REFINEMENTS = 0, 1, 6
_NESTED_DISSECTION = 3


@functools.cache
def _library() -> ctypes.CDLL:
    """MKL, found once for the process."""
    # pypardiso searches every folder of the environment, half a second of a processor; the package's list is at hand.
    try:
        listed = importlib.metadata.files("mkl") or []
    except importlib.metadata.PackageNotFoundError:
        listed = []
    for file in listed:
        if "mkl_rt" in file.name and Path(str(file.locate())).exists():
            return ctypes.CDLL(str(file.locate()))
    import pypardiso

    return pypardiso.ps.libmkl


class Analysis:
    """The symbolic analysis of an upper triangle, and the memory that PARDISO keeps for it."""

    def __init__(self, upper: sp.csr_matrix) -> None:
        self._library = _library().pardiso
        self._handle = np.zeros(64, dtype=np.int64)
        self._parameters = np.zeros(64, dtype=np.int32)
        self._parameters[_READ], self._parameters[_ORDERING] = 1, _NESTED_DISSECTION
        self._pointer = upper.indptr.astype(np.int32) + 1
        self._columns = upper.indices.astype(np.int32) + 1
        # Re-entrant: the garbage collector may free another factor of this analysis in the midst of a call.
        self._lock = threading.RLock()
        self._free_slots = list(range(_SLOTS, 0, -1))
        self.size = upper.shape[0]
        self.call(_ANALYSE, 1, upper.data)
        analysis_peak, kept, factor = (int(self._parameters[i]) * 1024 for i in (14, 15, 16))
        self.factor_bytes = factor
        self.kept_bytes = kept + self._pointer.nbytes + self._columns.nbytes
        self.predicted_bytes = max(analysis_peak, kept + factor)

    @property
    def refinements(self) -> int:
        """Steps of iterative refinement that the last solve made."""
        return int(self._parameters[_REFINEMENTS])

    def fits(self, upper: sp.csr_matrix) -> bool:
        """Whether a matrix has the analysed pattern."""
        same_rows = upper.nnz == len(self._columns) and np.array_equal(upper.indptr + 1, self._pointer)
        return same_rows and np.array_equal(upper.indices + 1, self._columns)

    def take_slot(self) -> int | None:
        """The number of a factor that is not in use, or None."""
        with self._lock:
            return self._free_slots.pop() if self._free_slots else None

    def give_slot(self, slot: int) -> None:
        """Free the memory of a factor and its number."""
        self.call(_FREE_FACTOR, slot, np.zeros(1))
        with self._lock:
            self._free_slots.append(slot)

    def call(self, phase: int, slot: int, data: FloatArray, right: FloatArray | None = None) -> FloatArray:
        """One phase of PARDISO; the solution of Fortran-ordered right-hand sides [n, R] where it solves.

        Raises:
            SolveError: PARDISO's own error, that of a matrix that is not positive definite among them.
        """
        right = np.zeros((self.size, 1), order="F") if right is None else right
        solution = np.empty_like(right)
        error = ctypes.c_int32(0)
        integers = [ctypes.c_int32(i) for i in (_SLOTS, slot, _POSITIVE_DEFINITE, phase, self.size)]
        with self._lock:
            # Its memory and its parameters serve one caller at a time.
            self._library(
                self._handle.ctypes.data_as(ctypes.POINTER(ctypes.c_int64)),
                *(ctypes.byref(integer) for integer in integers),
                data.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
                self._pointer.ctypes.data_as(ctypes.POINTER(ctypes.c_int32)),
                self._columns.ctypes.data_as(ctypes.POINTER(ctypes.c_int32)),
                None,
                ctypes.byref(ctypes.c_int32(right.shape[1])),
                self._parameters.ctypes.data_as(ctypes.POINTER(ctypes.c_int32)),
                ctypes.byref(ctypes.c_int32(0)),
                right.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
                solution.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
                ctypes.byref(error),
            )
        if error.value == -4:
            raise SolveError("the stiffness matrix is not positive definite (PARDISO met a pivot that is not positive)")
        if error.value:
            raise SolveError(f"PARDISO stopped with error {error.value} in phase {phase}")
        return solution

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # PARDISO keeps its memory outside Python; at interpreter exit there is nothing left to free it with, and the
        # globals of this module may be gone.
        if not finalizing() and hasattr(self, "predicted_bytes"):
            self.call(_FREE_ALL, 1, np.zeros(1))


def upper_triangle(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """What PARDISO reads of a symmetric matrix: the upper triangle, columns in order."""
    upper = sp.csr_matrix(sp.triu(matrix, format="csr"))
    upper.sort_indices()
    return upper


class PardisoFactor:
    """A factor of a symmetric positive definite matrix."""

    def __init__(self, analysis: Analysis, upper: sp.csr_matrix) -> None:
        self._analysis, self._slot, self._data = analysis, analysis.take_slot(), upper.data
        self._factor(upper)

    def _factor(self, upper: sp.csr_matrix) -> None:
        if self._slot is None or not self._analysis.fits(upper):
            self._release()
            self._analysis = Analysis(upper)
            self._slot = self._analysis.take_slot()
        assert self._slot is not None
        self._data = upper.data
        self._analysis.call(_FACTOR, self._slot, upper.data)

    @property
    def size_bytes(self) -> int:
        """Memory held, with that of the analysis, bytes."""
        return self._analysis.kept_bytes + self._analysis.factor_bytes + self._data.nbytes

    def refactorize(self, matrix: sp.csr_matrix) -> None:
        """Replace the matrix; one of the same pattern is not analysed again."""
        self._factor(upper_triangle(matrix))

    def sibling(self, matrix: sp.csr_matrix) -> "PardisoFactor":
        """A factor of another matrix beside this one; one of the same pattern is not analysed again."""
        return PardisoFactor(self._analysis, upper_triangle(matrix))

    def solve(self, right: FloatArray) -> FloatArray:
        """Solution for one or more right-hand sides [n] or [n, R]."""
        assert self._slot is not None
        block = np.asfortranarray(right if right.ndim == 2 else right[:, None])
        solution = np.ascontiguousarray(self._analysis.call(_SOLVE, self._slot, self._data, block))
        return solution if right.ndim == 2 else solution[:, 0]

    def _release(self) -> None:
        if self._slot is not None:
            self._analysis.give_slot(self._slot)
            self._slot = None

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not finalizing() and hasattr(self, "_slot"):
            self._release()
