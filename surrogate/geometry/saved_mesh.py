"""Load what an isolated child saved. Does not import gmsh."""

import zipfile
from pathlib import Path

import numpy as np

from surrogate.errors import GeometryError
from surrogate.geometry.faces import build_tet_mesh
from surrogate.geometry.surface_fit import CylinderFit, PlaneFit, SurfaceFit
from surrogate.geometry.tet_mesh import TetMesh


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
