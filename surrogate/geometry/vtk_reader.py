"""VTU and VTK files. Imports VTK, which aborts the process on forged counts: only for isolated children."""

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkCommand, vtkDataArray, vtkObject
from vtkmodules.vtkCommonDataModel import vtkCellTypes, vtkUnstructuredGrid
from vtkmodules.vtkIOLegacy import vtkUnstructuredGridReader
from vtkmodules.vtkIOXML import vtkXMLUnstructuredGridReader

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.cell_conversion import VolumeCells
from surrogate.geometry.shell_check import refuse_loose_facets

# VTK cell type: kind, number of points.
_VOLUMES = {
    10: ("tetrahedron", 4), 24: ("tetrahedron", 10), 12: ("hexahedron", 8), 11: ("voxel", 8), 25: ("hexahedron", 20),
    29: ("hexahedron", 27), 33: ("hexahedron", 24), 13: ("wedge", 6), 26: ("wedge", 15), 31: ("wedge", 12),
    32: ("wedge", 18), 14: ("pyramid", 5), 27: ("pyramid", 13), 37: ("pyramid", 19),
}  # fmt: skip
_FACETS = {5: 3, 22: 3, 34: 3, 9: 4, 23: 4, 28: 4}
_IGNORED = {0, 1, 2}
_LINES = {3, 4, 21, 35}
_VOXEL_TO_HEXAHEDRON = [0, 1, 3, 2, 4, 5, 7, 6]


def read_vtk(file: Path, kind: str) -> VolumeCells:
    """Read an unstructured grid.

    Raises:
        GeometryError: not an unstructured grid, damaged, or of cells that are no linear or quadratic solids.
    """
    grid = _read_grid(file, kind)
    count = grid.GetNumberOfCells()
    if count == 0 or grid.GetNumberOfPoints() == 0:
        raise GeometryError("it holds no cells, or is damaged; export it again as an unstructured grid")
    points: FloatArray = _array(grid.GetPoints().GetData()).astype(np.float64)
    types = np.array([grid.GetCellType(index) for index in range(count)])
    offsets = _array(grid.GetCells().GetOffsetsArray()).astype(np.int64)
    connectivity = _array(grid.GetCells().GetConnectivityArray()).astype(np.int64)
    if len(connectivity) == 0 or connectivity.min() < 0 or connectivity.max() >= len(points):
        raise GeometryError(f"its cells name points outside 0..{len(points) - 1}; repair the file")
    known = _VOLUMES.keys() | _FACETS.keys() | _IGNORED | _LINES
    unknown = Counter(vtkCellTypes.GetClassNameFromTypeId(int(t)).removeprefix("vtk") for t in types if t not in known)
    if unknown:
        listed = ", ".join(f"{name} ({number})" for name, number in unknown.items())
        raise GeometryError(f"its cells {listed} have no reader; convert them to linear or quadratic tetrahedra")
    blocks: list[tuple[str, IntArray]] = []
    facets: list[IntArray] = []
    for cell_type in np.unique(types).tolist():
        rows = np.flatnonzero(types == cell_type)
        if cell_type in _VOLUMES:
            name, width = _VOLUMES[cell_type]
            cells = _gather(connectivity, offsets, rows, width)
            cells = cells[:, _VOXEL_TO_HEXAHEDRON] if name == "voxel" else cells
            blocks.append(("hexahedron" if name == "voxel" else name, cells))
        elif cell_type in _FACETS:
            facets.append(_gather(connectivity, offsets, rows, _FACETS[cell_type]))
    lines = int(np.isin(types, list(_LINES)).sum())
    refuse_loose_facets(blocks, facets, lines)
    return VolumeCells(points, blocks)


def _array(data: vtkDataArray) -> NDArray[np.generic]:
    """A VTK array as a NumPy one."""
    values: NDArray[np.generic] = vtk_to_numpy(data)  # type: ignore[no-untyped-call]
    return values


def _gather(connectivity: IntArray, offsets: IntArray, rows: IntArray, width: int) -> IntArray:
    """First `width` points of some cells [C, width]."""
    if (offsets[rows + 1] - offsets[rows] < width).any():
        raise GeometryError("a cell has fewer points than its type needs; repair the file")
    return connectivity[offsets[rows][:, None] + np.arange(width)].astype(np.int32)


def _read_grid(file: Path, kind: str) -> vtkUnstructuredGrid:
    """Run VTK's reader, its messages made errors."""
    reader = vtkXMLUnstructuredGridReader() if kind == "vtu" else vtkUnstructuredGridReader()
    messages: list[str] = []

    def note(_caller: vtkObject, _event: str) -> None:
        messages.append("damaged")

    reader.AddObserver(vtkCommand.ErrorEvent, note)
    reader.SetFileName(str(file))
    if isinstance(reader, vtkUnstructuredGridReader) and not reader.IsFileUnstructuredGrid():
        raise GeometryError("it is no unstructured grid; export a volume mesh, or a closed surface as STL")
    reader.Update()
    if messages:
        raise GeometryError("VTK cannot read it; it is damaged, cut off, or no unstructured grid; export it again")
    return reader.GetOutput()


def read_point_vectors(file: Path, name: str) -> tuple[FloatArray, FloatArray]:
    """Points [N, 3] and one vector field at them [N, 3] of a VTU file.

    Raises:
        GeometryError: damaged, or it has no such field; the message names those it has.
    """
    grid = _read_grid(file, "vtu")
    data = grid.GetPointData()
    names = [data.GetArrayName(index) for index in range(data.GetNumberOfArrays())]
    if name not in names:
        raise GeometryError(f"{file.name} has no point field {name!r}; its point fields: {', '.join(names) or 'none'}")
    points, vectors = (_array(held).astype(np.float64) for held in (grid.GetPoints().GetData(), data.GetArray(name)))
    if vectors.shape != points.shape or not np.isfinite(vectors).all():
        raise GeometryError(f"{name!r} of {file.name} is no finite vector a point; give the displacement's name")
    return points, vectors
