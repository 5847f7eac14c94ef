"""Invariants of symmetric tensors stored component first: xx yy zz xy yz zx on axis 0.

Component-first arrays keep each component contiguous, which is what vectorised material laws want; fields that leave
the physics are component last. `to_last` and `to_first` convert.
"""

import numpy as np

from surrogate.fields import FloatArray


def deviator(stress: FloatArray) -> FloatArray:
    """Deviatoric part of a stress [6, ...]."""
    result = stress.copy()
    result[:3] -= stress[:3].mean(axis=0)
    return result


def tensor_norm(stress: FloatArray) -> FloatArray:
    """Frobenius norm of the tensor of a stress-like [6, ...] (shear components, not engineering shear) [...]."""
    normal = np.einsum("i...,i...->...", stress[:3], stress[:3])
    shear = np.einsum("i...,i...->...", stress[3:], stress[3:])
    return np.sqrt(normal + 2 * shear)


def von_mises(stress: FloatArray) -> FloatArray:
    """Von Mises stress of a stress [6, ...], same unit [...]: sqrt(3/2 s:s)."""
    return np.sqrt(1.5) * tensor_norm(deviator(stress))


def to_last(tensor: FloatArray, cell_count: int) -> FloatArray:
    """[6, C*Q] to [C, Q, 6]."""
    return np.ascontiguousarray(tensor.T.reshape(cell_count, -1, 6))


def to_first(tensor: FloatArray) -> FloatArray:
    """[C, Q, 6] to [6, C*Q]."""
    return np.ascontiguousarray(tensor.reshape(-1, 6).T)
