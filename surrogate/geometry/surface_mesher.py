"""A closed STL or OBJ surface becomes a saved mesh. Runs only in an isolated child.

    python -m surrogate.geometry.surface_mesher FILE OUT SCALE FORMAT NAME SIZE WAY

SIZE: element size in m, or "auto". WAY: "remesh" or "remesh-fine" (mmg meshes the surface anew, keeping the borders of
its faces, and gmsh fills it), or "keep" (the file's own triangles bound the cells).
"""

import sys
from pathlib import Path

import gmsh
import numpy as np

from surrogate.errors import GeometryError, TooLargeError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.cell_conversion import add_mid_points
from surrogate.geometry.cell_quality import corner_volumes
from surrogate.geometry.element_size import MOST_DEFAULT_POINTS, default_element_size, expected_points
from surrogate.geometry.gmsh_export import MeshSettings, apply_settings, generate
from surrogate.geometry.mesh_arrays import MOST_POINTS, save_arrays
from surrogate.geometry.surface_faces import SurfaceFaces, surface_faces
from surrogate.geometry.surface_files import ClosedSurface, close_surface, read_surface

_TRIANGLE3, _TET4 = 2, 4
# How far the new surface may stand off the old, by element size: about seven edges around a hole as wide as an element.
_HAUSDORFF_SHARE = 0.05
# The cells end at the surface, so only rounding may differ.
_FILL_TOLERANCE = 1e-6


def main(arguments: list[str]) -> None:
    """Read, check, find faces, fill, save."""
    file, out, scale_text, kind, name, size_text, way = arguments
    scale = float(scale_text)
    try:
        surface = read_surface(Path(file), kind)
        faces = surface_faces(surface.points, surface.triangles)
        points, tets = _fill(surface, faces, None if size_text == "auto" else float(size_text) / scale, way)
    except (GeometryError, TooLargeError) as error:
        raise type(error)(f"{name}: {error}") from error
    points, tet10 = add_mid_points(points, tets)
    points, triangles, tags = faces.carry_over(points, tet10)
    surfaces = {tag: fit for tag, fit in enumerate(faces.scaled_fits(scale)) if fit is not None}
    save_arrays(Path(out), points * scale, tet10, triangles[:, :3], tags, {}, tag_surfaces=surfaces)
    print(f"{len(points)} points by {way}")


def _fill(surface: ClosedSurface, faces: SurfaceFaces, size: float | None, way: str) -> tuple[FloatArray, IntArray]:
    """Straight-sided tetrahedra inside the surface, in the unit of the file."""
    chosen = default_element_size(surface.volume, surface.area) if size is None else size
    points = expected_points(chosen, surface.volume, surface.area)
    if points > 2 * MOST_POINTS:
        raise TooLargeError(
            f"the element size would give about {points / 1e6:.1f} million points, the limit is {MOST_POINTS / 1e6:g} "
            "million; use a larger one"
        )
    chosen *= 0.6 if way == "remesh-fine" else 1.0
    for _ in range(5):
        bounded = surface if way == "keep" else _remeshed(surface, faces, chosen)
        # A surface vertex brings about four points with its edges.
        surface_points = 4 * len(bounded.points)
        if size is not None or way == "keep" or surface_points < 0.55 * MOST_DEFAULT_POINTS:
            break
        chosen *= float(np.clip((surface_points / 9000) ** 0.6, 1.15, 2.5))
    _fill_with_gmsh(bounded, chosen)
    nodes, tets = _current_tets()
    filled = float(np.abs(corner_volumes(nodes, tets)).sum())
    if abs(filled / bounded.volume - 1) > _FILL_TOLERANCE:
        raise GeometryError(
            f"meshing filled a volume of {filled:.6g} where the surface encloses {bounded.volume:.6g}; "
            "the surface may intersect itself"
        )
    return nodes, tets


def _remeshed(surface: ClosedSurface, faces: SurfaceFaces, size: float) -> ClosedSurface:
    """The surface meshed anew, finer where it is curved, with the borders of its faces kept."""
    import mmgpy

    mesh = mmgpy.MmgMeshS(surface.points, surface.triangles)
    borders = faces.borders()
    if len(borders):
        mesh.set_mesh_size(vertices=len(surface.points), triangles=len(surface.triangles), edges=len(borders))
        mesh.set_vertices(surface.points)
        mesh.set_triangles(surface.triangles)
        mesh.set_edges(borders)
    try:
        mesh.remesh(hmax=size, hmin=0.2 * size, hausd=_HAUSDORFF_SHARE * size, hgrad=1.4, verbose=-1)
    except RuntimeError as error:
        raise GeometryError(f"meshing the surface anew failed ({error})") from error
    return close_surface(np.asarray(mesh.get_vertices()), np.asarray(mesh.get_triangles(), np.int32))


def _fill_with_gmsh(surface: ClosedSurface, size: float) -> None:
    """Fill a surface with tetrahedra; its triangles stay."""
    gmsh.initialize(interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    loops: list[int] = []
    for shell in range(int(surface.shells.max()) + 1):
        tag = gmsh.model.addDiscreteEntity(2)
        triangles = surface.triangles[surface.shells == shell]
        used = np.unique(triangles)
        gmsh.model.mesh.addNodes(2, tag, used + 1, surface.points[used].ravel())
        gmsh.model.mesh.addElementsByType(tag, _TRIANGLE3, [], triangles.ravel() + 1)
        loops.append(gmsh.model.geo.addSurfaceLoop([tag]))
    gmsh.model.geo.addVolume(loops)
    gmsh.model.geo.synchronize()
    apply_settings(MeshSettings(size, "frontal", "delaunay", 0, 0.1))
    generate(3)


def _current_tets() -> tuple[FloatArray, IntArray]:
    """Points and tetrahedra of the current model's straight-sided mesh."""
    tags, coordinates, _ = gmsh.model.mesh.getNodes()
    index_of = np.full(int(tags.max()) + 1, -1, np.int64)
    index_of[tags] = np.arange(len(tags))
    _, nodes = gmsh.model.mesh.getElementsByType(_TET4)
    tets = index_of[np.asarray(nodes, np.int64)].reshape(-1, 4)
    if len(tets) == 0:
        raise GeometryError("meshing gave no tetrahedra; the surface may intersect itself")
    used, inverse = np.unique(tets, return_inverse=True)
    points: FloatArray = np.asarray(coordinates, np.float64).reshape(-1, 3)[used]
    return points, inverse.reshape(-1, 4).astype(np.int32)


if __name__ == "__main__":
    main(sys.argv[1:])
