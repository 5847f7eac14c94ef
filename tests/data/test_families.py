"""A family and a seed give a mesh with the faces that supports and loads rely on, always the same one."""

import numpy as np
import pytest

from surrogate.data.families import FAMILIES, draw_parameters, family_named, generate_mesh
from surrogate.data.part_family import LARGEST_PART_M, SMALLEST_PART_M, PartFamily
from surrogate.errors import InputError
from surrogate.geometry.selectors import NameSelector, select_faces
from surrogate.physics.tet_element import gradients_and_volumes

EVERY_FAMILY = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


def _check_mesh(family: PartFamily, seed: int) -> None:
    mesh = generate_mesh(family, seed)
    for name in family.face_names:
        assert select_faces(mesh, NameSelector(name)), name
    # The bounds that the mesher promises, a third and a fifth beyond the drawn ones.
    assert 1800 < len(mesh.points) < 6800
    assert SMALLEST_PART_M * 0.5 < max(mesh.size) < LARGEST_PART_M * 1.2
    _, volumes = gradients_and_volumes(mesh.points, mesh.cells)
    assert volumes.min() > 0


@EVERY_FAMILY
def test_faces_exist_and_cells_are_sound(family: PartFamily) -> None:
    _check_mesh(family, 1)


@pytest.mark.slow
@EVERY_FAMILY
@pytest.mark.parametrize("seed", [2, 3, 4, 5])
def test_faces_exist_and_cells_are_sound_for_more_seeds(family: PartFamily, seed: int) -> None:
    _check_mesh(family, seed)


def test_same_seed_gives_a_bit_identical_mesh_and_another_seed_another_part() -> None:
    family = family_named("clevis")
    assert generate_mesh(family, 3).content_hash == generate_mesh(family, 3).content_hash
    assert draw_parameters(family, 3) != draw_parameters(family, 4)


@EVERY_FAMILY
def test_sizes_spread_over_a_decade(family: PartFamily) -> None:
    # The first parameter of every family is a length that goes with the overall size.
    lengths = np.array([next(iter(draw_parameters(family, seed).values())) for seed in range(200)])
    assert lengths.max() / lengths.min() > 10


def test_names_and_indices_are_unique() -> None:
    assert len({family.name for family in FAMILIES}) == len({family.index for family in FAMILIES}) == len(FAMILIES)


def test_unknown_family_names_those_there_are() -> None:
    with pytest.raises(InputError, match="l_bracket"):
        family_named("teapot")
