"""A volume mesh file becomes a saved mesh. Runs only in an isolated child: readers abort on forged files.

python -m surrogate.geometry.mesh_files FILE OUT SCALE FORMAT NAME
"""

import sys
from pathlib import Path

import numpy as np

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.announced_size import check_announced_size, check_count
from surrogate.geometry.cell_conversion import VolumeCells, to_tet10
from surrogate.geometry.mesh_arrays import MOST_CELLS, MOST_POINTS, save_arrays
from surrogate.geometry.named_sets import tag_boundary


def main(arguments: list[str]) -> None:
    """Read, convert, save."""
    file, out, scale, kind, name = arguments
    try:
        check_announced_size(Path(file), kind)
        cells = _read(Path(file), kind)
        check_count("points", len(cells.points), MOST_POINTS)
        check_count("cells", sum(len(block) for _, block in cells.blocks), MOST_CELLS)
        points, tets, owners = to_tet10(cells)
        check_count("points, those in the middle of the edges included,", len(points), MOST_POINTS)
        points, tets = _glue(points, tets)
        triangles, tags, names = tag_boundary(cells, tets, owners)
    except GeometryError as error:
        raise type(error)(f"{name}: {error}") from error
    held = tags >= 0
    save_arrays(Path(out), points * float(scale), tets, triangles[held], tags[held], names, split_tags=True)


def _read(file: Path, kind: str) -> VolumeCells:
    """Run the reader of a format; each is imported only when needed."""
    if kind in ("vtu", "vtk"):
        from surrogate.geometry.vtk_reader import read_vtk

        return read_vtk(file, kind)
    if kind == "msh":
        from surrogate.geometry.msh_reader import read_msh

        return read_msh(file)
    if kind == "inp":
        from surrogate.geometry.inp_reader import read_inp

        return read_inp(file)
    from surrogate.geometry.bdf_reader import read_bdf

    return read_bdf(file)


def _glue(points: FloatArray, tets: IntArray) -> tuple[FloatArray, IntArray]:
    """Merge coincident points where every cell has its own copies, as some writers of VTU leave them."""
    if len(np.unique(tets)) < tets.size or len(tets) == 1:
        return points, tets
    size = float(np.ptp(points, axis=0).max())
    _, first, inverse = np.unique(np.round(points / (1e-9 * size)), axis=0, return_index=True, return_inverse=True)
    return points[first], inverse.reshape(-1)[tets].astype(np.int32)


if __name__ == "__main__":
    main(sys.argv[1:])
