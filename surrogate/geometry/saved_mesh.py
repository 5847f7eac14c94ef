"""Meshes as files of plain arrays, between an isolated child and its parent. Does not import gmsh.

Keys of the .npz: points [N, 3] m, cells [C, 10] VTK order, tagged_triangles [F, 3] corner indices, triangle_tags [F],
name_tags [M] and names [M] (the names of tags), split_tags (whether a tag is a set that may hold several faces).
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray
from surrogate.geometry.faces import build_tet_mesh
from surrogate.geometry.tet_mesh import TetMesh


def save_arrays(
    path: Path,
    points: FloatArray,
    cells: NDArray[np.integer],
    tagged_triangles: NDArray[np.integer],
    triangle_tags: NDArray[np.integer],
    tag_names: Mapping[int, str],
    *,
    split_tags: bool = False,
) -> None:
    """Write what `build_tet_mesh` takes, see there."""
    np.savez(
        path,
        points=points,
        cells=cells.astype(np.int32),
        tagged_triangles=tagged_triangles.astype(np.int32).reshape(-1, 3),
        triangle_tags=triangle_tags.astype(np.int32),
        name_tags=np.array(list(tag_names), np.int32),
        names=np.array(list(tag_names.values()), np.str_),
        split_tags=np.array(split_tags),
    )


def load_saved_mesh(path: Path) -> TetMesh:
    """Read what `gmsh_export.save_current_mesh` or `save_arrays` wrote.

    Raises:
        GeometryError: the file is damaged, or its cells are inverted or disconnected.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        names = dict(zip(arrays["name_tags"].tolist(), arrays["names"].tolist(), strict=True))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise GeometryError(f"{path.name} is not a saved mesh: {error}") from error
    return build_tet_mesh(
        arrays["points"],
        arrays["cells"],
        tagged_triangles=arrays["tagged_triangles"],
        triangle_tags=arrays["triangle_tags"],
        tag_names=names,
        split_tags=bool(arrays["split_tags"]),
    )
