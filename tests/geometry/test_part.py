"""Every format gives the same block; every bad file gives an error that says why, and the process lives."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from surrogate.errors import GeometryError, TooLargeError, UnsupportedFormatError
from surrogate.geometry import part
from surrogate.geometry.cell_conversion import to_tet10
from surrogate.geometry.cell_quality import jacobian_determinants
from surrogate.geometry.part import load_part
from surrogate.geometry.selectors import CylinderSelector, NameSelector, select_faces
from surrogate.geometry.tet_mesh import TetMesh
from tests.geometry.conftest import grid

VOLUME = 0.01 * (0.04 * 0.03 - np.pi * 0.005**2)


def volume_of(mesh: TetMesh) -> float:
    return float(jacobian_determinants(mesh.points, mesh.cells).mean(axis=1).sum() / 6)


def check_block(mesh: TetMesh, volume_tolerance: float, radius_tolerance: float) -> None:
    assert volume_of(mesh) == pytest.approx(VOLUME, rel=volume_tolerance)
    assert mesh.size == pytest.approx((0.04, 0.03, 0.01), rel=1e-6)
    (hole,) = select_faces(mesh, CylinderSelector(0.005, tolerance=radius_tolerance, hole=True, expect=1))
    assert sorted(face.kind for face in mesh.faces) == ["cylinder"] + ["plane"] * 6, hole


def test_step_brings_its_unit_and_a_default_size(samples: Path) -> None:
    mesh = load_part(samples / "block.step", length_unit="mm")
    check_block(mesh, 1e-4, 1e-9)  # CAD knows the radius
    assert 3000 < len(mesh.points) < 9000
    with pytest.raises(GeometryError, match="in mm by its own statement, but length_unit says 'm'"):
        load_part(samples / "block.step", length_unit="m")


def test_faces_of_a_step_file_keep_their_names(samples: Path, tmp_path: Path) -> None:
    text = (samples / "block.step").read_text()
    plain = re.compile(r"ADVANCED_FACE\(''(,\([^)]*\),(#\d+),)")

    def name(match: re.Match[str]) -> str:
        surface = re.search(rf"{match[2]} = (\w+)\('',#(\d+)", text)
        assert surface is not None
        place = re.search(rf"#{surface[2]} = AXIS2_PLACEMENT_3D\('',#(\d+)", text)
        assert place is not None
        origin = re.search(rf"#{place[1]} = CARTESIAN_POINT\('',\(([^)]*)\)", text)
        assert origin is not None
        kind = "bolt ''M10''" if surface[1] == "CYLINDRICAL_SURFACE" else f"at {origin[1]}"
        return f"ADVANCED_FACE('{kind}'{match[1]}"

    path = tmp_path / "named.stp"
    path.write_text(plain.sub(name, text))
    mesh = load_part(path, element_size_m=0.01)
    (bolt,) = select_faces(mesh, NameSelector("bolt 'M10'", expect=1))
    assert mesh.faces[bolt].kind == "cylinder"
    for face in mesh.faces:
        if face.kind == "plane":
            assert face.name is not None and face.normal is not None
            origin = np.array([float(item) for item in face.name.removeprefix("at ").split(",")]) * 1e-3
            # the plane goes through the place that its name was taken from
            assert np.dot(face.normal, origin - np.array(face.centroid)) == pytest.approx(0, abs=1e-9)


def test_meshing_is_repeatable(samples: Path) -> None:
    one, two = (load_part(samples / "block.step", element_size_m=0.01) for _ in range(2))
    assert one.content_hash == two.content_hash


def test_a_coarse_stl_gets_its_faces_and_its_radius(samples: Path) -> None:
    # 12 facets a turn enclose 4.5 % too little hole; snapping puts its points back on the cylinder
    check_block(load_part(samples / "coarse.stl", length_unit="mm"), 2e-3, 0.005)


@pytest.mark.parametrize("name", ["linear.msh", "quadratic.msh", "linear.vtk", "linear.inp", "linear.bdf"])
def test_volume_meshes_in_every_format(samples: Path, name: str) -> None:
    # linear cells with 16 edges a turn leave the hole 2.6 % too small, 0.2 % of the block
    check_block(load_part(samples / name, length_unit="mm"), 1e-4 if "quadratic" in name else 4e-3, 0.005)


@pytest.mark.parametrize("name", ["linear.msh", "quadratic.msh", "linear.inp"])
def test_groups_and_sets_name_faces(samples: Path, name: str) -> None:
    mesh = load_part(samples / name, length_unit="mm")
    (clamp,) = select_faces(mesh, NameSelector("clamp", expect=1))
    assert mesh.faces[clamp].normal == pytest.approx((-1, 0, 0))
    (bolt,) = select_faces(mesh, NameSelector("bolt", expect=1))
    assert mesh.faces[bolt].kind == "cylinder"


def test_gzip_and_capital_suffixes(samples: Path, tmp_path: Path) -> None:
    packed = tmp_path / "BLOCK.MSH.GZ"
    packed.write_bytes(gzip.compress((samples / "linear.msh").read_bytes()))
    plain = load_part(samples / "linear.msh", length_unit="cm")
    assert load_part(packed, length_unit="cm").content_hash == plain.content_hash
    assert plain.size == pytest.approx((0.4, 0.3, 0.1))


def write_vtu(path: Path, points: np.ndarray, cells: list[list[int]], kind: int, head: str = "") -> Path:  # type: ignore[type-arg]
    offsets = np.cumsum([len(cell) for cell in cells])
    arrays = {
        "connectivity": " ".join(str(i) for cell in cells for i in cell),
        "offsets": " ".join(map(str, offsets)),
        "types": " ".join([str(kind)] * len(cells)),
    }
    body = "".join(
        f'<DataArray type="{"UInt8" if name == "types" else "Int64"}" Name="{name}" format="ascii">{data}</DataArray>'
        for name, data in arrays.items()
    )
    path.write_text(
        f'<?xml version="1.0"?>{head}<VTKFile type="UnstructuredGrid" version="0.1" byte_order="LittleEndian">'
        f'<UnstructuredGrid><Piece NumberOfPoints="{len(points)}" NumberOfCells="{len(cells)}"><Points>'
        f'<DataArray type="Float64" NumberOfComponents="3" format="ascii">{" ".join(map(str, points.ravel()))}'
        f"</DataArray></Points><Cells>{body}</Cells></Piece></UnstructuredGrid></VTKFile>"
    )
    return path


def test_vtu_of_hexahedra_and_of_ten_node_tetrahedra(tmp_path: Path) -> None:
    cells = grid((3, 2, 1))
    mesh = load_part(write_vtu(tmp_path / "h.vtu", cells.points, cells.blocks[0][1].tolist(), 12), length_unit="mm")
    assert volume_of(mesh) == pytest.approx(6e-9, rel=1e-12)
    assert len(mesh.faces) == 6
    points, tets, _ = to_tet10(cells)
    same = load_part(write_vtu(tmp_path / "t.vtu", points, tets.tolist(), 24), length_unit="mm")
    assert len(same.points) == len(mesh.points) and volume_of(same) == pytest.approx(6e-9, rel=1e-12)


INP = """*HEADING
two hexahedra
*NODE, NSET=all
{nodes}
*ELEMENT, TYPE=C3D8R, ELSET=solid
{elements}
*NSET, NSET=left, GENERATE
1, 4
*ELSET, ELSET=_top_S6
1, 2
*SURFACE, NAME=top, TYPE=ELEMENT
solid, S4
*SOLID SECTION, ELSET=solid, MATERIAL=steel
"""


def inp_text(kind: str = "C3D8R") -> str:
    cells = grid((2, 1, 1))
    nodes = "\n".join(f"{i + 1}, {x}, {y}, {z}" for i, (x, y, z) in enumerate(cells.points.tolist()))
    elements = "\n".join(
        f"{e + 1}, " + ", ".join(str(n + 1) for n in c) for e, c in enumerate(cells.blocks[0][1].tolist())
    )
    return INP.format(nodes=nodes, elements=elements).replace("C3D8R", kind)


def test_inp_sets_and_surfaces(tmp_path: Path) -> None:
    deck = tmp_path / "deck.inp"
    deck.write_text(inp_text())
    mesh = load_part(deck, length_unit="m")
    (left,) = select_faces(mesh, NameSelector("left", expect=1))
    # points 1 to 4 are the lattice points at x = 0, so the face looks along -x and against the shear
    assert mesh.faces[left].kind == "plane" and mesh.faces[left].area == pytest.approx(
        np.sqrt(1 + 0.04 + 0.12**2), rel=0.01
    )
    (top,) = select_faces(mesh, NameSelector("top", expect=1))
    assert {"left", "top"} == {face.name for face in mesh.faces} - {None} and top != left


BDF = """BEGIN BULK
CORD2R,5,0,0.,0.,0.,0.,0.,1.
+,0.,1.,0.
GRID,1,5,0.,0.,0.
GRID           2       0     1.0     0.0     0.0
GRID*                  3               0             0.0         1.0-0
*                    0.0
GRID,4,,0.,0.,1.0E0
SPC1,9,123,1,THRU,3
CTETRA         1       7       1       2       3       4
ENDDATA
"""


def test_bdf_in_free_small_and_large_fields(tmp_path: Path) -> None:
    deck = tmp_path / "deck.nas"
    deck.write_text(BDF)
    mesh = load_part(deck, length_unit="ft")
    assert volume_of(mesh) == pytest.approx(0.3048**3 / 6, rel=1e-12)
    (held,) = select_faces(mesh, NameSelector("SPC1 9", expect=1))
    assert mesh.faces[held].normal == pytest.approx((0, 0, -1))


STL = "solid s\nfacet normal 0 0 0\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex {v}\nendloop\nendfacet\n{end}"
BOMB = "<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'>" + "".join(
    f"<!ENTITY {b} '{('&' + a + ';') * 10}'>" for a, b in zip("abcdefghij", "bcdefghijk", strict=True)
)


BAD: dict[str, tuple[str | bytes, str]] = {
    "cut.step": ("<half of block.step>", "is cut off"),
    "words.step": ("this is no CAD", "is not a STEP file"),
    "empty.step": ("", "is empty"),
    "empty.stl": ("solid Empty\nendsolid Empty", "no triangles"),
    "nan.stl": (STL.format(v="nan 1 0", end="endsolid s"), "non-finite"),
    "open.stl": (STL.format(v="0 1 0", end="endsolid s"), "not watertight: 3 open edges"),
    "cut.stl": (STL.format(v="0 1 0", end=""), "cut off"),
    "short.stl": (b"\0" * 80 + (900).to_bytes(4, "little") + b"\0" * 100, "announces 900 triangles"),
    "step.stl": ("ISO-10303-21;\nHEADER;\n", "is a STEP file, not STL"),
    "loose.obj": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not watertight"),
    "index.obj": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "points outside"),
    "shell.inp": (inp_text("S8R"), "S8R (shell)"),
    "words.inp": ("no deck\n", "no *NODE"),
    "missing.inp": (inp_text().replace("\n3, ", "\n77, "), "name node 3"),
    "shell.bdf": (BDF.replace("CTETRA         1", "CQUAD4         1"), "1 CQUAD4 (shell)"),
    "words.bdf": ("BEGIN BULK\nGRID,1,,zero,0.,0.\n", "card GRID"),
    "frontistr.msh": ("!HEADER\n!NODE\n1, 0, 0, 0\n", "is a FrontISTR mesh file"),
    "cut.msh": ("<half of linear.msh>", "cut.msh: "),
    "bomb.vtu": (f'<?xml version="1.0"?>{BOMB}]><VTKFile type="UnstructuredGrid">&k;</VTKFile>', "bomb.vtu"),
    "cut.vtu": ('<VTKFile type="UnstructuredGrid"><UnstructuredGrid>', "cut.vtu: "),
    "forged.vtk": (
        "# vtk DataFile Version 3.0\nx\nASCII\nDATASET UNSTRUCTURED_GRID\nPOINTS 99999999999 double\n0 0 0\n",
        "forged.vtk: ",
    ),
    "poly.vtk": (
        "# vtk DataFile Version 3.0\nx\nASCII\nDATASET POLYDATA\nPOINTS 0 float\n",
        "no unstructured grid",
    ),
    "part.xyz": ("0 0 0", "no reader for this suffix"),
    "torn.stl.gz": (b"\x1f\x8b\x08\x00\x00", "not a whole gzip"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_file_says_what_is_wrong_with_it(samples: Path, tmp_path: Path, name: str) -> None:
    content, text = BAD[name]
    if isinstance(content, str) and content.startswith("<half of "):
        whole = (samples / content[9:-1]).read_text()
        content = whole[: len(whole) // 2]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    unit = None if path.suffix == ".step" else "mm"
    with pytest.raises(GeometryError, match=re.escape(text)) as caught:
        load_part(path, length_unit=unit)
    assert name in str(caught.value)


def test_shells_and_polyhedra_in_vtu_are_refused_by_name(tmp_path: Path) -> None:
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    with pytest.raises(GeometryError, match=r"1 surface cells \(shells\) but no volume cells"):
        load_part(write_vtu(tmp_path / "s.vtu", square, [[0, 1, 2, 3]], 9), length_unit="mm")
    with pytest.raises(GeometryError, match=r"LagrangeQuadrilateral \(1\) have no reader"):
        load_part(write_vtu(tmp_path / "l.vtu", square, [[0, 1, 2, 3]], 70), length_unit="mm")
    with pytest.raises(GeometryError, match="points outside"):
        load_part(write_vtu(tmp_path / "i.vtu", square, [[0, 1, 2, 9]], 10), length_unit="mm")


def test_several_solids_are_counted(samples: Path) -> None:
    with pytest.raises(GeometryError, match="2 separate solids"):
        load_part(samples / "two.step")


def test_arguments_are_checked_before_anything_runs(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="argument length_unit, one of m, mm, cm, in, ft, um"):
        load_part(samples / "coarse.stl")
    with pytest.raises(GeometryError, match="length_unit 'parsec' is unknown"):
        load_part(samples / "coarse.stl", length_unit="parsec")
    with pytest.raises(GeometryError, match="no such file"):
        load_part(tmp_path / "absent.step")
    with pytest.raises(GeometryError, match="must be positive"):
        load_part(samples / "block.step", element_size_m=0.0)
    with pytest.raises(GeometryError, match="keeps its cells"):
        load_part(samples / "linear.msh", length_unit="mm", element_size_m=0.001)
    with pytest.raises(UnsupportedFormatError, match=r"\.step, \.stp"):
        load_part(tmp_path / "part.prt")


def test_limits(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLargeError, match="million points, the limit is 2 million"):
        load_part(samples / "block.step", element_size_m=2e-5)
    monkeypatch.setattr(part, "MOST_BYTES", 1000)
    with pytest.raises(TooLargeError, match="the limit is"):
        load_part(samples / "block.step")
    monkeypatch.setattr(part, "MOST_BYTES", 1_000_000)
    packed = tmp_path / "block.step.gz"
    packed.write_bytes(gzip.compress(b" " * 5_000_000))
    with pytest.raises(TooLargeError, match="unpacks to more than"):
        load_part(packed)


def test_a_reader_that_takes_too_long_is_stopped(samples: Path) -> None:
    with pytest.raises(GeometryError, match="no result after"):
        load_part(samples / "linear.msh", length_unit="mm", timeout_s=0.005)
