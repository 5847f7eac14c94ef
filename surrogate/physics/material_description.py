"""Materials to and from the tables of a problem file."""

from surrogate.physics.hardening import Hardening, LinearHardening, TabulatedHardening, VoceHardening
from surrogate.physics.materials import Material, material_named
from surrogate.physics.problem_schema import HardeningSpec, MaterialSpec, VoceSpec


def material_spec(material: Material) -> MaterialSpec:
    """The table that gives this material in a problem file."""
    return MaterialSpec(
        name=material.name,
        youngs_modulus_pa=material.youngs_modulus_pa,
        poissons_ratio=material.poissons_ratio,
        density_kg_m3=material.density_kg_m3,
        yield_strength_pa=material.yield_strength_pa,
        ultimate_strength_pa=material.ultimate_strength_pa,
        hardening=_hardening_spec(material.hardening),
        source=material.source,
    )


def described_material(choice: str | MaterialSpec) -> Material:
    """The material of a library name or a table.

    Raises:
        MaterialError: no such name, or constants that no material has.
    """
    if isinstance(choice, str):
        return material_named(choice)
    return Material(
        choice.name,
        choice.youngs_modulus_pa,
        choice.poissons_ratio,
        choice.density_kg_m3,
        choice.yield_strength_pa,
        choice.ultimate_strength_pa,
        _hardening(choice.hardening),
        choice.source,
    )


def _hardening_spec(law: Hardening) -> HardeningSpec:
    match law:
        case LinearHardening():
            return HardeningSpec(linear_modulus_pa=law.modulus_pa)
        case VoceHardening():
            return HardeningSpec(voce=VoceSpec(saturation_pa=law.saturation_pa, rate=law.rate))
        case TabulatedHardening():
            return HardeningSpec(table=law.points)


def _hardening(spec: HardeningSpec) -> Hardening:
    if spec.voce is not None:
        return VoceHardening(spec.voce.saturation_pa, spec.voce.rate)
    if spec.table is not None:
        return TabulatedHardening(spec.table)
    assert spec.linear_modulus_pa is not None  # the schema takes exactly one of the three
    return LinearHardening(spec.linear_modulus_pa)
