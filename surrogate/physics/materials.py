"""Isotropic elastic-plastic materials and the library of alloys.

Values of the library are room-temperature design values rounded from the named public source; they are a start for
screening, not a substitute for a project's own allowables.
"""

from dataclasses import dataclass

import numpy as np

from surrogate.errors import MaterialError
from surrogate.fields import FloatArray
from surrogate.physics.hardening import Hardening, LinearHardening, TabulatedHardening

# Where a hardening modulus is asked of a curve: the strains that parts see at most before they are given up.
_SECANT_STRAIN = 0.02


@dataclass(frozen=True)
class Material:
    """Isotropic, von Mises yield, isotropic hardening.

    Attributes:
        name: how the report calls it.
        youngs_modulus_pa: Young's modulus, Pa.
        poissons_ratio: in (-1, 0.5).
        density_kg_m3: kg/m^3.
        yield_strength_pa: initial yield stress, Pa.
        ultimate_strength_pa: ultimate tensile strength, Pa.
        hardening: how the yield stress rises with the equivalent plastic strain.
        source: where the numbers come from.

    Raises:
        MaterialError: a constant that no material has.
    """

    name: str
    youngs_modulus_pa: float
    poissons_ratio: float
    density_kg_m3: float
    yield_strength_pa: float
    ultimate_strength_pa: float
    hardening: Hardening
    source: str = ""

    def __post_init__(self) -> None:
        positive = (
            ("youngs_modulus_pa", self.youngs_modulus_pa),
            ("density_kg_m3", self.density_kg_m3),
            ("yield_strength_pa", self.yield_strength_pa),
        )
        for name, value in positive:
            if not 0 < value < float("inf"):
                raise MaterialError(f"{name} = {value:g} of {self.name!r}: give a positive number in SI units")
        if not -1 < self.poissons_ratio < 0.5:
            raise MaterialError(
                f"poissons_ratio = {self.poissons_ratio:g} of {self.name!r}: give a value between -1 and 0.5"
            )
        if not self.ultimate_strength_pa >= self.yield_strength_pa:
            raise MaterialError(
                f"ultimate_strength_pa = {self.ultimate_strength_pa:g} of {self.name!r} is below its yield "
                f"strength {self.yield_strength_pa:g}; swap or correct them"
            )
        if isinstance(self.hardening, TabulatedHardening):
            first = self.hardening.points[0][1]
            # Numbers that went through a text file agree to more than nine digits.
            if not abs(first - self.yield_strength_pa) <= 1e-9 * self.yield_strength_pa:
                raise MaterialError(
                    f"the hardening table of {self.name!r} begins at {first:g} Pa and yield_strength_pa is "
                    f"{self.yield_strength_pa:g}; make them equal"
                )

    def yield_stress(self, equivalent: FloatArray) -> FloatArray:
        """Yield stress at an equivalent plastic strain [...], Pa [...]."""
        return self.yield_strength_pa + self.hardening.yield_stress_rise(equivalent)

    @property
    def hardening_modulus_pa(self) -> float:
        """Secant slope of the yield stress from 0 to 2 % plastic strain, Pa; the modulus where hardening is linear."""
        if isinstance(self.hardening, LinearHardening):
            return self.hardening.modulus_pa
        return float(self.hardening.yield_stress_rise(np.array(_SECANT_STRAIN))) / _SECANT_STRAIN

    @property
    def shear_modulus_pa(self) -> float:
        """G = E / (2 (1 + nu)), Pa."""
        return self.youngs_modulus_pa / (2 * (1 + self.poissons_ratio))

    @property
    def lame_lambda_pa(self) -> float:
        """Lame's first constant, Pa."""
        nu = self.poissons_ratio
        return self.youngs_modulus_pa * nu / ((1 + nu) * (1 - 2 * nu))


_MMPDS = "MMPDS-style room-temperature typical values"
_LIBRARY = (
    Material("Al 7075-T6", 71.7e9, 0.33, 2810, 503e6, 572e6, LinearHardening(700e6), _MMPDS + "; ASM Handbook vol. 2"),
    Material("Al 2024-T3", 73.1e9, 0.33, 2780, 345e6, 483e6, LinearHardening(1000e6), _MMPDS + "; ASM Handbook vol. 2"),
    Material("Al 6061-T6", 68.9e9, 0.33, 2700, 276e6, 310e6, LinearHardening(450e6), _MMPDS + "; ASM Handbook vol. 2"),
    Material("Ti-6Al-4V", 113.8e9, 0.342, 4430, 880e6, 950e6, LinearHardening(900e6), "annealed; ASM Handbook vol. 2"),
    Material(
        "Steel 4340",
        205e9,
        0.29,
        7850,
        1080e6,
        1170e6,
        LinearHardening(1300e6),
        "quenched, tempered at 540 C; ASM Handbook vol. 1",
    ),
    Material(
        "17-4PH H1025",
        197e9,
        0.27,
        7780,
        1000e6,
        1070e6,
        LinearHardening(1100e6),
        "AMS 5643 typical; producer's data sheet",
    ),
    Material(
        "Inconel 718",
        200e9,
        0.29,
        8190,
        1100e6,
        1375e6,
        LinearHardening(1800e6),
        "AMS 5662 aged; producer's data sheet",
    ),
    Material(
        "AlSi10Mg",
        70e9,
        0.33,
        2670,
        230e6,
        345e6,
        LinearHardening(2000e6),
        "laser powder bed, stress relieved; producer's data sheet",
    ),
)


def library() -> tuple[Material, ...]:
    """All materials of the library."""
    return _LIBRARY


def material_named(name: str) -> Material:
    """The library material of this name.

    Raises:
        MaterialError: no such material; the message lists those there are.
    """
    for material in _LIBRARY:
        if material.name.casefold() == name.strip().casefold():
            return material
    known = ", ".join(material.name for material in _LIBRARY)
    raise MaterialError(f"no material {name!r} in the library; choose one of: {known}; or give a [material] table")
