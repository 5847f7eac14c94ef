"""Conjugate gradients with an algebraic multigrid preconditioner: large parts in memory that grows with their size.

Sources: Vanek, Mandel, Brezina, Computing 56 (1996) 179 (smoothed aggregation, rigid-body motions as the near null
space); Lottes, Numer. Linear Algebra Appl. 30 (2023) e2518 (Chebyshev smoother of the fourth kind); Saad, Iterative
Methods for Sparse Linear Systems, 2nd ed., algorithm 9.1.

Shape letters: n unknowns, R right-hand sides solved together.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from surrogate.errors import SolveError
from surrogate.fields import FloatArray, IntArray

_STRENGTH = 0.05
_SMOOTHER_DEGREE = 3
# Points of the grid that is factored.
_LARGEST_COARSE = 150
_TOGETHER = 16
_RESTARTS = 6


@dataclass(frozen=True, eq=False)
class UnknownLayout:
    """Where the unknowns of a held part stand.

    Attributes:
        points: the point of each unknown [n], never falling, at most three unknowns a point.
        modes: rigid-body motions of the free part in the basis of the unknowns [n, 6].
    """

    points: IntArray
    modes: FloatArray


@dataclass(frozen=True, eq=False)
class _Level:
    """One grid: its matrix, the inverse of its block diagonal, a bound on their product, the ways up and down."""

    matrix: sp.csr_matrix | sp.bsr_matrix
    inverse_diagonal: sp.bsr_matrix
    largest: float
    prolongation: sp.bsr_matrix
    restriction: sp.bsr_matrix


class MultigridSolver:
    """Solves with a symmetric positive definite matrix of an elastic part without factoring it."""

    def __init__(
        self, matrix: sp.csr_matrix, layout: UnknownLayout, tolerance: float = 1e-10, iterations: int = 2000
    ) -> None:
        """Set up the grids.

        Args:
            matrix: [n, n].
            layout: where the unknowns stand.
            tolerance: on the residual over the right-hand side, both as norms.
            iterations: of conjugate gradients before a restart.

        Raises:
            SolveError: not positive definite.
        """
        self._layout, self._tolerance, self._iterations = layout, tolerance, iterations
        self.refactorize(matrix)

    def refactorize(self, matrix: sp.csr_matrix) -> None:
        """Replace the matrix.

        Raises:
            SolveError: a diagonal that is not positive.
        """
        if not matrix.diagonal().min() > 0:
            raise SolveError("the stiffness matrix is not positive definite (a diagonal entry is not positive)")
        blocks, self._places = _point_blocks(matrix, self._layout.points)
        modes = np.zeros((blocks.shape[0], self._layout.modes.shape[1]))
        modes[self._places] = self._layout.modes
        # Several vectors at once go twice as fast through rows as through blocks, and where every point is free in all
        # directions or in none these are the rows that the caller holds anyway.
        self._matrix = matrix if blocks.shape == matrix.shape else sp.csr_matrix(blocks.tocsr())
        self._norm = float(np.add.reduceat(np.abs(matrix.data), matrix.indptr[:-1]).max())
        self._levels, self._coarse = _grids(self._matrix, blocks, modes)

    def sibling(self, matrix: sp.csr_matrix) -> "MultigridSolver":
        """A solver for another matrix of the same unknowns."""
        return MultigridSolver(matrix, self._layout, self._tolerance, self._iterations)

    @property
    def size_bytes(self) -> int:
        """Memory held, bytes."""
        sparse = [m for level in self._levels for m in (level.inverse_diagonal, level.prolongation, level.restriction)]
        sparse += [self._matrix, *(level.matrix for level in self._levels[1:])]
        held = sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in sparse)
        return int(held + self._coarse.nbytes + self._layout.modes.nbytes + self._layout.points.nbytes)

    def solve(self, right: FloatArray) -> FloatArray:
        """Solution for one or more right-hand sides [n] or [n, R].

        Raises:
            SolveError: not positive definite, or the tolerance was not reached.
        """
        columns = right if right.ndim == 2 else right[:, None]
        solution = np.empty(columns.shape)
        for first in range(0, columns.shape[1], _TOGETHER):
            part = slice(first, first + _TOGETHER)
            padded = np.zeros((self._matrix.shape[0], columns[:, part].shape[1]))
            padded[self._places] = columns[:, part]
            solution[:, part] = self._solve_block(padded)[self._places]
        return solution if right.ndim == 2 else solution[:, 0]

    def _solve_block(self, right: FloatArray) -> FloatArray:
        """Conjugate gradients, started anew from the true residual until that is small itself."""
        solution = np.zeros_like(right)
        residual, size = right.copy(), np.linalg.norm(right, axis=0)
        for _ in range(_RESTARTS):
            # No solver leaves less than the round-off of the product itself.
            floor = 4 * np.finfo(float).eps * self._norm * np.linalg.norm(solution, axis=0)
            target = np.maximum(self._tolerance * size, floor)
            open_ = np.flatnonzero(~(np.linalg.norm(residual, axis=0) <= target))
            if not open_.size:
                return solution
            solution[:, open_] += self._conjugate_gradients(residual[:, open_], target[open_] / 2)
            residual[:, open_] = right[:, open_] - self._matrix @ solution[:, open_]
        worst = float((np.linalg.norm(residual, axis=0) / size).max())
        raise SolveError(
            f"conjugate gradients left a residual of {worst:.1e} (asked: {self._tolerance:.1e}) after {_RESTARTS} "
            f"starts of up to {self._iterations} iterations; give the direct solver more memory or mend flat cells"
        )

    def _conjugate_gradients(self, right: FloatArray, target: FloatArray) -> FloatArray:
        """Iterate R right-hand sides side by side until each recurred residual is at its target."""
        solution = np.zeros_like(right)
        active = np.arange(right.shape[1])
        residual = right.copy()
        direction = preconditioned = self._cycle(0, residual)
        slope = _dot(residual, preconditioned)
        for _ in range(self._iterations):
            image = self._matrix @ direction
            curvature = _dot(direction, image)
            if not ((curvature > 0) & (slope > 0)).all():
                raise SolveError("the stiffness matrix is not positive definite (a direction of no or negative energy)")
            step = slope / curvature
            solution[:, active] += step * direction
            residual -= step * image
            going = np.linalg.norm(residual, axis=0) > target[active]
            if not going.any():
                break
            if not going.all():
                active, residual, direction = active[going], residual[:, going], direction[:, going]
                slope = slope[going]
            preconditioned = self._cycle(0, residual)
            fresh = _dot(residual, preconditioned)
            direction = preconditioned + (fresh / slope) * direction
            slope = fresh
        return solution

    def _cycle(self, number: int, right: FloatArray) -> FloatArray:
        """One V-cycle from zero: symmetric, since the same polynomial smooths on the way down and up."""
        if number == len(self._levels):
            return np.asarray(scipy.linalg.cho_solve((self._coarse, True), right, check_finite=False))
        level = self._levels[number]
        solution, residual = _smooth(level, right.copy())
        coarse = self._cycle(number + 1, level.restriction @ residual)
        correction = level.prolongation @ coarse
        residual -= level.matrix @ correction
        smoothed, _ = _smooth(level, residual, last=True)
        return solution + correction + smoothed


def _dot(first: FloatArray, second: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ij,ij->j", first, second))


def _smooth(level: _Level, residual: FloatArray, last: bool = False) -> tuple[FloatArray, FloatArray]:
    """Correction by the Chebyshev polynomial of the fourth kind, and the residual it leaves, unless it is the last."""
    step = (4 / 3 / level.largest) * (level.inverse_diagonal @ residual)
    solution = step.copy()
    for k in range(1, _SMOOTHER_DEGREE):
        residual -= level.matrix @ step
        scaled = level.inverse_diagonal @ residual
        step = ((2 * k - 1) / (2 * k + 3)) * step + ((8 * k + 4) / (2 * k + 3) / level.largest) * scaled
        solution += step
    if not last:
        residual -= level.matrix @ step
    return solution, residual


def _point_blocks(matrix: sp.csr_matrix, points: IntArray) -> tuple[sp.bsr_matrix, IntArray]:
    """The matrix on 3 x 3 blocks, one a point, and the rows of the unknowns in it [n].

    A direction that a point is held in becomes an equation of its own, as stiff as the point's other directions.
    """
    starts = np.concatenate([[True], points[1:] != points[:-1]])
    number = np.cumsum(starts) - 1
    places = (3 * number + np.arange(len(points)) - np.flatnonzero(starts)[number]).astype(np.int32)
    size = 3 * (int(number[-1]) + 1)
    lengths = np.zeros(size + 1, dtype=np.int64)
    lengths[places + 1] = np.diff(matrix.indptr)
    padded = sp.csr_matrix((matrix.data, places[matrix.indices], np.cumsum(lengths)), shape=(size, size))
    blocks = padded.tobsr((3, 3))
    blocks.sort_indices()
    held = np.setdiff1d(np.arange(size), places)
    if held.size:
        diagonal = _diagonal_blocks(blocks)
        own = np.einsum("pii->p", blocks.data[diagonal]) / np.bincount(number)
        blocks.data[diagonal[held // 3], held % 3, held % 3] = own[held // 3]
    return blocks, places


def _diagonal_blocks(matrix: sp.bsr_matrix) -> IntArray:
    """Which blocks stand on the diagonal, one a block row."""
    rows = np.repeat(np.arange(len(matrix.indptr) - 1), np.diff(matrix.indptr))
    return np.flatnonzero(rows == matrix.indices)


def _grids(matrix: sp.csr_matrix, blocks: sp.bsr_matrix, modes: FloatArray) -> tuple[list[_Level], FloatArray]:
    """Every grid but the coarsest, and the factor of the coarsest matrix."""
    import pyamg

    hierarchy = pyamg.smoothed_aggregation_solver(
        blocks,
        B=modes,
        strength=("symmetric", {"theta": _STRENGTH}),
        # Weighted by rows: an estimate of the spectral radius would start from a random vector.
        smooth=("jacobi", {"omega": 4 / 3, "weighting": "local"}),
        improve_candidates=None,
        presmoother=None,
        postsmoother=None,
        max_coarse=_LARGEST_COARSE,
    )
    levels = []
    for number, grid in enumerate(hierarchy.levels[:-1]):
        inverse, own = _inverse_diagonal(grid.A), grid.A if number else matrix
        levels.append(_Level(own, inverse, _largest_eigenvalue(own, inverse), grid.P, grid.R))
    return levels, _coarse_factor(hierarchy.levels[-1].A.toarray())


def _coarse_factor(matrix: FloatArray) -> FloatArray:
    """Lower Cholesky factor of the coarsest matrix.

    Raises:
        SolveError: not positive definite.
    """
    diagonal = matrix.diagonal()
    # An aggregate of fewer directions than the six motions leaves empty rows: they become equations of their own.
    empty = diagonal <= 1e-12 * diagonal.max()
    matrix = np.where(empty[:, None] | empty, np.diag(np.where(empty, diagonal.max(), 0.0)), matrix)
    try:
        return np.asarray(scipy.linalg.cholesky(matrix, lower=True, check_finite=False))
    except np.linalg.LinAlgError as error:
        raise SolveError("the stiffness matrix is not positive definite (nor is it on the coarsest grid)") from error


def _inverse_diagonal(matrix: sp.bsr_matrix) -> sp.bsr_matrix:
    count, size = len(matrix.indptr) - 1, matrix.blocksize[0]
    diagonal = np.zeros((count, size, size))
    where = _diagonal_blocks(matrix)
    rows = matrix.indices[where]
    diagonal[rows] = matrix.data[where]
    inverse = np.linalg.pinv((diagonal + diagonal.transpose(0, 2, 1)) / 2, rcond=1e-12, hermitian=True)
    return sp.bsr_matrix((inverse, np.arange(count), np.arange(count + 1)), shape=matrix.shape)


def _largest_eigenvalue(matrix: sp.csr_matrix | sp.bsr_matrix, inverse_diagonal: sp.bsr_matrix) -> float:
    """A bound on the largest eigenvalue of the scaled matrix: power iteration, with a margin for what it misses."""
    vector = np.random.default_rng(0).normal(size=matrix.shape[0])
    value = 1.0
    for _ in range(15):
        image = inverse_diagonal @ (matrix @ vector)
        value = float(np.linalg.norm(image) / np.linalg.norm(vector))
        vector = image / np.linalg.norm(image)
    return 1.15 * value
