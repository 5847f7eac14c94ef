"""A family and a seed give a mesh with the faces that supports and loads rely on, always the same one."""

from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from surrogate.data.families import FAMILIES, draw_parameters, family_named
from surrogate.data.mesh_pair import generate_mesh
from surrogate.data.part_family import LARGEST_PART_M, SMALLEST_PART_M, PartFamily
from surrogate.errors import InputError
from surrogate.geometry.selectors import NameSelector, select_faces
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.bearing import bearing_holes
from surrogate.physics.problem import BearingForce, Support
from surrogate.physics.supports import freedom_basis
from surrogate.physics.tet_element import gradients_and_volumes

EVERY_FAMILY = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@cache
def _mesh(name: str, seed: int) -> TetMesh:
    return generate_mesh(family_named(name), seed)


def _check_mesh(family: PartFamily, seed: int) -> None:
    mesh = _mesh(family.name, seed)
    for name in family.face_names:
        assert select_faces(mesh, NameSelector(name)), name
    # The bounds that the mesher promises, a third and a fifth beyond the drawn ones.
    assert 1800 < len(mesh.points) < 6800
    assert SMALLEST_PART_M * 0.5 < max(mesh.size) < LARGEST_PART_M * 1.2
    _, volumes = gradients_and_volumes(mesh.points, mesh.cells)
    assert volumes.min() > 0
    assert _bodies(mesh) == 1


def _bodies(mesh: TetMesh) -> int:
    """Number of pieces that share no point."""
    first, rest = np.repeat(mesh.cells[:, 0], 3), mesh.cells[:, 1:4].ravel()
    used, compact = np.unique(np.concatenate([first, rest]), return_inverse=True)
    first, rest = compact.reshape(2, -1)
    graph = sp.coo_matrix((np.ones(len(first)), (first, rest)), shape=(len(used), len(used)))
    return int(connected_components(graph, directed=False)[0])


@EVERY_FAMILY
def test_faces_exist_and_cells_are_sound(family: PartFamily) -> None:
    _check_mesh(family, 1)


@EVERY_FAMILY
def test_every_way_of_holding_stops_every_rigid_motion(family: PartFamily) -> None:
    mesh = _mesh(family.name, 1)
    for way in family.supports:
        # A motion left free is refused; so the basis has fewer columns than the free part by six or more.
        basis = freedom_basis(mesh, tuple(Support(NameSelector(faces.name), faces.fixed) for faces in way))
        assert basis.shape[1] <= 3 * len(mesh.points) - 6


@EVERY_FAMILY
def test_bearing_loads_act_on_holes_and_every_family_has_a_face_to_load_whatever_is_held(family: PartFamily) -> None:
    mesh = _mesh(family.name, 1)
    for faces in family.loads:
        if "bearing" in faces.kinds:
            selector = NameSelector(faces.name)
            axis = mesh.faces[select_faces(mesh, selector)[0]].axis
            assert axis is not None
            across = np.cross(axis, [0.36, 0.48, 0.8])  # no family's hole runs along this
            x, y, z = across.tolist()
            assert bearing_holes(mesh, BearingForce(selector, (x, y, z)))
    for way in family.supports:
        assert {faces.name for faces in family.loads} - {faces.name for faces in way}


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
