"""The meshing subprocess of a sample: `python -m surrogate.data.family_worker FAMILY SEED MESH_FILE`."""

import sys
from pathlib import Path

import gmsh

from surrogate.data.families import family_named, sample_generator
from surrogate.data.occ_mesher import MeshTarget, mesh_to_target
from surrogate.geometry.gmsh_export import save_current_mesh


def mesh_sample(family_name: str, seed: int, path: Path) -> None:
    """Builds, meshes and writes one sample.

    Raises:
        GeometryError: the drawn solid or its mesh failed.
    """
    family = family_named(family_name)
    generator = sample_generator(family, seed)
    parameters = {name: float(value) for name, value in family.draw(generator).items()}
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.model.add(family.name)
        thickness = family.build(parameters)
        mesh_to_target(thickness, generator, MeshTarget())
        save_current_mesh(path)
    finally:
        gmsh.finalize()


if __name__ == "__main__":
    mesh_sample(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
