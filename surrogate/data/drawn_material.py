"""Draws a material: an alloy of the library within its scatter, with a hardening law of any kind."""

from dataclasses import dataclass, replace

import numpy as np

from surrogate.data.part_family import log_uniform
from surrogate.physics.hardening import Hardening, LinearHardening, TabulatedHardening, VoceHardening
from surrogate.physics.materials import Material, library


@dataclass(frozen=True)
class MaterialRange:
    """What materials are drawn; what the shares leave keeps the alloy's own law.

    Attributes:
        spread: relative spread of yield strength and hardening about the library's values.
        linear_share: share of the materials with a linear hardening drawn apart from the library's.
        linear_over_modulus: range of its slope over Young's modulus.
        voce_share: share with a saturating law.
        voce_over_yield: range of its saturation over the yield strength.
        voce_rate: range of its rate.
        table_share: share with a table.
        table_rows: fewest and most rows.
        table_strain: range of the plastic strain between two rows.
    """

    spread: float = 0.1
    linear_share: float = 0.2
    linear_over_modulus: tuple[float, float] = (0.002, 0.05)
    voce_share: float = 0.2
    voce_over_yield: tuple[float, float] = (0.05, 0.8)
    voce_rate: tuple[float, float] = (5.0, 80.0)
    table_share: float = 0.15
    table_rows: tuple[int, int] = (3, 6)
    table_strain: tuple[float, float] = (0.001, 0.02)


def draw_material(generator: np.random.Generator, ranges: MaterialRange) -> Material:
    """A library material with its strength and hardening moved within their scatter, or with another law."""
    alloy = library()[generator.integers(len(library()))]
    strength, rise = generator.uniform(1 - ranges.spread, 1 + ranges.spread, 2).tolist()
    yield_strength = alloy.yield_strength_pa * strength
    return replace(
        alloy,
        name=f"{alloy.name}, varied",
        yield_strength_pa=yield_strength,
        ultimate_strength_pa=alloy.ultimate_strength_pa * strength,
        hardening=_draw_hardening(generator, alloy, yield_strength, rise, ranges),
    )


def _draw_hardening(
    generator: np.random.Generator, alloy: Material, yield_strength: float, rise: float, ranges: MaterialRange
) -> Hardening:
    place = generator.random()
    if place < ranges.linear_share:
        return LinearHardening(alloy.youngs_modulus_pa * log_uniform(generator, *ranges.linear_over_modulus))
    place -= ranges.linear_share
    if place < ranges.voce_share:
        saturation = yield_strength * log_uniform(generator, *ranges.voce_over_yield)
        return VoceHardening(saturation, log_uniform(generator, *ranges.voce_rate))
    if place - ranges.voce_share < ranges.table_share:
        return _draw_table(generator, alloy.youngs_modulus_pa, yield_strength, ranges)
    return _own_law(alloy.hardening, yield_strength, rise)


def _draw_table(
    generator: np.random.Generator, youngs_modulus: float, yield_strength: float, ranges: MaterialRange
) -> TabulatedHardening:
    """Straight pieces whose slopes fall, as those of alloys do."""
    rows = int(generator.integers(ranges.table_rows[0], ranges.table_rows[1] + 1))
    strains = np.cumsum([0.0, *(log_uniform(generator, *ranges.table_strain) for _ in range(rows - 1))])
    slopes = sorted((log_uniform(generator, *ranges.linear_over_modulus) for _ in range(rows - 1)), reverse=True)
    stresses = yield_strength + np.cumsum([0.0, *(np.diff(strains) * slopes * youngs_modulus)])
    return TabulatedHardening(tuple(zip(strains.tolist(), stresses.tolist(), strict=True)))


def _own_law(law: Hardening, yield_strength: float, rise: float) -> Hardening:
    """The alloy's law from a moved yield strength on, its rise times a factor."""
    match law:
        case TabulatedHardening(points=points):
            first = points[0][1]
            return TabulatedHardening(tuple((strain, yield_strength + rise * (s - first)) for strain, s in points))
        case _:
            return law.scaled(rise)


def hardening_kind(law: Hardening) -> str:
    """One word for the law."""
    match law:
        case LinearHardening():
            return "linear"
        case VoceHardening():
            return "voce"
        case TabulatedHardening():
            return "table"
