"""Writes the sample files of these tests with gmsh; run as a program, because gmsh may take its process along.

A block of 40 x 30 x 10 mm with a through hole of 5 mm radius along z, named bolt, and the end at x = 0 named clamp.
"""

import sys
from pathlib import Path

import gmsh


def main(directory: Path) -> None:
    gmsh.initialize()
    gmsh.option.setNumber("General.Terminal", 0)
    block = gmsh.model.occ.addBox(0, 0, 0, 40, 30, 10)
    drill = gmsh.model.occ.addCylinder(20, 15, 0, 0, 0, 10, 5)
    gmsh.model.occ.cut([(3, block)], [(3, drill)])
    gmsh.model.occ.synchronize()
    gmsh.write(str(directory / "block.step"))
    kinds = {tag: gmsh.model.getType(2, tag) for _, tag in gmsh.model.getEntities(2)}
    hole = [tag for tag, kind in kinds.items() if kind == "Cylinder"]
    clamp = [tag for tag in kinds if gmsh.model.occ.getCenterOfMass(2, tag)[0] < 1e-6]
    gmsh.model.addPhysicalGroup(2, hole, name="bolt")
    gmsh.model.addPhysicalGroup(2, clamp, name="clamp")
    gmsh.model.addPhysicalGroup(3, [tag for _, tag in gmsh.model.getEntities(3)], name="body")
    gmsh.option.setNumber("Mesh.MeshSizeMax", 6)
    gmsh.option.setNumber("Mesh.MeshSizeFromCurvature", 16)
    gmsh.model.mesh.generate(3)
    gmsh.write(str(directory / "linear.msh"))
    gmsh.write(str(directory / "linear.inp"))
    gmsh.option.setNumber("Mesh.SaveAll", 1)
    gmsh.write(str(directory / "linear.vtk"))
    gmsh.write(str(directory / "linear.bdf"))
    gmsh.option.setNumber("Mesh.SaveAll", 0)
    gmsh.model.mesh.setOrder(2)
    gmsh.option.setNumber("Mesh.MshFileVersion", 2.2)
    gmsh.write(str(directory / "quadratic.msh"))
    gmsh.clear()
    gmsh.model.occ.importShapes(str(directory / "block.step"))
    gmsh.model.occ.synchronize()
    gmsh.option.setNumber("Mesh.MeshSizeFromCurvature", 12)
    gmsh.option.setNumber("Mesh.MeshSizeMax", 100)
    gmsh.model.mesh.generate(2)
    gmsh.write(str(directory / "coarse.stl"))
    gmsh.clear()
    for x in (0, 30):
        gmsh.model.occ.addBox(x, 0, 0, 10, 10, 10)
    gmsh.model.occ.synchronize()
    gmsh.write(str(directory / "two.step"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
