"""From a plastic strain field to displacement and stress in exact equilibrium, and the error that then remains.

Shape letters: P quadrature points, R states solved together, n free unknowns.
"""

from dataclasses import dataclass

import numpy as np

from surrogate.fields import FloatArray
from surrogate.physics.elastic import ElasticSystem
from surrogate.physics.hardening import SQRT_2_3
from surrogate.physics.invariants import deviator, tensor_norm
from surrogate.physics.materials import Material
from surrogate.physics.plasticity import PlasticState, elastic_stress


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


def return_to_yield(stress: FloatArray, state: PlasticState, material: Material) -> FloatArray:
    """The nearest stress that the material can carry: the deviator scaled back to the yield surface where it is over.

    Args:
        stress: [6, ...], Pa.
        state: plastic state, same trailing shape; its equivalent plastic strain sets the size of the surface.
        material: the law.
    """
    radius = SQRT_2_3 * material.yield_stress(state.equivalent)
    shape = deviator(stress)
    return stress - np.maximum(1 - radius / np.maximum(tensor_norm(shape), 1e-30), 0.0) * shape


def imbalance(system: ElasticSystem, equilibrated: FloatArray, admissible: FloatArray) -> FloatArray:
    """Norm of the nodal forces that going from an equilibrated stress to an admissible one sets free [R], N.

    Zero for a state that is both in equilibrium and within yield: the label-free error of an equilibrated answer.
    """
    return np.asarray(np.linalg.norm(system.internal_force(equilibrated - admissible), axis=0))
