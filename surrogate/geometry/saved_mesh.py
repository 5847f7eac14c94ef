"""Load what an isolated child saved. Does not import gmsh.

The child read a file of a stranger, so what it left is not trusted either: no pickles, no forged sizes, no part larger
than a country.
"""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.faces import build_tet_mesh
from surrogate.geometry.mesh_arrays import MOST_CELLS
from surrogate.geometry.surface_fit import CylinderFit, PlaneFit, SurfaceFit
from surrogate.geometry.tet_mesh import TetMesh

# Kind of number, and the shape, None for any length.
_ARRAYS: dict[str, tuple[str, tuple[int | None, ...]]] = {
    "points": ("f", (None, 3)), "cells": ("i", (None, 10)), "tagged_triangles": ("i", (None, 3)),
    "triangle_tags": ("i", (None,)), "name_tags": ("i", (None,)), "names": ("U", (None,)),
    "surface_tags": ("i", (None,)), "surfaces": ("f", (None, 7)), "split_tags": ("b", ()),
}  # fmt: skip
_MOST_ROWS = 2 * MOST_CELLS
_MOST_BYTES = 2 << 30
_DAMAGES = (OSError, EOFError, KeyError, MemoryError, RuntimeError, SyntaxError, ValueError, zipfile.BadZipFile)
# Extents in m between which a part is believed; beyond them squares and cubes of lengths lose their digits.
_SMALLEST_SIZE, _LARGEST_SIZE = 1e-9, 1e6
_MOST_OF_SIZE = 1e6


def load_saved_mesh(path: Path) -> TetMesh:
    """Read what `gmsh_export.save_current_mesh` or `save_arrays` wrote.

    Raises:
        GeometryError: the file is damaged, or its cells are inverted or disconnected, or its size is beyond belief.
    """
    arrays = _load(path)
    names = dict(zip(arrays["name_tags"].tolist(), arrays["names"].tolist(), strict=False))
    rows = zip(arrays["surface_tags"].tolist(), arrays["surfaces"].tolist(), strict=False)
    surfaces = {tag: _surface(row) for tag, row in rows}
    points: FloatArray = arrays["points"].astype(np.float64)
    cells, triangles, tags = (arrays[name].astype(np.int32) for name in ("cells", "tagged_triangles", "triangle_tags"))
    _check_extent(points, cells)
    try:
        return build_tet_mesh(
            points,
            cells,
            tagged_triangles=triangles,
            triangle_tags=tags,
            tag_names=names,
            tag_surfaces=surfaces,
            split_tags=bool(arrays["split_tags"]),
        )
    except (ArithmeticError, IndexError, MemoryError, ValueError) as error:
        raise GeometryError(
            f"its cells cannot be used ({type(error).__name__}: {error}); check the mesh, or mesh the part anew"
        ) from error


def _load(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays of a saved mesh, each of the kind and shape that it has to have.

    Raises:
        GeometryError: it is not a saved mesh.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            packed = sum(item.file_size for item in archive.infolist())
            plain = all(item.compress_type == zipfile.ZIP_STORED for item in archive.infolist())
        if not plain or packed > _MOST_BYTES:
            raise GeometryError(f"{path.name} is not a saved mesh: {packed} bytes unpacked; mesh the part anew")
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, NDArray[np.generic]] = {name: file[name] for name in _ARRAYS}
    except _DAMAGES as error:
        raise GeometryError(f"{path.name} is not a saved mesh: {error}; mesh the part anew") from error
    for name, (kind, shape) in _ARRAYS.items():
        array = arrays[name]
        fits = len(array.shape) == len(shape) and all(
            length in (None, found) for length, found in zip(shape, array.shape, strict=True)
        )
        if array.dtype.kind != kind or not fits or (array.ndim and len(array) > _MOST_ROWS):
            raise GeometryError(
                f"{path.name} is not a saved mesh: its {name} are {array.dtype} {array.shape}; mesh the part anew"
            )
    return arrays


def _check_extent(points: FloatArray, cells: IntArray) -> None:
    """Refuse parts that no length unit explains, before numbers overflow.

    Raises:
        GeometryError: too large, too small, too far from the origin, or not finite.
    """
    if cells.size == 0 or points.size == 0:
        return
    if int(cells.min()) < 0 or int(cells.max()) >= len(points):
        raise GeometryError(f"cells name points outside 0..{len(points) - 1}; repair the file")
    used = points[np.unique(cells)]
    if not np.isfinite(used).all():
        raise GeometryError("the mesh has points with non-finite coordinates; repair the file")
    with np.errstate(over="ignore"):
        size, distance = float(np.ptp(used, axis=0).max()), float(np.abs(used).max())
    if not _SMALLEST_SIZE <= size <= _LARGEST_SIZE:
        raise GeometryError(
            f"the part would be {size:.3g} m long, outside {_SMALLEST_SIZE:g} to {_LARGEST_SIZE:g} m; check "
            "length_unit and the coordinates"
        )
    if distance > _MOST_OF_SIZE * size:
        raise GeometryError(
            f"the part is {size:.3g} m long and {distance:.3g} m from the origin, where its shape is lost in rounding; "
            "move it to the origin"
        )


def _surface(row: list[float]) -> SurfaceFit:
    """The surface of seven numbers."""
    direction = (row[0], row[1], row[2])
    return CylinderFit(direction, (row[3], row[4], row[5]), row[6]) if row[6] > 0 else PlaneFit(direction)
