"""VTU files of ten-node tetrahedra, written without VTK: appended raw binary, each array compressed with zlib.

Format: the VTK file formats guide, "XML file formats", unstructured grid; cell type 24 is the quadratic tetrahedron.
"""

import zlib
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from surrogate.fields import FloatArray
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.serving.fields_file import written_whole

QUADRATIC_TETRAHEDRON = 24
_TYPES = {"f4": "Float32", "f8": "Float64", "i4": "Int32", "i8": "Int64", "u1": "UInt8"}
_COMPONENTS = {6: ("XX", "YY", "ZZ", "XY", "YZ", "XZ"), 3: ("X", "Y", "Z")}
_LEVEL = 3  # faster than the default by half and larger by a twentieth on stress fields

Arrays = Mapping[str, FloatArray | NDArray[np.integer]]


class _Appended:
    """Collects arrays and gives each its offset in the appended block."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self._offset = 0

    def element(self, name: str, array: NDArray[np.generic]) -> str:
        """The DataArray element of an array [n] or [n, d]; floating data are stored in single precision."""
        packed = np.ascontiguousarray(array, dtype="<" + array.dtype.str[1:])
        raw = packed.tobytes()
        squeezed = zlib.compress(raw, _LEVEL)
        header = np.array([1, len(raw), 0, len(squeezed)], "<u8").tobytes()
        width = packed.shape[1] if packed.ndim == 2 else 1
        names = "".join(f' ComponentName{i}="{part}"' for i, part in enumerate(_COMPONENTS.get(width, ())))
        text = (
            f'<DataArray type="{_TYPES[array.dtype.str[1:]]}" Name={quoteattr(name)} NumberOfComponents="{width}"'
            f'{names} format="appended" offset="{self._offset}"/>'
        )
        self.blocks += [header, squeezed]
        self._offset += len(header) + len(squeezed)
        return text


def write_vtu(path: Path, mesh: TetMesh, point_data: Arrays, cell_data: Arrays) -> None:
    """Write a mesh with its fields; the file appears whole or not at all.

    Args:
        path: the file.
        mesh: the part.
        point_data: by name, [N] or [N, d]; a symmetric tensor as xx yy zz xy yz zx.
        cell_data: by name, [C] or [C, d].
    """
    appended, count = _Appended(), len(mesh.cells)
    types = np.full(count, QUADRATIC_TETRAHEDRON, np.uint8)
    parts = [
        '<?xml version="1.0"?>\n<VTKFile type="UnstructuredGrid" version="1.0" byte_order="LittleEndian" '
        'header_type="UInt64" compressor="vtkZLibDataCompressor">\n<UnstructuredGrid>\n'
        f'<Piece NumberOfPoints="{len(mesh.points)}" NumberOfCells="{count}">',
        f"<Points>{appended.element('Points', mesh.points)}</Points>",
        f"<Cells>{appended.element('connectivity', mesh.cells.ravel())}",
        appended.element("offsets", np.arange(10, 10 * count + 1, 10, dtype=np.int64)),
        f"{appended.element('types', types)}</Cells>",
        f"<PointData>{_elements(appended, point_data)}</PointData>",
        f"<CellData>{_elements(appended, cell_data)}</CellData>",
        '</Piece>\n</UnstructuredGrid>\n<AppendedData encoding="raw">\n_',
    ]
    with written_whole(path) as stream:
        stream.write("\n".join(parts).encode())
        for block in appended.blocks:
            stream.write(block)
        stream.write(b"\n</AppendedData>\n</VTKFile>\n")


def _elements(appended: _Appended, data: Arrays) -> str:
    return "\n".join(
        appended.element(name, values.astype(np.float32 if values.dtype.kind == "f" else np.int32))
        for name, values in data.items()
    )
