"""Writes small sound files of every format for the fuzz test; a program of its own, as gmsh and VTK live in children.

    python seed_writer.py DIRECTORY

One block with a hole, coarse, so that a file that survives its mutation is meshed quickly.
"""

import gzip
import sys
from pathlib import Path

import gmsh
import pyvista as pv
from vtkmodules.vtkIOLegacy import vtkUnstructuredGridWriter
from vtkmodules.vtkIOXML import vtkXMLUnstructuredGridWriter


def write_gmsh_formats(directory: Path) -> None:
    """STEP, STL, MSH, INP, BDF and a legacy VTK file."""
    gmsh.initialize()
    gmsh.option.setNumber("General.Terminal", 0)
    block = gmsh.model.occ.addBox(0, 0, 0, 40, 30, 10)
    drill = gmsh.model.occ.addCylinder(20, 15, 0, 0, 0, 10, 5)
    gmsh.model.occ.cut([(3, block)], [(3, drill)])
    gmsh.model.occ.synchronize()
    gmsh.write(str(directory / "block.step"))
    for _, tag in gmsh.model.getEntities(2):
        gmsh.model.addPhysicalGroup(2, [tag], name=f"face {tag}")
    gmsh.model.addPhysicalGroup(3, [tag for _, tag in gmsh.model.getEntities(3)], name="body")
    gmsh.option.setNumber("Mesh.MeshSizeMin", 12)
    gmsh.option.setNumber("Mesh.MeshSizeMax", 20)
    gmsh.model.mesh.generate(3)
    for name, version, binary in (
        ("text41.msh", 4.1, 0), ("binary41.msh", 4.1, 1), ("text22.msh", 2.2, 0), ("binary22.msh", 2.2, 1),
    ):  # fmt: skip
        gmsh.option.setNumber("Mesh.MshFileVersion", version)
        gmsh.option.setNumber("Mesh.Binary", binary)
        gmsh.write(str(directory / name))
    gmsh.option.setNumber("Mesh.Binary", 0)
    gmsh.write(str(directory / "groups.inp"))
    for name, form in (("free.bdf", 0), ("small.bdf", 1), ("large.nas", 2)):
        gmsh.option.setNumber("Mesh.BdfFieldFormat", form)
        gmsh.write(str(directory / name))
    gmsh.write(str(directory / "surface.stl"))
    gmsh.option.setNumber("Mesh.Binary", 1)
    gmsh.write(str(directory / "binary.stl"))
    gmsh.option.setNumber("Mesh.Binary", 0)
    gmsh.option.setNumber("Mesh.SaveAll", 1)
    gmsh.write(str(directory / "mesh.vtk"))
    gmsh.finalize()


def write_vtk_formats(directory: Path) -> None:
    """The volume mesh as VTU and VTK in all their encodings, its surface as OBJ."""
    grid = pv.read(directory / "mesh.vtk")
    solid = grid.extract_cells(grid.celltypes == 10)
    solid.clear_data()
    for name, mode, encoded, compressed in (
        ("text.vtu", 0, 0, 0), ("base64.vtu", 1, 0, 1), ("raw.vtu", 2, 0, 0), ("zlib.vtu", 2, 0, 1),
    ):  # fmt: skip
        writer = vtkXMLUnstructuredGridWriter()
        writer.SetFileName(str(directory / name))
        writer.SetInputData(solid)
        writer.SetDataMode(mode)
        writer.SetEncodeAppendedData(encoded)
        writer.SetCompressorTypeToZLib() if compressed else writer.SetCompressorTypeToNone()
        writer.Write()
    for name, binary in (("text.vtk", False), ("binary.vtk", True)):
        legacy = vtkUnstructuredGridWriter()
        legacy.SetFileName(str(directory / name))
        legacy.SetInputData(solid)
        legacy.SetFileTypeToBinary() if binary else legacy.SetFileTypeToASCII()
        legacy.Write()
    surface = solid.extract_surface(algorithm="dataset_surface").triangulate()
    lines = [f"v {x:g} {y:g} {z:g}" for x, y, z in surface.points.tolist()]
    lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in surface.faces.reshape(-1, 4)[:, 1:].tolist()]
    (directory / "surface.obj").write_text("\n".join(lines))


def main(directory: Path) -> None:
    write_gmsh_formats(directory)
    write_vtk_formats(directory)
    for name in ("text.vtu", "groups.inp"):
        (directory / f"{name}.gz").write_bytes(gzip.compress((directory / name).read_bytes(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
