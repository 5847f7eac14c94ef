"""The file between an isolated child and its parent: plain arrays. Imports little, so that children start fast.

Keys of the .npz: points [N, 3] m, cells [C, 10] VTK order, tagged_triangles [F, 3] corner indices, triangle_tags [F],
name_tags [M] and names [M] (the names of tags), surface_tags [S] and surfaces [S, 7] (exact surfaces of tags: normal or
axis, point on the axis, radius; a plane has radius 0), split_tags (whether a tag is a set that may hold several faces).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from surrogate.fields import FloatArray
from surrogate.geometry.surface_fit import PlaneFit, SurfaceFit

MOST_POINTS = 2_000_000
# A mesh of ten-node tetrahedra has about 1.4 points a cell; surface and line cells of the file count too.
MOST_CELLS = 2 * MOST_POINTS
MOST_TRIANGLES = MOST_POINTS
_LONGEST_NAME = 500


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
    """Write what `build_tet_mesh` takes, see there; longer names than anybody types are cut."""
    names = [name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…" for name in tag_names.values()]
    surfaces = dict(tag_surfaces or {})
    np.savez(
        path,
        points=points,
        cells=cells.astype(np.int32),
        tagged_triangles=tagged_triangles.astype(np.int32).reshape(-1, 3),
        triangle_tags=triangle_tags.astype(np.int32),
        name_tags=np.array(list(tag_names), np.int32),
        names=np.array(names, np.str_),
        surface_tags=np.array(list(surfaces), np.int32),
        surfaces=np.array([_row(surface) for surface in surfaces.values()], np.float64).reshape(-1, 7),
        split_tags=np.array(split_tags),
    )


def _row(surface: SurfaceFit) -> tuple[float, ...]:
    """A surface as seven numbers."""
    if isinstance(surface, PlaneFit):
        return (*surface.normal, 0.0, 0.0, 0.0, 0.0)
    return (*surface.axis, *surface.centre, surface.radius)
