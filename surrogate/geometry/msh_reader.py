"""gmsh's MSH files, all versions. Imports gmsh: only for isolated children."""

from pathlib import Path

import gmsh
import numpy as np

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.cell_conversion import VolumeCells
from surrogate.geometry.shell_check import refuse_loose_facets

# gmsh element type: kind and number of points kept.
_VOLUMES = {
    4: ("tetrahedron", 4), 11: ("tetrahedron", 10), 5: ("hexahedron", 8), 12: ("hexahedron", 8),
    17: ("hexahedron", 8), 6: ("wedge", 6), 13: ("wedge", 6), 18: ("wedge", 6), 7: ("pyramid", 5),
    14: ("pyramid", 5), 19: ("pyramid", 5),
}  # fmt: skip
_FACETS = {2: 3, 9: 3, 3: 4, 10: 4, 16: 4}
_GMSH_TET10_TO_VTK = [0, 1, 2, 3, 4, 5, 6, 7, 9, 8]


def read_msh(file: Path) -> VolumeCells:
    """Read a mesh; its physical groups name faces.

    Raises:
        GeometryError: gmsh cannot read it, or it holds cells of third order, or no volume cells.
    """
    gmsh.initialize(interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    try:
        gmsh.open(str(file))
    except Exception as error:  # gmsh raises plain Exception
        raise GeometryError(f"gmsh cannot read it ({error}); it is damaged or cut off, export it again") from error
    try:
        return _current_mesh()
    except UnicodeDecodeError as error:
        raise GeometryError("the names of its groups are no UTF-8 text; write it again with plain names") from error


def _current_mesh() -> VolumeCells:
    """What gmsh has read."""
    tags, coordinates, _ = gmsh.model.mesh.getNodes()
    if len(tags) == 0:
        raise GeometryError("it holds no points; it is damaged or empty, export it again")
    order = np.argsort(tags)
    numbers = np.asarray(tags)[order]
    points: FloatArray = np.asarray(coordinates).reshape(-1, 3)[order]
    blocks, owners, cell_sets = _volumes(numbers)
    facets, names = _surfaces(numbers)
    lines = sum(len(group) for group in gmsh.model.mesh.getElements(1)[1])
    refuse_loose_facets(blocks, [corners for corners, _ in facets], lines)
    return VolumeCells(points, blocks, owners, facets, names, {}, cell_sets)


def _volumes(numbers: IntArray) -> tuple[list[tuple[str, IntArray]], list[IntArray], dict[str, IntArray]]:
    """Volume cells, the gmsh volume that owns each, and the volumes of each physical group."""
    blocks: list[tuple[str, IntArray]] = []
    owners: list[IntArray] = []
    for _, entity in gmsh.model.getEntities(3):
        types, _, nodes = gmsh.model.mesh.getElements(3, entity)
        for kind, tags in zip(types, nodes, strict=True):
            if int(kind) not in _VOLUMES:
                title = gmsh.model.mesh.getElementProperties(kind)[0]
                raise GeometryError(f"its cells {title} have no reader; write it with elements of order 1 or 2")
            name, width = _VOLUMES[int(kind)]
            cells = _indices(tags, numbers).reshape(-1, gmsh.model.mesh.getElementProperties(kind)[3])[:, :width]
            blocks.append((name, cells[:, _GMSH_TET10_TO_VTK] if width == 10 else cells))
            owners.append(np.full(len(cells), entity, np.int32))
    groups = {
        gmsh.model.getPhysicalName(3, group): np.asarray(gmsh.model.getEntitiesForPhysicalGroup(3, group), np.int32)
        for _, group in gmsh.model.getPhysicalGroups(3)
    }
    return blocks, owners, {name: members for name, members in groups.items() if name}


def _surfaces(numbers: IntArray) -> tuple[list[tuple[IntArray, IntArray]], dict[int, str]]:
    """Surface cells by their corners with the gmsh surface as tag, and the names of the surfaces."""
    facets: list[tuple[IntArray, IntArray]] = []
    for _, entity in gmsh.model.getEntities(2):
        types, _, nodes = gmsh.model.mesh.getElements(2, entity)
        for kind, tags in zip(types, nodes, strict=True):
            if int(kind) in _FACETS:
                width = gmsh.model.mesh.getElementProperties(kind)[3]
                corners = _indices(tags, numbers).reshape(-1, width)[:, : _FACETS[int(kind)]]
                facets.append((corners, np.full(len(corners), entity, np.int32)))
    names: dict[int, str] = {}
    for _, group in gmsh.model.getPhysicalGroups(2):
        label = gmsh.model.getPhysicalName(2, group)
        for entity in gmsh.model.getEntitiesForPhysicalGroup(2, group).tolist():
            if label:
                names[entity] = f"{names[entity]}, {label}" if entity in names else label
    return facets, names


def _indices(tags: IntArray, numbers: IntArray) -> IntArray:
    """Point index of each node tag."""
    place = np.minimum(np.searchsorted(numbers, tags), len(numbers) - 1)
    if (numbers[place] != tags).any():
        raise GeometryError("its cells name points that it does not list; repair the file")
    return place.astype(np.int32)
