"""Meshes of a sample: the fine one, and for a share of the samples a coarse one of the same solid."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from surrogate.data.part_family import PartFamily
from surrogate.data.splits import hashed_place
from surrogate.errors import SurrogateError
from surrogate.geometry.isolation import run_isolated
from surrogate.geometry.saved_mesh import load_saved_mesh
from surrogate.geometry.tet_mesh import TetMesh

MESHING_SECONDS = 60.0
MESHING_BYTES = 4 * 2**30
# Small holes and fillets bound how coarse a mesh can become; beyond this share of the points the pair teaches little.
COARSE_POINTS_AT_MOST = 0.6


@dataclass(frozen=True, eq=False)
class MeshPair:
    """A part's mesh and, where asked for and made, a mesh of about three times its element size.

    Attributes:
        fine: the sample's mesh.
        coarse: the coarse one.
        coarse_failure: why there is none although it was asked for; empty elsewhere.
    """

    fine: TetMesh
    coarse: TetMesh | None = None
    coarse_failure: str = ""


def has_coarse_pair(family: str, seed: int, share: float) -> bool:
    """Whether a sample belongs to the share with a coarse mesh; fixed by its family and seed alone."""
    return hashed_place(f"coarse:{family}:{seed}") < share


def generate_mesh(family: PartFamily, seed: int) -> TetMesh:
    """The mesh of a sample.

    Raises:
        GeometryError: the drawn solid or its mesh failed; another seed will do.
        InfrastructureError: the mesher died or ran out of time.
    """
    return generate_mesh_pair(family, seed, coarse=False).fine


def generate_mesh_pair(family: PartFamily, seed: int, coarse: bool) -> MeshPair:
    """The meshes of a sample from one run of gmsh in a subprocess; a coarse mesh that fails is told, not raised.

    The fine mesh is the same with and without a coarse one.

    Raises:
        GeometryError: the drawn solid or its fine mesh failed; another seed will do.
        InfrastructureError: the mesher died or ran out of time.
    """
    with tempfile.TemporaryDirectory(prefix="surrogate-family-") as directory:
        fine_path, coarse_path = Path(directory) / "fine.npz", Path(directory) / "coarse.npz"
        arguments = [family.name, str(seed), str(fine_path), *([str(coarse_path)] if coarse else [])]
        failure = ""
        try:
            run_isolated(
                "surrogate.data.family_worker",
                arguments,
                writes=(fine_path.parent,),
                timeout_s=MESHING_SECONDS,
                memory_bytes=MESHING_BYTES,
            )
        except SurrogateError as error:
            if not fine_path.exists():
                raise
            failure = str(error)
        fine = load_saved_mesh(fine_path)
        if not coarse or failure:
            return MeshPair(fine, None, failure)
        try:
            coarser = load_saved_mesh(coarse_path)
        except SurrogateError as error:
            return MeshPair(fine, None, str(error))
    if len(coarser.points) > COARSE_POINTS_AT_MOST * len(fine.points):
        return MeshPair(fine, None, f"{len(coarser.points)} points are not much fewer than {len(fine.points)}")
    return MeshPair(fine, coarser)
