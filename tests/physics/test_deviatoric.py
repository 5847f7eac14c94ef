"""Laws of the radial return in five numbers: it is that of the tensors; round-off only."""

from dataclasses import replace

import numpy as np
import pytest

from surrogate.physics.deviatoric import deviatoric_path, strain_deviator, strain_of_deviator
from surrogate.physics.hardening import TabulatedHardening, VoceHardening
from surrogate.physics.invariants import deviator, tensor_norm
from surrogate.physics.materials import Material
from surrogate.physics.plasticity import PlasticState, elastic_stress, return_map
from tests.physics.meshes import PERFECT, STEEL

RANDOM = np.random.default_rng(5)
VOCE = replace(STEEL, hardening=VoceHardening(180e6, 25.0))
TABLE = replace(STEEL, hardening=TabulatedHardening(((0.0, 250e6), (0.02, 320e6), (0.1, 380e6))))


def test_the_norm_of_five_numbers_times_2_g_is_that_of_the_stress_deviator() -> None:
    strain = RANDOM.normal(size=(6, 4, 3)) * 1e-3
    norm = 2 * STEEL.shear_modulus_pa * np.linalg.norm(strain_deviator(strain), axis=0)
    np.testing.assert_allclose(norm, tensor_norm(deviator(elastic_stress(strain, STEEL))), rtol=1e-12)


def test_a_strain_without_change_of_volume_comes_back() -> None:
    strain = RANDOM.normal(size=(6, 10))
    strain[:3] -= strain[:3].mean(axis=0)
    np.testing.assert_allclose(strain_of_deviator(strain_deviator(strain)), strain, atol=1e-14)


@pytest.mark.parametrize("material", [STEEL, PERFECT, VOCE, TABLE])
def test_a_path_ends_in_the_same_state_as_the_law_of_the_tensors(material: Material) -> None:
    cases, factors = RANDOM.normal(size=(6, 20, 2)) * 3e-3, RANDOM.normal(size=(3, 5, 2))
    state = PlasticState.virgin(20, 3)
    for step, found in enumerate(deviatoric_path(cases, factors, material)):
        state = return_map(cases @ factors[:, step].T, state, material).state
        np.testing.assert_allclose(found.equivalent.T, state.equivalent, atol=1e-14)
        plastic = strain_of_deviator(found.plastic.transpose(1, 2, 0))
        np.testing.assert_allclose(plastic, state.plastic_strain, atol=1e-14)
    assert state.equivalent.max() > 1e-3
