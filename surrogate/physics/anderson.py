"""Anderson acceleration of a fixed-point iteration, one instance for each right-hand side.

Source: Walker and Ni, Anderson acceleration for fixed-point iterations, SIAM J. Numer. Anal. 49 (2011), eq. 2.1.
"""

import numpy as np

from surrogate.fields import FloatArray

# Differences that point the same way to this share (squared, as the normal equations see it) count as one.
_RANK = 1e-13


class Anderson:
    """Extrapolates x from the last few iterates x and steps g (x + g would be the plain next iterate)."""

    def __init__(self, depth: int = 5) -> None:
        self._depth = depth
        self._last: tuple[FloatArray, FloatArray] | None = None
        # Ring of the last differences: of g, and of x + g.
        self._changed = np.empty((0, 0))
        self._moved = np.empty((0, 0))
        self._count = 0

    def advance(self, iterate: FloatArray, step: FloatArray) -> FloatArray:
        """The next iterate [n]."""
        ahead = iterate + step
        if self._last is None:
            self._last = ahead, step.copy()
            return ahead
        if self._count == 0:
            self._changed, self._moved = np.empty((self._depth, step.size)), np.empty((self._depth, step.size))
        row = self._count % self._depth
        np.subtract(step, self._last[1], out=self._changed[row])
        np.subtract(ahead, self._last[0], out=self._moved[row])
        self._last, self._count = (ahead, step.copy()), self._count + 1
        used = min(self._count, self._depth)
        return np.asarray(ahead - self._weights(self._changed[:used], step) @ self._moved[:used])

    def _weights(self, changed: FloatArray, step: FloatArray) -> FloatArray:
        """Least-squares weights of the differences [d, n] for a step, by normal equations of scaled rows."""
        gram = changed @ changed.T
        scale = 1 / np.sqrt(np.maximum(gram.diagonal(), 1e-300))
        values, vectors = np.linalg.eigh(gram * scale[:, None] * scale)
        kept = values > _RANK * values[-1]
        inverse = np.where(kept, 1 / np.where(kept, values, 1.0), 0.0)
        return np.asarray(scale * (vectors @ (inverse * (vectors.T @ (scale * (changed @ step))))))
