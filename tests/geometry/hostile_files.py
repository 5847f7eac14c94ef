"""Files that are meant to do harm, each with what has to be said of it. The HTTP tests post them too."""

import gzip
import io
import itertools
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surrogate.errors import GeometryError, TooLargeError, UnsupportedFormatError

HERE = "127.0.0.1"


@dataclass(frozen=True)
class HostileFile:
    """One of them.

    Attributes:
        name: of the file; its suffix says which reader gets it.
        content: made on demand.
        error: class of the error.
        says: regular expression that its message has, remedy included.
        unit: `length_unit` that goes with it.
    """

    name: str
    content: Callable[[], bytes]
    error: type[GeometryError]
    says: str
    unit: str | None = "mm"


def text(*lines: str) -> Callable[[], bytes]:
    """Content of some lines."""
    return lambda: "\n".join(lines).encode() + b"\n"


def vtu(
    points: str = "0 0 0 1 0 0 0 1 0 0 0 1",
    cells: str = "0 1 2 3",
    *,
    counts: tuple[str, str] = ("4", "1"),
    types: str = "10",
    kind: str = "UnstructuredGrid",
    head: str = "",
    piece: str = "",
) -> str:
    """A VTU file of one tetrahedron, or of what it is made into."""
    return (
        f'<?xml version="1.0"?>{head}<VTKFile type="{kind}" version="0.1" byte_order="LittleEndian"><{kind}>'
        f'<Piece NumberOfPoints="{counts[0]}" NumberOfCells="{counts[1]}" {piece}>'
        f'<Points><DataArray type="Float64" NumberOfComponents="3" format="ascii">{points}</DataArray></Points>'
        f'<Cells><DataArray type="Int64" Name="connectivity" format="ascii">{cells}</DataArray>'
        '<DataArray type="Int64" Name="offsets" format="ascii">4</DataArray>'
        f'<DataArray type="UInt8" Name="types" format="ascii">{types}</DataArray></Cells></Piece></{kind}></VTKFile>'
    )


def appended_vtu(blocks: bytes, *, compressor: str = "") -> bytes:
    """A VTU file whose points lie in appended binary data, with forged sizes there."""
    return (
        '<VTKFile type="UnstructuredGrid" version="1.0" byte_order="LittleEndian" header_type="UInt64" '
        f'{compressor}><UnstructuredGrid><Piece NumberOfPoints="4" NumberOfCells="1"><Points>'
        '<DataArray type="Float64" NumberOfComponents="3" format="appended" offset="0"/></Points><Cells>'
        '<DataArray type="Int64" Name="connectivity" format="appended" offset="0"/>'
        '<DataArray type="Int64" Name="offsets" format="appended" offset="0"/>'
        '<DataArray type="UInt8" Name="types" format="appended" offset="0"/></Cells></Piece></UnstructuredGrid>'
        '<AppendedData encoding="raw">_'
    ).encode() + blocks


def laughs(depth: int = 10, width: int = 10) -> str:
    """Entities that expand to width ** depth of the first."""
    names = [f"a{index}" for index in range(depth + 1)]
    rest = "".join(f'<!ENTITY {two} "{f"&{one};" * width}">' for one, two in itertools.pairwise(names))
    return f'<!DOCTYPE VTKFile [<!ENTITY a0 "0 ">{rest}]>'


def legacy(points: str, cells: str = "CELLS 1 5", kind: str = "UNSTRUCTURED_GRID") -> Callable[[], bytes]:
    """A VTK legacy file of one tetrahedron, with given counts."""
    return text(
        "# vtk DataFile Version 3.0", "x", "ASCII", f"DATASET {kind}", points, "0 0 0 1 0 0 0 1 0 0 0 1", cells,
        "4 0 1 2 3", "CELL_TYPES 1", "10",
    )  # fmt: skip


def msh(nodes: str = "1 4 1 4", elements: str = "1 1 1 1", extra: str = "") -> Callable[[], bytes]:
    """A gmsh file of one tetrahedron, with given counts."""
    return text(
        "$MeshFormat", "4.1 0 8", "$EndMeshFormat", extra, "$Entities", "0 0 0 1", "1 0 0 0 1 1 1 0 0", "$EndEntities",
        "$Nodes", nodes, "3 1 0 4", "1", "2", "3", "4", "0 0 0", "1 0 0", "0 1 0", "0 0 1", "$EndNodes",
        "$Elements", elements, "3 1 4 1", "1 1 2 3 4", "$EndElements",
    )  # fmt: skip


def inp(*extra: str, nodes: str = "1, 0, 0, 0\n2, 1, 0, 0\n3, 0, 1, 0\n4, 0, 0, 1") -> Callable[[], bytes]:
    """A deck of one tetrahedron and more."""
    return text("*NODE", nodes, "*ELEMENT, TYPE=C3D4, ELSET=solid", "1, 1, 2, 3, 4", *extra)


def bdf(*extra: str, last: str = "GRID,4,,0.,0.,1.") -> Callable[[], bytes]:
    """A Nastran deck of one tetrahedron and more."""
    return text(
        "BEGIN BULK", "GRID,1,,0.,0.,0.", "GRID,2,,1.,0.,0.", "GRID,3,,0.,1.,0.", last, *extra, "CTETRA,1,7,1,2,3,4",
        "ENDDATA",
    )  # fmt: skip


def step(*entities: str, head: str = "", unit: str = "SI_UNIT(.MILLI.,.METRE.)") -> Callable[[], bytes]:
    """A STEP file of some entities."""
    return text(
        f"{head}ISO-10303-21;", "HEADER;", "FILE_DESCRIPTION((''),'2;1');", "FILE_NAME('','',(''),(''),'','','');",
        "FILE_SCHEMA(('AUTOMOTIVE_DESIGN'));", "ENDSEC;", "DATA;",
        f"#1=(LENGTH_UNIT()NAMED_UNIT(*){unit});",
        "#2=(GEOMETRIC_REPRESENTATION_CONTEXT(3)GLOBAL_UNIT_ASSIGNED_CONTEXT((#1))REPRESENTATION_CONTEXT('',''));",
        *entities, "ENDSEC;", "END-ISO-10303-21;",
    )  # fmt: skip


def stl(count: int, records: int = 1) -> bytes:
    """A binary STL that announces a number of triangles."""
    return bytes(80) + struct.pack("<I", count) + bytes(50) * records


def zipped() -> bytes:
    """A zip archive whose member wants to lie elsewhere."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../../../tmp/escaped.step", "ISO-10303-21;")
    return packed.getvalue()


def bomb(layers: int) -> bytes:
    """A gzip file of 1.1 GiB of nothing, in a few layers of packing."""
    member = gzip.compress(bytes(32 << 20))
    packed = member * 35
    for _ in range(layers - 1):
        packed = gzip.compress(packed)
    return packed


def junk(start: bytes, size: int = 100_000) -> Callable[[], bytes]:
    """Noise behind a beginning that a reader believes."""
    return lambda: start + random.Random(0).randbytes(size)


DAMAGED = r"(damaged|repair|export it again|write it again)"

FILES = (
    # XML
    HostileFile("laughs.vtu", lambda: vtu(points="&a10;", head=laughs()).encode(), UnsupportedFormatError, "export it"),
    HostileFile(
        "quadratic.vtu",
        lambda: vtu(
            points="&a;" * 50_000, head=f'<!DOCTYPE VTKFile [<!ENTITY a "{"0 " * 50_000}">]>'
        ).encode(),
        UnsupportedFormatError,
        "is a XML file, not VTK XML .* export it",
    ),
    HostileFile(
        "file_entity.vtu",
        lambda: vtu(
            points="&x;", head='<!DOCTYPE VTKFile [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        ).encode(),
        UnsupportedFormatError,
        "export it",
    ),
    HostileFile(
        "hidden_entity.vtu",
        # Behind a comment that the check of the first bytes passes over, inside the root element where it is no XML.
        lambda: vtu(points="&x;").replace("<Piece", '<!ENTITY x SYSTEM "file:///etc/passwd"><Piece').encode(),
        GeometryError,
        DAMAGED,
    ),
    HostileFile("deep.vtu", lambda: vtu(points="<a>" * 200_000).encode(), GeometryError, DAMAGED),
    HostileFile("points.vtu", lambda: vtu(counts=("99999999999", "1")).encode(), TooLargeError, "use larger elements"),
    HostileFile("cells.vtu", lambda: vtu(counts=("4", "99999999999")).encode(), TooLargeError, "use larger elements"),
    HostileFile("entity_count.vtu", lambda: vtu(counts=("&#57;99999999", "1")).encode(), GeometryError, DAMAGED),
    HostileFile("negative.vtu", lambda: vtu(counts=("-4", "1")).encode(), GeometryError, DAMAGED),
    HostileFile("short.vtu", lambda: vtu(counts=("400000", "1")).encode(), GeometryError, DAMAGED),
    HostileFile(
        "appended.vtu", lambda: appended_vtu(struct.pack("<Q", 1 << 60) + bytes(100)), GeometryError, DAMAGED
    ),
    HostileFile(
        "inflated.vtu",
        # Blocks of 2**40 bytes, 2**20 of them, by their own account.
        lambda: appended_vtu(
            struct.pack("<QQQQ", 1 << 20, 1 << 40, 0, 20) + zlib.compress(bytes(1 << 20)),
            compressor='compressor="vtkZLibDataCompressor"',
        ),
        GeometryError,
        DAMAGED,
    ),
    HostileFile(
        "source.vtu",
        lambda: vtu(kind="PUnstructuredGrid", piece='Source="../../../../etc/passwd"').encode(),
        GeometryError,
        "PUnstructuredGrid, which names other files; save the mesh as one UnstructuredGrid",
    ),
    HostileFile(
        "piece_source.vtu",
        # An attribute that only the parallel reader knows: it has to be without effect.
        lambda: vtu(points="", counts=("0", "0"), piece='Source="/etc/passwd"').encode(),
        GeometryError,
        "holds no cells, or is damaged; export it again",
    ),
    HostileFile("parallel.pvtu", lambda: vtu(kind="PUnstructuredGrid").encode(), UnsupportedFormatError, "give one of"),
    HostileFile("nan.vtu", lambda: vtu(points="nan 0 0 1 0 0 0 1 0 0 0 1").encode(), GeometryError, DAMAGED),
    HostileFile("inf.vtu", lambda: vtu(points="inf 0 0 1 0 0 0 1 0 0 0 1").encode(), GeometryError, DAMAGED),
    HostileFile("loop.vtu", lambda: vtu(cells="0 0 0 0").encode(), GeometryError, "give a solid part"),
    HostileFile("outside.vtu", lambda: vtu(cells="0 1 2 -3").encode(), GeometryError, "repair the file"),
    HostileFile("types.vtu", lambda: vtu(types="255").encode(), GeometryError, "convert them"),
    HostileFile("noise.vtu", junk(b'<VTKFile type="UnstructuredGrid">'), GeometryError, DAMAGED),
    # VTK legacy
    HostileFile("points.vtk", legacy("POINTS 99999999999 double"), TooLargeError, "use larger elements"),
    HostileFile("negative.vtk", legacy("POINTS -1 double"), GeometryError, DAMAGED),
    HostileFile("short.vtk", legacy("POINTS 1000000 double"), GeometryError, DAMAGED),
    HostileFile("cells.vtk", legacy("POINTS 4 double", "CELLS 99999999999 5"), TooLargeError, "use larger elements"),
    HostileFile("connectivity.vtk", legacy("POINTS 4 double", "CELLS 1 2147483647"), GeometryError, DAMAGED),
    HostileFile("noise.vtk", junk(b"# vtk DataFile Version 3.0\nx\nBINARY\nDATASET UNSTRUCTURED_GRID\n"), GeometryError,
                DAMAGED),
    # STL and OBJ
    HostileFile("four_billion.stl", lambda: stl(4_000_000_000), GeometryError, "export it again"),
    HostileFile("all_bits.stl", lambda: stl(0xFFFFFFFF, 1000), GeometryError, "export it again"),
    HostileFile("nothing.stl", lambda: stl(2, 2), GeometryError, "no area; export the part again"),
    HostileFile("nan.stl", lambda: stl(1)[:-50] + struct.pack("<12fH", *[float("nan")] * 12, 0), GeometryError,
                "non-finite"),
    HostileFile("words.stl", text("solid x", "facet", *["vertex a b c"] * 3, "endfacet", "endsolid"), GeometryError,
                "export it again"),
    HostileFile("noise.stl", junk(b""), GeometryError, "export it again"),
    HostileFile("solid_noise.stl", junk(b"solid "), GeometryError, "export"),
    HostileFile("fan.obj", lambda: b"v 0 0 0\n" + b"f" + b" 1" * 3_000_000, TooLargeError, "coarser tolerance"),
    HostileFile("index.obj", text("v 0 0 0", "f 99999999999999999999 1 2"), GeometryError, DAMAGED),
    HostileFile("noise.obj", junk(b"v 0 0 0\n"), GeometryError, "export"),
    # gmsh
    HostileFile("nodes.msh", msh(nodes="1 99999999999 1 4"), TooLargeError, "use larger elements"),
    HostileFile("elements.msh", msh(elements="1 99999999999 1 1"), TooLargeError, "use larger elements"),
    HostileFile("block.msh", lambda: msh()().replace(b"3 1 0 4\n", b"3 1 0 99999999999\n"), GeometryError, DAMAGED),
    HostileFile("tags.msh", lambda: msh()().replace(b"\n4\n0 0 0", b"\n99999999999999\n0 0 0"), GeometryError, DAMAGED),
    HostileFile("old.msh", text("$NOD", "99999999999", "1 0 0 0"), TooLargeError, "use larger elements"),
    HostileFile("script.msh", text("", "$MeshFormat", 'SystemCall "touch escaped";'), GeometryError, "write it again"),
    HostileFile("noise.msh", junk(b"$MeshFormat\n4.1 1 8\n\x01\0\0\0\n$EndMeshFormat\n$Nodes\n"), TooLargeError,
                "use larger elements"),
    # Decks
    HostileFile("include.inp", inp("*INCLUDE, INPUT=../../../../etc/passwd"), GeometryError, "paste them in"),
    HostileFile("generate.inp", inp("*NSET, NSET=a, GENERATE", "1, 999999999999, 1"), GeometryError, "repair the file"),
    HostileFile("backwards.inp", inp("*NSET, NSET=a, GENERATE", "1, 5, 0"), GeometryError, "repair the file"),
    HostileFile("number.inp", inp(nodes="1e400, nan, inf, 0"), GeometryError, DAMAGED),
    HostileFile("label.inp", inp(nodes="99999999999999999999999, 0, 0, 0"), GeometryError, DAMAGED),
    HostileFile("noise.inp", junk(b"*NODE\n"), GeometryError, DAMAGED),
    HostileFile("include.bdf", bdf("INCLUDE '/etc/passwd'"), GeometryError, "paste them in"),
    HostileFile("thru.bdf", bdf("SET1,1,1,THRU,999999999999"), GeometryError, "repair the file"),
    HostileFile("nan.bdf", bdf(last="GRID,4,,nan,inf,1."), GeometryError, DAMAGED),
    HostileFile("label.bdf", bdf(last="GRID,99999999999999999999,,0.,0.,1."), GeometryError, DAMAGED),
    HostileFile("digits.bdf", bdf(last=f"GRID,4,,{'9' * 100_000}.,0.,1."), GeometryError, DAMAGED),
    HostileFile("noise.nas", junk(b"BEGIN BULK\n"), GeometryError, "Nastran deck"),
    # STEP
    HostileFile("cut.step", lambda: step("#3=CARTESIAN_POINT('',(0.,0.,0.));")()[:-30], GeometryError,
                "export it again", None),
    HostileFile("empty_model.step", step(), GeometryError, "export", None),
    HostileFile("comments.step", text("/**/" * 1000), UnsupportedFormatError, "not a STEP file", None),
    HostileFile("units.step", step("#3=" * 200_000), GeometryError, "export", None),
    HostileFile("itself.step", step("#3=MANIFOLD_SOLID_BREP('',#4);", "#4=CLOSED_SHELL('',(#4,#3));"), GeometryError,
                "export", None),
    HostileFile("parentheses.step", step(f"#3=A({'(' * 200_000});"), GeometryError, r"(export|simplify)", None),
    HostileFile("noise.step", lambda: step()().replace(b"ENDSEC;\nEND", junk(b"")() + b"ENDSEC;\nEND"), GeometryError,
                "export", None),
    HostileFile("zip.step", zipped, UnsupportedFormatError, "is a zip file", None),
    # Packed
    HostileFile("torn.step.gz", lambda: gzip.compress(step()())[:-20], UnsupportedFormatError, "pack it again", None),
    HostileFile("twice.step.gz", lambda: gzip.compress(gzip.compress(step()())), UnsupportedFormatError,
                "is a gzip file", None),
    HostileFile("noise.stl.gz", junk(b"\x1f\x8b"), UnsupportedFormatError, "pack it again"),
    HostileFile("ten_layers.vtu.gz", lambda: bomb(3), UnsupportedFormatError, "is a gzip file"),
    # Names and nothing
    HostileFile("part.exe", text("MZ"), UnsupportedFormatError, "give one of"),
    HostileFile("gz", text("x"), UnsupportedFormatError, "give one of"),
    HostileFile("step.stl", step(), UnsupportedFormatError, "is a STEP file"),
    HostileFile("mesh.inp", msh(), UnsupportedFormatError, "is a gmsh MSH file"),
    HostileFile("page.bdf", text("<html>"), UnsupportedFormatError, "is a XML file"),
    *(HostileFile(f"nothing.{suffix}", lambda: b"", GeometryError, "is empty; export it again", None if suffix == "step"
                  else "mm") for suffix in ("step", "stl", "obj", "vtu", "vtk", "msh", "inp", "bdf")),
    *(HostileFile(f"spaces.{suffix}", lambda: b" \n" * 5000, GeometryError, ".", None if suffix == "step" else "mm")
      for suffix in ("step", "stl", "obj", "vtu", "vtk", "msh", "inp", "bdf")),
)  # fmt: skip


def tetrahedron_of(size: str) -> Callable[[], bytes]:
    """A tetrahedron of any size, for units that make it absurd."""
    return lambda: vtu(points=f"0 0 0 {size} 0 0 0 {size} 0 0 0 {size}").encode()


ABSURD_SIZES = (
    HostileFile("galaxy.vtu", tetrahedron_of("1e300"), GeometryError, "check length_unit", "ft"),
    HostileFile("country.vtu", tetrahedron_of("1e7"), GeometryError, "check length_unit", "m"),
    HostileFile("atom.vtu", tetrahedron_of("1e-12"), GeometryError, "check length_unit", "um"),
    HostileFile("subnormal.vtu", tetrahedron_of("1e-310"), GeometryError, "(check length_unit|no volume)", "um"),
    HostileFile("far.vtu", lambda: vtu(points="1e9 0 0 1000000001 0 0 1e9 1 0 1e9 0 1").encode(), GeometryError,
                "move it to the origin", "m"),
)  # fmt: skip


def write_points_vtu(path: Path, count: int) -> None:
    """A sound VTU file of a number of points, in one heap of hexahedra's corners."""
    points = np.zeros((count, 3))
    cells, offsets, types = np.arange(8), np.array([8]), np.array([12], np.uint8)
    places, blocks = [], []
    for array in (points, cells.astype(np.int64), offsets.astype(np.int64), types):
        places.append(sum(map(len, blocks)))
        blocks.append(struct.pack("<Q", array.nbytes) + array.tobytes())
    names = ('NumberOfComponents="3"', 'Name="connectivity"', 'Name="offsets"', 'Name="types"')
    kinds = ("Float64", "Int64", "Int64", "UInt8")
    listed = [
        f'<DataArray type="{kind}" {name} format="appended" offset="{place}"/>'
        for kind, name, place in zip(kinds, names, places, strict=True)
    ]
    with path.open("wb") as stream:
        stream.write(
            (
                '<VTKFile type="UnstructuredGrid" version="1.0" byte_order="LittleEndian" header_type="UInt64">'
                f'<UnstructuredGrid><Piece NumberOfPoints="{count}" NumberOfCells="1"><Points>{listed[0]}</Points>'
                f"<Cells>{''.join(listed[1:])}</Cells></Piece></UnstructuredGrid>"
                '<AppendedData encoding="raw">_'
            ).encode()
        )
        stream.writelines(blocks)
        stream.write(b"</AppendedData></VTKFile>")


def write_many(path: Path, count: int) -> None:
    """A file of a number of points (or, of a surface, half as many triangles), by its suffix; made in a second."""
    match path.suffix:
        case ".vtu":
            write_points_vtu(path, count)
        case ".vtk":
            head = f"# vtk DataFile Version 3.0\nx\nBINARY\nDATASET UNSTRUCTURED_GRID\nPOINTS {count} float\n"
            path.write_bytes(head.encode() + bytes(12 * count) + b"\nCELLS 1 5\n" + struct.pack(">5i", 4, 0, 1, 2, 3))
        case ".msh":
            head = f"$MeshFormat\n2.2 1 8\n\x01\0\0\0\n$EndMeshFormat\n$Nodes\n{count}\n"
            path.write_bytes(head.encode() + bytes(28 * count) + b"\n$EndNodes\n")
        case ".inp":
            path.write_bytes(b"*NODE\n" + b"1, 0., 0., 0.\n" * count)
        case ".bdf":
            path.write_bytes(b"BEGIN BULK\n" + b"GRID,1,,0.,0.,0.\n" * count)
        case ".stl":
            path.write_bytes(stl(count // 2, count // 2))
        case ".obj":
            path.write_bytes(b"v 0 0 0\n" * 3 + b"f 1 2 3\n" * (count // 2))
        case other:
            raise AssertionError(other)
