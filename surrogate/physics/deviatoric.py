"""J2 plasticity in five numbers a point, for runs of many histories at many points.

Plastic flow keeps the volume, so that the strain deviator tells all: its coordinates in an orthonormal basis of the
deviators, in which the norm of a tensor is that of the vector and 2 G times strain is stress. Histories come first in
every array, so that some of them are taken out by whole blocks.
Source: Simo and Hughes, Computational Inelasticity, box 3.1.
Shape letters: A points, H histories, T steps, K load cases (or any other fields that add up to the strain).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from surrogate.fields import FloatArray, IntArray
from surrogate.physics.hardening import SQRT_2_3
from surrogate.physics.materials import Material

_ROOT_2, _ROOT_6 = np.sqrt(2.0), np.sqrt(6.0)
_TO_DEVIATOR = np.zeros((5, 6))
_TO_DEVIATOR[0, :2] = 1 / _ROOT_2, -1 / _ROOT_2
_TO_DEVIATOR[1, :3] = -1 / _ROOT_6, -1 / _ROOT_6, 2 / _ROOT_6
_TO_DEVIATOR[2:, 3:] = np.eye(3) / _ROOT_2
_FROM_DEVIATOR = _TO_DEVIATOR.T * np.array([1, 1, 1, 2, 2, 2])[:, None]


def strain_deviator(strain: FloatArray) -> FloatArray:
    """Coordinates [5, ...] of the deviator of a strain [6, ...] with engineering shear."""
    mixing = _TO_DEVIATOR.astype(strain.dtype, copy=False)
    return np.asarray((mixing @ strain.reshape(6, -1)).reshape(5, *strain.shape[1:]))


def strain_of_deviator(deviator: FloatArray) -> FloatArray:
    """The strain [6, ...], engineering shear, without change of volume, of a deviator [5, ...]."""
    return np.asarray((_FROM_DEVIATOR @ deviator.reshape(5, -1)).reshape(6, *deviator.shape[1:]))


def deviator_rows(operator: sp.csr_matrix, points: IntArray, count: int) -> sp.csr_matrix:
    """The deviators of the strain at some points as a matrix of its own [5 F, n].

    Args:
        operator: strain of the unknowns at all points, component first [6 P, n], engineering shear.
        points: the points [F].
        count: of all points P.
    """
    rows = (points + count * np.arange(6)[:, None]).ravel()
    mixing = sp.kron(sp.csr_matrix(_TO_DEVIATOR), sp.identity(len(points)), format="csr")
    return sp.csr_matrix(mixing @ operator[rows])


@dataclass(frozen=True, eq=False)
class DeviatoricState:
    """What the points remember.

    Attributes:
        plastic: deviator of the plastic strain [H, 5, A].
        equivalent: accumulated equivalent plastic strain [H, A].
    """

    plastic: FloatArray
    equivalent: FloatArray

    @staticmethod
    def virgin(histories: int, points: int) -> "DeviatoricState":
        """The state before any load."""
        return DeviatoricState(np.zeros((histories, 5, points)), np.zeros((histories, points)))


@dataclass(frozen=True, eq=False)
class DeviatoricReturn:
    """Result of a radial return.

    Attributes:
        state: the state afterwards.
        multiplier: zero where elastic [H, A].
        direction: unit flow direction [H, 5, A].
        trial_norm: norm of the trial elastic strain deviator [H, A].
    """

    state: DeviatoricState
    multiplier: FloatArray
    direction: FloatArray
    trial_norm: FloatArray


def deviatoric_return(strain: FloatArray, before: DeviatoricState, material: Material) -> DeviatoricReturn:
    """The radial return at a strain deviator [H, 5, A]; the array is used up."""
    shear, law = material.shear_modulus_pa, material.hardening
    strain -= before.plastic
    norm = np.sqrt(np.einsum("hca,hca->ha", strain, strain))
    excess = np.maximum(2 * shear * norm - SQRT_2_3 * material.yield_stress(before.equivalent), 0.0)
    multiplier = law.multiplier(excess, before.equivalent, shear)
    strain /= np.maximum(norm, 1e-30)[:, None]
    after = DeviatoricState(before.plastic + multiplier[:, None] * strain, before.equivalent + SQRT_2_3 * multiplier)
    return DeviatoricReturn(after, multiplier, strain, norm)


def deviatoric_path(strain: FloatArray, factors: FloatArray, material: Material) -> Iterator[DeviatoricState]:
    """State after each step along given strain paths; the arguments as of `deviatoric_steps`."""
    return (mapped.state for mapped in deviatoric_steps(strain, factors, material))


def deviatoric_steps(strain: FloatArray, factors: FloatArray, material: Material) -> Iterator[DeviatoricReturn]:
    """The radial return at each step along given strain paths.

    Args:
        strain: strain of each load case or mode [6, A, K], engineering shear.
        factors: [H, T, K].
        material: the law.
    """
    points = strain.shape[1]
    cases = np.ascontiguousarray(strain_deviator(strain).reshape(-1, strain.shape[2]).T)
    state = DeviatoricState.virgin(len(factors), points)
    for step in range(factors.shape[1]):
        driving = (factors[:, step] @ cases).reshape(len(factors), 5, points)
        mapped = deviatoric_return(driving, state, material)
        state = mapped.state
        yield mapped
