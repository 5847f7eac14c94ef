"""The families of parametric parts, and the parameters that a family and a seed give, always the same ones."""

import numpy as np

from surrogate.data.boss_family import FLANGED_BOSS
from surrogate.data.bracket_family import L_BRACKET
from surrogate.data.channel_clip_family import CHANNEL_CLIP
from surrogate.data.clevis_family import CLEVIS
from surrogate.data.dovetail_family import DOVETAIL_ROOT
from surrogate.data.elbow_family import PIPE_ELBOW
from surrogate.data.engine_bracket_family import ENGINE_BRACKET
from surrogate.data.gear_disc_family import GEAR_DISC
from surrogate.data.hinge_family import HINGE
from surrogate.data.housing_corner_family import HOUSING_CORNER
from surrogate.data.part_family import Parameters, PartFamily
from surrogate.data.random_solid_family import RANDOM_SOLID
from surrogate.data.rib_family import RIB_WEB
from surrogate.data.stepped_shaft_family import STEPPED_SHAFT
from surrogate.data.stiffened_panel_family import STIFFENED_PANEL
from surrogate.data.t_bracket_family import T_BRACKET
from surrogate.errors import InputError

FAMILIES: tuple[PartFamily, ...] = (
    L_BRACKET,
    CLEVIS,
    FLANGED_BOSS,
    RIB_WEB,
    T_BRACKET,
    STIFFENED_PANEL,
    HINGE,
    CHANNEL_CLIP,
    PIPE_ELBOW,
    STEPPED_SHAFT,
    HOUSING_CORNER,
    ENGINE_BRACKET,
    GEAR_DISC,
    DOVETAIL_ROOT,
    RANDOM_SOLID,
)


def family_named(name: str) -> PartFamily:
    """The family of this name.

    Raises:
        InputError: no such family; the message lists those there are.
    """
    for family in FAMILIES:
        if family.name == name:
            return family
    raise InputError(f"no family {name!r}; choose from: {', '.join(family.name for family in FAMILIES)}")


def sample_generator(family: PartFamily, seed: int) -> np.random.Generator:
    """The stream that draws a sample's parameters and then its mesh density."""
    return np.random.default_rng([seed, family.index])


def draw_parameters(family: PartFamily, seed: int) -> Parameters:
    """Parameters of a sample, lengths in m."""
    return {name: float(value) for name, value in family.draw(sample_generator(family, seed)).items()}
