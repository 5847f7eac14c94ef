"""Mesh the current gmsh model and save it as arrays. Imports gmsh: only for isolated children.

The parent reads the file with `saved_mesh.load_saved_mesh`.
"""

from dataclasses import dataclass
from pathlib import Path

import gmsh
import numpy as np

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray
from surrogate.geometry.mesh_arrays import save_arrays
from surrogate.geometry.surface_fit import CylinderFit, PlaneFit, SurfaceFit, positive_direction

# gmsh numbers the last two mid-edge points of a tetrahedron the other way round than VTK.
_GMSH_TET10_TO_VTK = (0, 1, 2, 3, 4, 5, 6, 7, 9, 8)
_TRIANGLE3, _TET4, _TRIANGLE6, _TET10 = 2, 4, 9, 11
_ALGORITHM_2D = {"frontal": 6, "delaunay": 5, "meshadapt": 1}
_ALGORITHM_3D = {"hxt": 10, "delaunay": 1}


@dataclass(frozen=True)
class MeshSettings:
    """How gmsh meshes.

    Attributes:
        size: largest edge, in the unit of the model.
        surface_algorithm: "frontal" (best shapes), "delaunay" (most robust) or "meshadapt".
        volume_algorithm: "hxt" (fast on large meshes) or "delaunay" (fast on small and on bad surface meshes).
        segments_per_turn: edges around a full circle, so that holes stay round; 0 for no refinement.
        smallest_share: curvature refines to no less than this share of the size.
    """

    size: float
    surface_algorithm: str = "frontal"
    volume_algorithm: str = "hxt"
    segments_per_turn: int = 12
    smallest_share: float = 0.2


def mesh_current_model(element_size_m: float) -> None:
    """Fill the current model, which is in metres, with ten-node tetrahedra.

    Args:
        element_size_m: largest edge, m.

    Raises:
        GeometryError: gmsh gives up, or leaves a solid without cells.
    """
    apply_settings(MeshSettings(element_size_m))
    generate(2)
    generate(3)
    gmsh.model.mesh.setOrder(2)


def apply_settings(settings: MeshSettings) -> None:
    """Set gmsh's options."""
    options = {
        "General.NumThreads": 1,
        "Mesh.MeshSizeMax": settings.size,
        "Mesh.MeshSizeMin": settings.size * settings.smallest_share,
        "Mesh.MeshSizeFromCurvature": settings.segments_per_turn,
        "Mesh.Algorithm": _ALGORITHM_2D[settings.surface_algorithm],
        "Mesh.Algorithm3D": _ALGORITHM_3D[settings.volume_algorithm],
        "Mesh.SecondOrderLinear": 0,
        "Mesh.HighOrderOptimize": 0,
        "Mesh.Optimize": 1,
        # At the default of 0.3 HXT spends ten seconds on cells that a bad surface triangle keeps bad.
        "Mesh.OptimizeThreshold": 0.15,
    }
    for name, value in options.items():
        gmsh.option.setNumber(name, value)


def generate(dimension: int) -> None:
    """Mesh the current model up to a dimension, with straight-sided cells.

    After a failure gmsh does nothing more on this model and says nothing: try again in a new process.

    Raises:
        GeometryError: gmsh gives up, or leaves a solid without cells.
    """
    solids = gmsh.model.getEntities(3)
    if not solids:
        raise GeometryError("the model holds no solid; export a closed solid body")
    try:
        gmsh.model.mesh.generate(dimension)
    except Exception as error:  # gmsh raises plain Exception
        raise GeometryError(f"meshing failed: {error}") from error
    if dimension < 3:
        return
    for _, tag in solids:
        if not any(len(tags) for tags in gmsh.model.mesh.getElements(3, tag)[1]):
            raise GeometryError(f"meshing left solid {tag} without cells; repair the part or change the element size")


def save_current_mesh(path: Path, *, scale: float = 1.0) -> None:
    """Write the mesh of the current model for `load_saved_mesh`.

    CAD surfaces become the tags; physical groups of surfaces, or else the labels in the file, become their names.

    Args:
        path: an .npz file to write.
        scale: metres per unit of the model.

    Raises:
        GeometryError: the model has no ten-node tetrahedra.
    """
    node_tags, coordinates, _ = gmsh.model.mesh.getNodes()
    if len(node_tags) == 0:
        raise GeometryError("meshing gave no points")
    index_of = np.full(int(node_tags.max()) + 1, -1, np.int64)
    index_of[node_tags] = np.arange(len(node_tags))
    cells = index_of[_elements(3, -1, _TET10, 10)][:, _GMSH_TET10_TO_VTK]
    if len(cells) == 0:
        raise GeometryError("meshing gave no ten-node tetrahedra")
    triangles, tags = [np.zeros((0, 3), np.int64)], [np.zeros(0, np.int64)]
    for _, tag in gmsh.model.getEntities(2):
        corners = index_of[_elements(2, tag, _TRIANGLE6, 6)][:, :3]
        triangles.append(corners)
        tags.append(np.full(len(corners), tag))
    points: FloatArray = np.asarray(coordinates, np.float64).reshape(-1, 3) * scale
    surfaces = exact_surfaces(scale)
    save_arrays(
        path, points, cells, np.concatenate(triangles), np.concatenate(tags), _surface_names(), tag_surfaces=surfaces
    )


def _elements(dimension: int, tag: int, kind: int, width: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Node tags of the elements of one kind on an entity [E, width]."""
    types, _, nodes = gmsh.model.mesh.getElements(dimension, tag)
    for found, tags in zip(types, nodes, strict=True):
        if found == kind:
            return np.asarray(tags, np.int64).reshape(-1, width)
    return np.zeros((0, width), np.int64)


def _surface_names() -> dict[int, str]:
    """Name of each named surface: its physical groups', else the last part of its label in the CAD file."""
    names: dict[int, str] = {}
    for _, group in gmsh.model.getPhysicalGroups(2):
        label = gmsh.model.getPhysicalName(2, group)
        for tag in gmsh.model.getEntitiesForPhysicalGroup(2, group):
            if label:
                names[int(tag)] = f"{names[int(tag)]}, {label}" if int(tag) in names else label
    for _, tag in gmsh.model.getEntities(2):
        label = gmsh.model.getEntityName(2, tag).strip()
        # The kernel's own labels are paths of generated names.
        if label and tag not in names and not label.startswith("Shapes/Open CASCADE"):
            label = label.rsplit("/", 1)[-1] if label.startswith("Shapes/") else label
            names[tag] = label
    return names


def exact_surfaces(scale: float = 1.0) -> dict[int, SurfaceFit]:
    """Planes and cylinders among the CAD surfaces, whatever the mesh makes of them.

    Args:
        scale: metres per unit of the model.
    """
    found: dict[int, SurfaceFit] = {}
    for _, tag in gmsh.model.getEntities(2):
        kind = gmsh.model.getType(2, tag)
        if kind not in ("Plane", "Cylinder"):
            continue
        low, high = gmsh.model.getParametrizationBounds(2, tag)
        middle = [0.5 * (a + b) for a, b in zip(low, high, strict=True)]
        normal = np.array(gmsh.model.getNormal(tag, middle))
        if kind == "Plane":
            x, y, z = normal.tolist()
            found[tag] = PlaneFit((x, y, z))
            continue
        cylinder = _exact_cylinder(tag, middle, list(low), normal)
        if cylinder is not None:
            x, y, z = (np.array(cylinder.centre) * scale).tolist()
            found[tag] = CylinderFit(cylinder.axis, (x, y, z), cylinder.radius * scale)
    return found


def _exact_cylinder(tag: int, middle: list[float], corner: list[float], normal: FloatArray) -> CylinderFit | None:
    """Axis and radius from the principal curvatures at one point; a second point tells the side of the axis."""
    largest, smallest, along_largest, along_smallest = (
        np.array(values) for values in gmsh.model.getPrincipalCurvatures(tag, middle)
    )
    curvature, axis = (
        (largest[0], along_smallest) if abs(largest[0]) > abs(smallest[0]) else (smallest[0], along_largest)
    )
    length = float(np.linalg.norm(axis))
    if curvature == 0 or length == 0:
        return None
    axis, radius = axis / length, 1 / abs(float(curvature))
    point = np.array(gmsh.model.getValue(2, tag, middle))
    other = np.array(gmsh.model.getValue(2, tag, corner))
    centres = [point - radius * normal, point + radius * normal]
    misses = [abs(float(np.linalg.norm(np.cross(other - centre, axis))) - radius) for centre in centres]
    if min(misses) > 1e-3 * radius:
        return None
    x, y, z = centres[int(np.argmin(misses))].tolist()
    return CylinderFit(positive_direction(axis), (x, y, z), radius)
