"""The notch rules of fatigue engineering: plastic strain at a point from its elastic stress, no neighbour asked.

H. Neuber, Theory of stress concentration for shear-strained prismatical bodies with arbitrary nonlinear stress-strain
law, J. Appl. Mech. 28 (1961) 544: stress times strain is that of the elastic answer. K. Molski, G. Glinka, A method of
elastic-plastic stress and strain calculation at a notch root, Mater. Sci. Eng. 50 (1981) 93: the strain energy density
(ESED) is. Both in von Mises stress and equivalent strain, as fatigue programs use them. Under a load that comes
back the largest elastic stress so far counts. Shape letters: P points, T steps, K load cases.
"""

from collections.abc import Callable

import numpy as np

from surrogate.fields import FloatArray
from surrogate.model.anchor_path import elastic_von_mises, elastic_von_mises_squares
from surrogate.physics.invariants import deviator, von_mises
from surrogate.physics.materials import Material
from surrogate.physics.plasticity import PlasticState

NotchRule = Callable[[FloatArray, Material], FloatArray]
# Rows of the inverted curve: linear interpolation between them is 1e-5 off.
_ROWS = 4000
_LEAST = 1e-6


def neuber(elastic: FloatArray, material: Material) -> FloatArray:
    """Equivalent plastic strain p with sigma_y(p) (sigma_y(p) / E + p) = elastic^2 / E.

    Args:
        elastic: elastic von Mises stress [...], Pa.
        material: the law.
    """
    return _inverted(_neuber_product, elastic, material)


def glinka(elastic: FloatArray, material: Material) -> FloatArray:
    """Equivalent plastic strain p with sigma_y(p)^2 / 2 E + integral of sigma_y up to p = elastic^2 / 2 E.

    Args:
        elastic: elastic von Mises stress [...], Pa.
        material: the law.
    """
    return _inverted(_glinka_energy, elastic, material)


NOTCH_RULES: dict[str, NotchRule] = {"Neuber": neuber, "Glinka": glinka}


def notch_history(
    rule: NotchRule, case_stress: FloatArray, factors: FloatArray, material: Material, factor: float = 1.0
) -> PlasticState:
    """The plastic state after each step, in the direction of the elastic deviator at its largest so far.

    Args:
        rule: Neuber's or Glinka's.
        case_stress: elastic stress of each load case [6, P, K], Pa.
        factors: [T, K].
        material: the law.
        factor: on the plastic strain.

    Returns:
        Trailing shape [P, T].
    """
    level = elastic_von_mises(elastic_von_mises_squares(case_stress), factors)  # [T, P]
    equivalent = factor * rule(np.maximum.accumulate(level, axis=0), material).T  # [P, T]
    strain = np.zeros((6, *equivalent.shape))
    top = np.zeros(level.shape[1], dtype=np.int64)
    for step in range(len(factors)):
        top = np.where(level[step] >= np.take_along_axis(level, top[None], axis=0)[0], step, top)
        shape = deviator(np.einsum("cpk,pk->cp", case_stress, factors[top]))
        shape *= 1.5 * equivalent[:, step] / np.maximum(von_mises(shape), 1e-30)
        shape[3:] *= 2
        strain[:, :, step] = shape
    return PlasticState(strain, equivalent)


def _inverted(
    curve: Callable[[FloatArray, Material], FloatArray], elastic: FloatArray, material: Material
) -> FloatArray:
    """The p whose curve, in elastic stress, meets the given one; zero below yield."""
    unit = material.yield_strength_pa / material.youngs_modulus_pa
    # The elastic stress grows with sqrt(p) at least, so this p lies beyond the largest one asked.
    most = max(2.0, float((elastic / material.yield_strength_pa).max(initial=1.0)) ** 2) * unit
    strain = np.concatenate([[0.0], np.geomspace(_LEAST * unit, most, _ROWS)])
    # Near yield the curve is straight in p, and in the stress itself too.
    return np.asarray(np.interp(elastic, curve(strain, material), strain, left=0.0))


def _neuber_product(strain: FloatArray, material: Material) -> FloatArray:
    stress, modulus = material.yield_stress(strain), material.youngs_modulus_pa
    return np.sqrt(stress * (stress + modulus * strain))


def _glinka_energy(strain: FloatArray, material: Material) -> FloatArray:
    stress, modulus = material.yield_stress(strain), material.youngs_modulus_pa
    # The trapezoid is exact for a linear law and for tables but at their corners.
    work = np.concatenate([[0.0], np.cumsum(0.5 * (stress[1:] + stress[:-1]) * np.diff(strain))])
    return np.sqrt(stress**2 + 2 * modulus * work)
