"""Small-strain J2 plasticity with isotropic hardening: the radial return.

Source: Simo and Hughes, Computational Inelasticity, box 3.1 (return map) and box 3.2 (consistent tangent). All
tensors are component first [6, ...]; strain has engineering shear.
"""

from dataclasses import dataclass

import numpy as np

from surrogate.fields import FloatArray, IntArray
from surrogate.physics.hardening import SQRT_2_3
from surrogate.physics.invariants import deviator, tensor_norm
from surrogate.physics.materials import Material


@dataclass(frozen=True)
class PlasticState:
    """What a material point remembers.

    Attributes:
        plastic_strain: [6, ...], engineering shear.
        equivalent: accumulated equivalent plastic strain [...].
    """

    plastic_strain: FloatArray
    equivalent: FloatArray

    @staticmethod
    def virgin(*shape: int) -> "PlasticState":
        """The state before any load, for points of this shape."""
        return PlasticState(np.zeros((6, *shape)), np.zeros(shape))


@dataclass(frozen=True)
class ReturnMap:
    """Result of the radial return.

    Attributes:
        stress: [6, ...], Pa.
        state: the state afterwards.
        multiplier: plastic multiplier of the step, zero where elastic [...].
        direction: unit flow direction (stress-like shear) [6, ...].
        trial_norm: norm of the trial stress deviator [...], Pa.
    """

    stress: FloatArray
    state: PlasticState
    multiplier: FloatArray
    direction: FloatArray
    trial_norm: FloatArray


def elastic_stress(strain: FloatArray, material: Material) -> FloatArray:
    """Hooke's law: stress [6, ...] of an elastic strain [6, ...], Pa."""
    shear = material.shear_modulus_pa
    stress = np.empty_like(strain)
    pressure_part = material.lame_lambda_pa * strain[:3].sum(axis=0)
    for i in range(3):
        stress[i] = 2 * shear * strain[i] + pressure_part
    stress[3:] = shear * strain[3:]
    return stress


def elastic_strain(stress: FloatArray, material: Material) -> FloatArray:
    """Inverse of `elastic_stress`: elastic strain [6, ...], engineering shear."""
    strain = stress / (2 * material.shear_modulus_pa)
    strain[:3] -= material.poissons_ratio / material.youngs_modulus_pa * stress[:3].sum(axis=0)
    strain[3:] *= 2
    return strain


def return_map(strain: FloatArray, state: PlasticState, material: Material) -> ReturnMap:
    """Stress and new state at a total strain, from the state at the last converged step.

    Args:
        strain: total strain [6, ...].
        state: state before the step, same trailing shape.
        material: the law.
    """
    shear = material.shear_modulus_pa
    trial = elastic_stress(strain - state.plastic_strain, material)
    direction = deviator(trial)
    trial_norm = tensor_norm(direction)
    excess = np.maximum(trial_norm - SQRT_2_3 * material.yield_stress(state.equivalent), 0.0)
    multiplier = material.hardening.multiplier(excess, state.equivalent, shear)
    direction /= np.maximum(trial_norm, 1e-30)
    increment = multiplier * direction
    stress = trial
    stress -= 2 * shear * increment
    increment[3:] *= 2
    after = PlasticState(state.plastic_strain + increment, state.equivalent + SQRT_2_3 * multiplier)
    return ReturnMap(stress, after, multiplier, direction, trial_norm)


def tangent_correction(mapped: ReturnMap, points: IntArray, material: Material) -> FloatArray:
    """Consistent tangent minus the elastic matrix at some yielding points.

    Args:
        mapped: result of `return_map` with trailing shape [P].
        points: indices of the yielding points [Y].
        material: the law.

    Returns:
        [Y, 6, 6], Pa, acting on engineering strain.
    """
    shear = material.shear_modulus_pa
    slope = material.hardening.slope(mapped.state.equivalent[points])
    n = mapped.direction[:, points].T
    theta = 2 * shear * mapped.multiplier[points] / mapped.trial_norm[points]
    projection = np.diag([1.0, 1, 1, 0.5, 0.5, 0.5])
    projection[:3, :3] -= 1 / 3
    radial = 2 * shear / (1 + slope / (3 * shear)) - 2 * shear * theta
    return -(2 * shear * theta)[:, None, None] * projection - radial[:, None, None] * n[:, :, None] * n[:, None, :]
