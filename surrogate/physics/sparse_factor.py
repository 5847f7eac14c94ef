"""The solver of a sparse symmetric positive definite system: a factor where it fits in memory, multigrid where not.

MKL PARDISO factors where there is one, SuperLU elsewhere.
"""

import importlib.util
import os
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from surrogate.errors import SolveError
from surrogate.fields import FloatArray
from surrogate.physics.iterative_solver import MultigridSolver, UnknownLayout
from surrogate.physics.pardiso_factor import Analysis, PardisoFactor, upper_triangle


def _default_limit() -> int:
    """Six gigabytes, or half of the machine's memory where that is less."""
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 6_000_000_000
    return min(6_000_000_000, machine // 2)


@dataclass(frozen=True)
class FactorSettings:
    """When a matrix is factored, and how well it is solved where it is not.

    Attributes:
        memory_limit_bytes: the most that a factor may take; a larger one is replaced by multigrid.
        residual_tolerance: of the iterations, residual over right-hand side, both as norms.
    """

    memory_limit_bytes: int = field(default_factory=_default_limit)
    residual_tolerance: float = 1e-10


class SparseFactor(Protocol):
    """A matrix made ready to solve with."""

    @property
    def size_bytes(self) -> int:
        """Memory held, bytes."""
        ...

    def solve(self, right: FloatArray) -> FloatArray:
        """Solution for one or more right-hand sides [n] or [n, R].

        Raises:
            SolveError: an iteration that does not reach its tolerance.
        """
        ...

    def refactorize(self, matrix: sp.csr_matrix) -> None:
        """Replace the matrix; one of the same pattern is not analysed again.

        Raises:
            SolveError: not positive definite.
        """
        ...

    def sibling(self, matrix: sp.csr_matrix) -> "SparseFactor":
        """Another matrix on the same unknowns made ready; one of the same pattern is not analysed again.

        Raises:
            SolveError: not positive definite.
        """
        ...


class _SuperLU:
    def __init__(self, matrix: sp.csr_matrix) -> None:
        self.refactorize(matrix)

    def refactorize(self, matrix: sp.csr_matrix) -> None:
        try:
            # Pivots stay on the diagonal, so that their signs are those of the matrix.
            self._factor = splu(
                matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
            )
        except RuntimeError as error:
            raise SolveError(f"the stiffness matrix is singular ({error})") from error
        if (self._factor.U.diagonal() <= 0).any():
            raise SolveError("the stiffness matrix is not positive definite (SuperLU met a pivot that is not positive)")
        self.size_bytes = 12 * (self._factor.L.nnz + self._factor.U.nnz)

    def sibling(self, matrix: sp.csr_matrix) -> "_SuperLU":
        return _SuperLU(matrix)

    def solve(self, right: FloatArray) -> FloatArray:
        return np.asarray(self._factor.solve(np.ascontiguousarray(right)))


def superlu_bytes(unknowns: int) -> int:
    """Memory that SuperLU needs for a solid part of so many unknowns, by a power law, bytes.

    Fitted to cubes of ten-node tetrahedra of 900 to 6,000 unknowns in minimum-degree order; slender parts take less.
    """
    return int(20 * unknowns**1.69)


def factorize(
    matrix: sp.csr_matrix, layout: UnknownLayout | None = None, settings: FactorSettings | None = None
) -> SparseFactor:
    """Make a symmetric positive definite matrix ready to solve with.

    Args:
        matrix: [n, n].
        layout: where the unknowns stand; without it multigrid has nothing to go by, and the matrix is factored.
        settings: the memory limit, and the tolerance of the iterations.

    Raises:
        SolveError: not positive definite.
    """
    settings = settings or FactorSettings()
    if importlib.util.find_spec("pypardiso") is not None:
        upper = upper_triangle(matrix)
        analysis = Analysis(upper)
        if layout is None or analysis.predicted_bytes <= settings.memory_limit_bytes:
            return PardisoFactor(analysis, upper)
        # What the analysis holds goes before multigrid asks for memory of its own.
        del analysis, upper
    elif layout is None or superlu_bytes(matrix.shape[0]) <= settings.memory_limit_bytes:
        return _SuperLU(matrix)
    return MultigridSolver(matrix, layout, settings.residual_tolerance)
