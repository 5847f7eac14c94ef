"""Anderson acceleration of a fixed-point iteration, one instance for each right-hand side.

Source: Walker and Ni, Anderson acceleration for fixed-point iterations, SIAM J. Numer. Anal. 49 (2011), eq. 2.1.
"""

import numpy as np

from surrogate.fields import FloatArray


class Anderson:
    """Extrapolates x from the last few iterates x and steps g (x + g would be the plain next iterate)."""

    def __init__(self, depth: int = 5) -> None:
        self._depth = depth
        self._iterates: list[FloatArray] = []
        self._steps: list[FloatArray] = []

    def advance(self, iterate: FloatArray, step: FloatArray) -> FloatArray:
        """The next iterate [n]."""
        self._iterates.append(iterate.copy())
        self._steps.append(step.copy())
        if len(self._steps) == 1:
            return iterate + step
        self._iterates, self._steps = self._iterates[-self._depth - 1 :], self._steps[-self._depth - 1 :]
        moved = np.diff(np.stack(self._iterates, axis=1), axis=1)
        changed = np.diff(np.stack(self._steps, axis=1), axis=1)
        weights = np.linalg.lstsq(changed, step, rcond=1e-10)[0]
        return np.asarray(iterate + step - (moved + changed) @ weights)
