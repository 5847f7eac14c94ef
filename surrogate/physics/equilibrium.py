"""From a plastic strain field to displacement and stress in exact equilibrium, and the error that then remains.

Shape letters: P quadrature points, R states solved together, n free unknowns.
"""

from dataclasses import dataclass

import numpy as np

from surrogate.fields import FloatArray
from surrogate.physics.elastic import ElasticSystem
from surrogate.physics.invariants import deviator, tensor_norm
from surrogate.physics.plasticity import SQRT_2_3, PlasticState, elastic_stress


@dataclass(frozen=True)
class Equilibrated:
    """A state in equilibrium with its loads.

    Attributes:
        unknowns: [n, R].
        stress: [6, P, R], Pa.
    """

    unknowns: FloatArray
    stress: FloatArray


def equilibrate(system: ElasticSystem, forces: FloatArray, plastic_strain: FloatArray) -> Equilibrated:
    """Displacement and stress in equilibrium with loads, given the plastic strain: one back-substitution.

    K q = F + integral of B^T D eps_p; stress = D (B q - eps_p).

    Args:
        system: the held part.
        forces: nodal forces [n, R], N.
        plastic_strain: [6, P, R], engineering shear.
    """
    initial = system.internal_force(elastic_stress(plastic_strain, system.material))
    unknowns = system.factor.solve(forces + initial)
    return Equilibrated(unknowns, elastic_stress(system.strain(unknowns) - plastic_strain, system.material))


def yield_violation_force(system: ElasticSystem, stress: FloatArray, state: PlasticState) -> FloatArray:
    """Norm of the nodal forces that projecting the stress on the yield surface sets free [R], N.

    Zero for a state that is both in equilibrium and within yield: the label-free error of an equilibrated answer.
    """
    radius = SQRT_2_3 * (system.material.yield_strength_pa + system.material.hardening_modulus_pa * state.equivalent)
    shape = deviator(stress)
    norm = tensor_norm(shape)
    excess = np.maximum(1 - radius / np.maximum(norm, 1e-30), 0.0) * shape
    return np.asarray(np.linalg.norm(system.internal_force(excess), axis=0))
