"""Child process: an unstructured mesh of a block, finer at one corner. `python gmsh_block.py OUT.npz`."""

import sys
from pathlib import Path

import gmsh

from surrogate.geometry.gmsh_export import mesh_current_model, save_current_mesh

if __name__ == "__main__":
    gmsh.initialize()
    gmsh.option.setNumber("General.Terminal", 0)
    gmsh.model.occ.addBox(0, 0, 0, 1, 0.8, 0.6)
    gmsh.model.occ.synchronize()
    gmsh.model.mesh.setSize([(0, gmsh.model.getEntities(0)[0][1])], 0.08)
    mesh_current_model(0.25)
    save_current_mesh(Path(sys.argv[1]))
    gmsh.finalize()
