"""One solved part as one HDF5 file.

Shape letters: N points, C cells, Q = 4 quadrature points a cell, K load cases, H histories, T steps, P quadrature
points that yield in any history at any step.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from surrogate.errors import InputError
from surrogate.fields import IntArray, StepScalars
from surrogate.geometry.tet_mesh import Face, TetMesh
from surrogate.physics.problem import Problem
from surrogate.physics.problem_file import build_problem, parse_problem_spec, problem_spec

SCHEMA_VERSION = 1
SingleArray = NDArray[np.float32]
HalfArray = NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class Simulation:
    """A part, its problem and what the reference solver answered.

    Attributes:
        family: the part's family.
        seed: the sample's seed within the family.
        problem: with the surviving histories only.
        elastic_displacement: of each load case at factor 1 [K, N, 3], m.
        elastic_stress: of each load case at factor 1 [K, C, Q, 6], Pa.
        displacement: [H, T, N, 3], m.
        yielded: flat indices c * Q + q of the quadrature points that ever yield [P], ascending.
        plastic_strain: at those [H, T, P, 6], engineering shear.
        equivalent_plastic_strain: at those [H, T, P].
        scalars: arrays [H, T] (`peak_at_m` [H, T, 3]).
        cell_von_mises: largest von Mises stress of each cell over the yield strength [H, T, C].
        statistics: seconds by stage, back-substitutions, and counts of rejected histories ("rejected: reason").
        versions: of the package and of what its numbers depend on.
    """

    family: str
    seed: int
    problem: Problem
    elastic_displacement: SingleArray
    elastic_stress: SingleArray
    displacement: SingleArray
    yielded: IntArray
    plastic_strain: SingleArray
    equivalent_plastic_strain: SingleArray
    scalars: StepScalars
    cell_von_mises: HalfArray
    statistics: Mapping[str, float]
    versions: Mapping[str, str]

    @property
    def history_count(self) -> int:
        """H."""
        return len(self.problem.load_histories)


_FIELDS = (
    "elastic_displacement", "elastic_stress", "displacement", "yielded",
    "plastic_strain", "equivalent_plastic_strain", "cell_von_mises",
)  # fmt: skip
_MESH = ("points", "cells", "triangles", "triangle_face")


def sample_name(family: str, seed: int) -> str:
    """File name of a sample, without its folder."""
    return f"{family}-{seed:06d}.h5"


def save_simulation(simulation: Simulation, path: Path) -> None:
    """Writes a simulation under a temporary name and renames it, so that a file of this name is always whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with h5py.File(temporary, "w", track_order=True) as file:
            _write(simulation, file)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _write(simulation: Simulation, file: h5py.File) -> None:
    mesh = simulation.problem.mesh
    file.attrs["schema"] = SCHEMA_VERSION
    file.attrs["family"], file.attrs["seed"] = simulation.family, simulation.seed
    file.attrs["problem_name"] = simulation.problem.name
    file.attrs["problem"] = problem_spec(simulation.problem).model_dump_json(exclude_none=True)
    file.attrs["faces"] = json.dumps([asdict(face) for face in mesh.faces])
    file.attrs["statistics"] = json.dumps(dict(simulation.statistics))
    file.attrs["versions"] = json.dumps(dict(simulation.versions))
    factors = np.stack([history.factors for history in simulation.problem.load_histories])
    file.create_dataset("factors", data=factors, track_times=False)
    for name in _MESH:
        _store(file, f"mesh/{name}", getattr(mesh, name))
    for field in fields(StepScalars):
        _store(file, f"scalars/{field.name}", getattr(simulation.scalars, field.name))
    for name in _FIELDS:
        _store(file, name, getattr(simulation, name))


def _store(file: h5py.File, name: str, array: NDArray[np.generic]) -> None:
    """Arrays of some size are compressed lightly, since training reads them again and again."""
    if array.size < 1000:
        file.create_dataset(name, data=array, track_times=False)
        return
    # One chunk a step of a history for [H, T, ...] arrays, so that single steps can be read.
    chunks = (1, 1, *array.shape[2:]) if array.ndim >= 3 and name in _FIELDS[2:] else array.shape
    file.create_dataset(name, data=array, chunks=chunks, compression="lzf", shuffle=True, track_times=False)


def load_simulation(path: Path) -> Simulation:
    """Reads a simulation.

    Raises:
        InputError: not a simulation file, or of another schema.
    """
    try:
        with h5py.File(path, "r") as file:
            return _read(file)
    except (OSError, KeyError) as error:
        raise InputError(f"{path.name} is not a simulation file ({error}); run the campaign again") from None


def read_mesh(file: h5py.File) -> TetMesh:
    """The mesh of an open simulation file."""
    faces = tuple(_face(entry) for entry in json.loads(file.attrs["faces"]))
    points, cells, triangles, triangle_face = (file[f"mesh/{name}"][()] for name in _MESH)
    return TetMesh(points, cells, triangles, triangle_face, faces)


def _face(entry: Mapping[str, object]) -> Face:
    # JSON turns the vectors' tuples into lists.
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return Face(**values)  # type: ignore[arg-type]


def _read(file: h5py.File) -> Simulation:
    if file.attrs["schema"] != SCHEMA_VERSION:
        raise InputError(f"simulation schema {file.attrs['schema']}, expected {SCHEMA_VERSION}; run the campaign again")
    spec = parse_problem_spec(json.loads(file.attrs["problem"]))
    problem = build_problem(spec, read_mesh(file), name=str(file.attrs["problem_name"]))
    scalars = StepScalars(*(file[f"scalars/{field.name}"][()] for field in fields(StepScalars)))
    arrays = {name: file[name][()] for name in _FIELDS}
    return Simulation(
        family=str(file.attrs["family"]),
        seed=int(file.attrs["seed"]),
        problem=problem,
        scalars=scalars,
        statistics=json.loads(file.attrs["statistics"]),
        versions=json.loads(file.attrs["versions"]),
        **arrays,
    )
