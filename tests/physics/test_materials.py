"""Constants that no material has are refused with the remedy; the library is found by name."""

from dataclasses import replace

import numpy as np
import pytest

from surrogate.errors import MaterialError
from surrogate.physics.hardening import Hardening, LinearHardening, TabulatedHardening, VoceHardening
from surrogate.physics.material_description import described_material, material_spec
from surrogate.physics.materials import Material, library, material_named
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
        ({"ultimate_strength_pa": float("nan")}, "ultimate_strength_pa"),
        ({"ultimate_strength_pa": float("inf")}, "ultimate_strength_pa"),
        ({"hardening": TabulatedHardening(((0.0, 260e6), (0.1, 300e6)))}, "begins at 2.6e.08 Pa .* make them equal"),
    ],
)
def test_impossible_constants_are_refused_by_name(wrong: dict[str, float | Hardening], named: str) -> None:
    with pytest.raises(MaterialError, match=named):
        replace(STEEL, **wrong)


def test_every_library_material_is_found_whatever_its_case_and_has_a_source() -> None:
    names = [material.name for material in library()]
    assert len(set(names)) == len(names) >= 19
    for material in library():
        assert material_named(f" {material.name.upper()} ") == material
        # Each number has its source, in the length that a problem file takes.
        assert "yield" in material.source and "density" in material.source and "hardening: " in material.source
        assert described_material(material_spec(material)) == material


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(MaterialError, match=r"unobtainium.*Al 7075-T6.*\[material\]"):
        material_named("unobtainium")


TRAINED_ON = {"Al 7075-T6": 700e6, "Al 2024-T3": 1000e6, "Al 6061-T6": 450e6, "Ti-6Al-4V": 900e6, "Steel 4340": 1300e6,
              "17-4PH H1025": 1100e6, "Inconel 718": 1800e6, "AlSi10Mg": 2000e6}  # fmt: skip


def test_the_alloys_of_the_shipped_model_keep_the_hardening_that_it_was_trained_on() -> None:
    for name, modulus in TRAINED_ON.items():
        assert material_named(name).hardening == LinearHardening(modulus)
        assert material_named(name).hardening_modulus_pa == modulus


@pytest.mark.parametrize("material", [m for m in library() if m.name not in TRAINED_ON], ids=lambda m: m.name)
def test_a_curve_of_the_library_necks_at_the_ultimate_strength(material: Material) -> None:
    # Engineering stress s exp(-e) over the logarithmic strain e peaks at the ultimate strength; constants are rounded.
    stresses, strains = engineering_curve(material)
    peak = stresses.argmax()
    assert stresses[peak] == pytest.approx(material.ultimate_strength_pa, rel=0.005)
    if isinstance(material.hardening, VoceHardening):
        # It peaks at the strain that the source names, where the curve is flat.
        named = float(material.source.rsplit(" at ", 1)[1].removesuffix(" % strain"))
        assert 100 * strains[peak] == pytest.approx(named, rel=0.05)


def engineering_curve(material: Material) -> tuple[np.ndarray, np.ndarray]:
    """Engineering stress and strain of a bar, Pa."""
    plastic = np.linspace(0, 0.8, 8001)
    true_stress = material.yield_stress(plastic)
    strain = plastic + true_stress / material.youngs_modulus_pa
    return true_stress * np.exp(-strain), np.expm1(strain)


def test_the_structural_steel_is_the_four_line_model_that_its_source_names() -> None:
    # Yun and Gardner (2017): strains of the kinks from the ratio of yield to ultimate strength, engineering values.
    steel = material_named("Steel S355")
    low, high, modulus = steel.yield_strength_pa, steel.ultimate_strength_pa, steel.youngs_modulus_pa
    hardens, ultimate = 0.1 * low / high - 0.055, 0.6 * (1 - low / high)
    kink = hardens + 0.25 * (ultimate - hardens)
    slope = (high - low) / (0.4 * (ultimate - hardens))
    strains = np.array([hardens, kink, ultimate])
    stresses = np.array([low, low + slope * (kink - hardens), high])
    true_stress = stresses * (1 + strains)
    plastic = np.log1p(strains) - true_stress / modulus
    assert isinstance(steel.hardening, TabulatedHardening)
    np.testing.assert_allclose(np.array(steel.hardening.points)[1:].T, [plastic, true_stress], rtol=5e-3)


@pytest.mark.parametrize(
    "law", [LinearHardening(3e9), VoceHardening(1e8, 30.0), TabulatedHardening(((0.0, 250e6), (0.01, 300e6)))]
)
def test_the_hardening_modulus_is_the_secant_to_two_per_cent(law: Hardening) -> None:
    material = replace(STEEL, hardening=law)
    rise = material.yield_stress(np.array([0.02])) - material.yield_stress(np.array([0.0]))
    assert material.hardening_modulus_pa == pytest.approx(rise[0] / 0.02, rel=1e-12)
