"""Isotropic elastic-plastic materials and the library of alloys.

Values of the library are for room temperature, rounded, typical or minimum as the named public source says; they are a
start for screening, not a substitute for a project's own allowables.
"""

from dataclasses import dataclass

import numpy as np

from surrogate.errors import MaterialError
from surrogate.fields import FloatArray
from surrogate.physics.hardening import Hardening, LinearHardening, TabulatedHardening, VoceHardening

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
        if not self.yield_strength_pa <= self.ultimate_strength_pa < float("inf"):
            raise MaterialError(
                f"ultimate_strength_pa = {self.ultimate_strength_pa:g} of {self.name!r} is not a finite number "
                f"from its yield strength {self.yield_strength_pa:g} on; swap or correct them"
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


_OURS_LINEAR = "hardening: ours, (ultimate - yield) / {} plastic strain"
_OURS_VOCE = "hardening: ours, Voce curve whose engineering stress peaks at the ultimate strength at {} strain"
_AA = "ASM Handbook vol. 2 (Aluminum Association typical values)"

# fmt: off
_LIBRARY = (
    Material(
        "Al 7075-T6", 71.7e9, 0.33, 2810, 503e6, 572e6, LinearHardening(700e6),
        f"E, nu, density, yield, ultimate: {_AA}; " + _OURS_LINEAR.format("10 %"),
    ),
    Material(
        "Al 2024-T3", 73.1e9, 0.33, 2780, 345e6, 483e6, LinearHardening(1000e6),
        f"E, nu, density, yield, ultimate: {_AA}; " + _OURS_LINEAR.format("14 %"),
    ),
    Material(
        "Al 6061-T6", 68.9e9, 0.33, 2700, 276e6, 310e6, LinearHardening(450e6),
        f"E, nu, density, yield, ultimate: {_AA}; " + _OURS_LINEAR.format("7.5 %"),
    ),
    Material(
        "Ti-6Al-4V", 113.8e9, 0.342, 4430, 880e6, 950e6, LinearHardening(900e6),
        "E, nu, density, yield, ultimate: ASM data sheet of Ti-6Al-4V (Grade 5), annealed, typical; "
        + _OURS_LINEAR.format("8 %"),
    ),
    Material(
        "Steel 4340", 205e9, 0.29, 7850, 1080e6, 1170e6, LinearHardening(1300e6),
        "E, nu, density, yield, ultimate: ASM Handbook vol. 1, oil quenched and tempered at 540 C, typical; "
        + _OURS_LINEAR.format("7 %"),
    ),
    Material(
        "17-4PH H1025", 197e9, 0.27, 7780, 1000e6, 1070e6, LinearHardening(1100e6),
        "E, nu, density: AK Steel data sheet of 17-4 PH; yield, ultimate: AMS 5643 minimum of H1025 (145 / 155 ksi); "
        + _OURS_LINEAR.format("6.5 %"),
    ),
    Material(
        "Inconel 718", 200e9, 0.29, 8190, 1100e6, 1375e6, LinearHardening(1800e6),
        "E, nu, density, yield, ultimate: Special Metals data sheet SMC-045, aged as AMS 5662, typical; "
        + _OURS_LINEAR.format("15 %"),
    ),
    Material(
        "AlSi10Mg", 70e9, 0.33, 2670, 230e6, 345e6, LinearHardening(2000e6),
        "E, density, yield, ultimate: EOS data sheet of AlSi10Mg, laser powder bed, stress relieved at 300 C; "
        "nu: as wrought aluminium; " + _OURS_LINEAR.format("6 %"),
    ),
    Material(
        "Al 7050-T7451", 71.0e9, 0.33, 2820, 441e6, 510e6, VoceHardening(130e6, 26.0),
        "E, nu, density, yield, ultimate: MMPDS table 3.7.4.0(b1), AMS 4050 plate to 1.5 in, L, A "
        "basis (64 / 74 ksi, elongation 10 %); "
        + _OURS_VOCE.format("8 %"),
    ),
    Material(
        "Al 2219-T87", 73.1e9, 0.33, 2840, 393e6, 476e6, VoceHardening(140e6, 30.0),
        f"E, nu, density, yield, ultimate: {_AA}, elongation 10 %; " + _OURS_VOCE.format("8 %"),
    ),
    Material(
        "Al 5083-H116", 71.0e9, 0.33, 2660, 215e6, 305e6, VoceHardening(130e6, 30.0),
        f"E, nu, density: {_AA}; yield, ultimate: ASTM B928 minimum (elongation 10 %); " + _OURS_VOCE.format("9 %"),
    ),
    Material(
        "Mg AZ31B-H24", 45e9, 0.35, 1770, 220e6, 290e6, VoceHardening(112e6, 24.0),
        "E, nu, density, yield, ultimate: ASM Handbook vol. 2, sheet to 6 mm, tension, typical (elongation 15 %); "
        "in compression it yields from 180 MPa on, which is not modelled; " + _OURS_VOCE.format("10 %"),
    ),
    Material(
        "Ti-6Al-4V LPBF", 114e9, 0.34, 4430, 825e6, 895e6, VoceHardening(170e6, 25.0),
        "E, nu, density: as wrought, rounded; yield, ultimate: ASTM F2924 minimum, powder bed fusion (elongation "
        "10 %); " + _OURS_VOCE.format("7 %"),
    ),
    Material(
        "Steel 304L", 193e9, 0.3, 8000, 170e6, 485e6, VoceHardening(605e6, 5.4),
        "E, density: ASM Handbook vol. 1, annealed; nu: usual of steel; yield, ultimate: ASTM A240 minimum, annealed "
        "(elongation 40 %); " + _OURS_VOCE.format("35 %"),
    ),
    Material(
        "Steel 316L", 200e9, 0.3, 8000, 220e6, 520e6, VoceHardening(620e6, 5.0),
        "E, density: EN 10088-1, 1.4404; nu: usual of steel; yield, ultimate: EN 10088-2 minimum of 1.4404, hot rolled "
        "plate, annealed (elongation 45 %); " + _OURS_VOCE.format("35 %"),
    ),
    Material(
        "Steel S355", 210e9, 0.3, 7850, 355e6, 490e6,
        TabulatedHardening(((0.0, 355e6), (0.0156, 361e6), (0.0508, 463e6), (0.150, 571e6))),
        "E, nu: EN 1993-1-1, 3.2.6; density: usual of steel; yield, ultimate: EN 1993-1-1 table 3.1, EN 10025-2, to "
        "40 mm; hardening: four-line model of Yun and Gardner, J. Constr. Steel Res. 133 (2017) 36, as true stress",
    ),
    Material(
        "Steel 300M", 200e9, 0.32, 7830, 1585e6, 1930e6, VoceHardening(470e6, 73.0),
        "E, nu, density: MMPDS section 2.3.1, low-alloy steels; yield, ultimate: AMS 6257 minimum (230 / 280 ksi, "
        "elongation 7 %); " + _OURS_VOCE.format("5 %"),
    ),
    Material(
        "Inconel 625", 207e9, 0.28, 8440, 414e6, 827e6, VoceHardening(750e6, 8.1),
        "E, nu, density: Special Metals data sheet SMC-063; yield, ultimate: ASTM B446 grade 1 minimum, annealed bar "
        "(60 / 120 ksi, elongation 30 %); " + _OURS_VOCE.format("25 %"),
    ),
    Material(
        "Hastelloy X", 205e9, 0.32, 8220, 340e6, 760e6, VoceHardening(1000e6, 3.9),
        "E, nu, density, yield, ultimate: Haynes International data sheet, solution-annealed plate, typical "
        "(elongation 49 %); "
        + _OURS_VOCE.format("40 %"),
    ),
)
# fmt: on


def library() -> tuple[Material, ...]:
    """All materials of the library.

    Hardening constants that their source calls ours are derived, not measured. Linear: from the yield to the ultimate
    strength over a plastic strain below the elongation. Voce: the true stress at the ultimate strength R_m, taken at an
    engineering strain e below the elongation, is s = R_m (1 + e) at p = ln(1 + e) - s / E; saturation Q and rate b
    solve Q (1 - exp(-b p)) = s - yield and Considère's condition Q b exp(-b p) = s / (1 - s / E), so that the
    engineering stress peaks there. They are rounded; the ultimate strength is met within half a per cent.
    """
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
