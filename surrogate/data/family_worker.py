"""The meshing subprocess of a sample: `python -m surrogate.data.family_worker FAMILY SEED MESH_FILE [COARSE_FILE]`."""

import os
import sys
from pathlib import Path

import gmsh

from surrogate.data.families import family_named, sample_generator
from surrogate.data.occ_mesher import MeshTarget, mesh_coarser, mesh_to_target
from surrogate.geometry.gmsh_export import save_current_mesh


def mesh_sample(family_name: str, seed: int, path: Path, coarse_path: Path | None = None) -> None:
    """Builds, meshes and writes one sample, and the same solid once more with larger elements.

    The fine mesh is whole under its name before the coarse one is begun, so that it outlives a failure of that.

    Raises:
        GeometryError: the drawn solid or a mesh failed.
    """
    family, target = family_named(family_name), MeshTarget()
    generator = sample_generator(family, seed)
    parameters = {name: float(value) for name, value in family.draw(generator).items()}
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.model.add(family.name)
        thickness = family.build(parameters)
        factor = mesh_to_target(thickness, generator, target)
        _save(path)
        if coarse_path is not None:
            mesh_coarser(thickness, factor, target)
            _save(coarse_path)
    finally:
        gmsh.finalize()


def _save(path: Path) -> None:
    temporary = path.with_name(f"unfinished-{path.name}")
    save_current_mesh(temporary)
    os.replace(temporary, path)


if __name__ == "__main__":
    mesh_sample(sys.argv[1], int(sys.argv[2]), *(Path(path) for path in sys.argv[3:5]))
