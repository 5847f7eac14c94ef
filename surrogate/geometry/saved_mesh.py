"""Meshes as files of plain arrays, between an isolated child and its parent. Does not import gmsh.

Keys of the .npz: points [N, 3] m, cells [C, 10] VTK order, tagged_triangles [F, 3] corner indices, triangle_tags [F],
name_tags [M] and names [M] (the names of tags), surface_tags [S] and surfaces [S, 7] (exact surfaces of tags: normal or
axis, point on the axis, radius; a plane has radius 0), split_tags (whether a tag is a set that may hold several faces).
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray
from surrogate.geometry.faces import build_tet_mesh
from surrogate.geometry.surface_fit import CylinderFit, PlaneFit, SurfaceFit
from surrogate.geometry.tet_mesh import TetMesh


def save_arrays(
    path: Path,
    points: FloatArray,
    cells: NDArray[np.integer],
    tagged_triangles: NDArray[np.integer],
    triangle_tags: NDArray[np.integer],
    tag_names: Mapping[int, str],
    *,
    tag_surfaces: Mapping[int, SurfaceFit] | None = None,
    split_tags: bool = False,
) -> None:
    """Write what `build_tet_mesh` takes, see there."""
    surfaces = dict(tag_surfaces or {})
    np.savez(
        path,
        points=points,
        cells=cells.astype(np.int32),
        tagged_triangles=tagged_triangles.astype(np.int32).reshape(-1, 3),
        triangle_tags=triangle_tags.astype(np.int32),
        name_tags=np.array(list(tag_names), np.int32),
        names=np.array(list(tag_names.values()), np.str_),
        surface_tags=np.array(list(surfaces), np.int32),
        surfaces=np.array([_row(surface) for surface in surfaces.values()], np.float64).reshape(-1, 7),
        split_tags=np.array(split_tags),
    )


def _row(surface: SurfaceFit) -> tuple[float, ...]:
    """A surface as seven numbers."""
    if isinstance(surface, PlaneFit):
        return (*surface.normal, 0.0, 0.0, 0.0, 0.0)
    return (*surface.axis, *surface.centre, surface.radius)


def _surface(row: list[float]) -> SurfaceFit:
    """The surface of seven numbers."""
    direction = (row[0], row[1], row[2])
    return CylinderFit(direction, (row[3], row[4], row[5]), row[6]) if row[6] > 0 else PlaneFit(direction)


def load_saved_mesh(path: Path) -> TetMesh:
    """Read what `gmsh_export.save_current_mesh` or `save_arrays` wrote.

    Raises:
        GeometryError: the file is damaged, or its cells are inverted or disconnected.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        names = dict(zip(arrays["name_tags"].tolist(), arrays["names"].tolist(), strict=True))
        rows = zip(arrays["surface_tags"].tolist(), arrays["surfaces"].tolist(), strict=True)
        surfaces = {tag: _surface(row) for tag, row in rows}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise GeometryError(f"{path.name} is not a saved mesh: {error}") from error
    return build_tet_mesh(
        arrays["points"],
        arrays["cells"],
        tagged_triangles=arrays["tagged_triangles"],
        triangle_tags=arrays["triangle_tags"],
        tag_names=names,
        tag_surfaces=surfaces,
        split_tags=bool(arrays["split_tags"]),
    )
