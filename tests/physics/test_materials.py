"""Constants that no material has are refused with the remedy; the library is found by name."""

from dataclasses import replace

import pytest

from surrogate.errors import MaterialError
from surrogate.physics.materials import library, material_named
from tests.physics.meshes import STEEL


def test_moduli_are_those_of_isotropic_elasticity() -> None:
    # K = lambda + 2/3 G = E / (3 (1 - 2 nu)).
    bulk = STEEL.lame_lambda_pa + 2 / 3 * STEEL.shear_modulus_pa
    assert bulk == pytest.approx(200e9 / (3 * 0.4), rel=1e-14)
    assert STEEL.shear_modulus_pa == pytest.approx(200e9 / 2.6, rel=1e-14)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"youngs_modulus_pa": 0.0}, "youngs_modulus_pa"),
        ({"youngs_modulus_pa": float("nan")}, "youngs_modulus_pa"),
        ({"density_kg_m3": -1.0}, "density_kg_m3"),
        ({"yield_strength_pa": float("inf")}, "yield_strength_pa"),
        ({"poissons_ratio": 0.5}, "poissons_ratio"),
        ({"poissons_ratio": -1.0}, "poissons_ratio"),
        ({"ultimate_strength_pa": 1e6}, "ultimate_strength_pa"),
    ],
)
def test_impossible_constants_are_refused_by_name(wrong: dict[str, float], named: str) -> None:
    with pytest.raises(MaterialError, match=named):
        replace(STEEL, **wrong)


def test_every_library_material_is_found_whatever_its_case_and_has_a_source() -> None:
    names = [material.name for material in library()]
    assert len(set(names)) == len(names) >= 8
    for material in library():
        assert material_named(f" {material.name.upper()} ") == material
        assert material.source


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(MaterialError, match=r"unobtainium.*Al 7075-T6.*\[material\]"):
        material_named("unobtainium")
