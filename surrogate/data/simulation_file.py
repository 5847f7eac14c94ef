"""One solved part as one HDF5 file.

Shape letters: N points, C cells, Q = 4 quadrature points a cell, K load cases, H histories, T steps, P quadrature
points that yield in any history at any step. Files hold nothing that depends on when or how fast they were made: the
same sample gives the same bytes.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from surrogate.errors import InputError
from surrogate.fields import FloatArray, IntArray, StepBalance, StepScalars
from surrogate.geometry.tet_mesh import Face, TetMesh
from surrogate.physics.problem import Problem
from surrogate.physics.problem_file import build_problem, parse_problem_spec, problem_spec

SCHEMA_VERSION = 2
SingleArray = NDArray[np.float32]
HalfArray = NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class CoarseAnchor:
    """The elastic answer to the same load cases on a coarser mesh of the same solid (N, C of that mesh).

    Attributes:
        mesh: with elements about three times as large; faces carry the same names.
        elastic_displacement: of each load case at factor 1 [K, N, 3], m.
        elastic_stress: [K, C, Q, 6], Pa.
    """

    mesh: TetMesh
    elastic_displacement: SingleArray
    elastic_stress: SingleArray


@dataclass(frozen=True, eq=False)
class Simulation:
    """A part, its problem and what the reference solver answered.

    Attributes:
        family: the part's family.
        seed: the sample's seed within the family.
        problem: with the surviving histories only.
        elastic_displacement: of each load case at factor 1 [K, N, 3], m.
        elastic_stress: of each load case at factor 1 [K, C, Q, 6], Pa.
        inelastic_displacement: displacement less that of the elastic part under the same loads [H, T, N, 3], over
            `inelastic_scale`. Half precision of what plastic flow adds is finer than the solver's tolerance.
        inelastic_scale: its largest component [H, T], m; one where there is none.
        yielded: flat indices c * Q + q of the quadrature points that ever yield [P], ascending.
        plastic_strain: at those [H, T, P, 6], engineering shear.
        equivalent_plastic_strain: at those [H, T, P].
        scalars: arrays [H, T] (`peak_at_m` [H, T, 3]).
        balance: arrays [H, T]; NaN for results that were not solved here.
        cell_von_mises: largest von Mises stress of each cell over the yield strength [H, T, C].
        statistics: back-substitutions, and counts of rejected histories ("rejected: reason").
        versions: of the package and of what its numbers depend on.
        coarse: the elastic answer on a coarse mesh, for a share of the samples.
        coarse_failure: why a sample of that share has none; empty elsewhere.
        seconds: by stage, as it was made; not in the file, so empty in what was read.
    """

    family: str
    seed: int
    problem: Problem
    elastic_displacement: SingleArray
    elastic_stress: SingleArray
    inelastic_displacement: HalfArray
    inelastic_scale: FloatArray
    yielded: IntArray
    plastic_strain: SingleArray
    equivalent_plastic_strain: SingleArray
    scalars: StepScalars
    balance: StepBalance
    cell_von_mises: HalfArray
    statistics: Mapping[str, float]
    versions: Mapping[str, str]
    coarse: CoarseAnchor | None = None
    coarse_failure: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def displacement(self) -> SingleArray:
        """[H, T, N, 3], m."""
        factors = np.stack([history.factors for history in self.problem.load_histories])
        elastic = np.tensordot(factors, self.elastic_displacement, axes=1)
        added = self.inelastic_displacement.astype(np.float64) * self.inelastic_scale[:, :, None, None]
        return np.asarray(elastic + added, dtype=np.float32)

    @property
    def history_count(self) -> int:
        """H."""
        return len(self.problem.load_histories)


_FIELDS = (
    "elastic_displacement", "elastic_stress", "inelastic_displacement", "inelastic_scale", "yielded",
    "plastic_strain", "equivalent_plastic_strain", "cell_von_mises",
)  # fmt: skip
_BY_STEP = ("inelastic_displacement", "plastic_strain", "equivalent_plastic_strain", "cell_von_mises")
_MESH = ("points", "cells", "triangles", "triangle_face")
_COARSE = ("elastic_displacement", "elastic_stress")


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
    file.attrs["schema"] = SCHEMA_VERSION
    file.attrs["family"], file.attrs["seed"] = simulation.family, simulation.seed
    file.attrs["problem_name"] = simulation.problem.name
    file.attrs["problem"] = problem_spec(simulation.problem).model_dump_json(exclude_none=True)
    file.attrs["coarse_failure"] = simulation.coarse_failure
    file.attrs["statistics"] = json.dumps(dict(simulation.statistics))
    file.attrs["versions"] = json.dumps(dict(simulation.versions))
    factors = np.stack([history.factors for history in simulation.problem.load_histories])
    file.create_dataset("factors", data=factors, track_times=False)
    _write_mesh(file.create_group("mesh", track_order=True), simulation.problem.mesh)
    for part, record in (("scalars", simulation.scalars), ("balance", simulation.balance)):
        for entry in fields(record):
            _store(file, f"{part}/{entry.name}", getattr(record, entry.name))
    for name in _FIELDS:
        _store(file, name, getattr(simulation, name))
    if simulation.coarse is not None:
        group = file.create_group("coarse", track_order=True)
        _write_mesh(group, simulation.coarse.mesh)
        for name in _COARSE:
            _store(group, name, getattr(simulation.coarse, name))


def _write_mesh(group: h5py.Group, mesh: TetMesh) -> None:
    group.attrs["faces"] = json.dumps([asdict(face) for face in mesh.faces])
    for name in _MESH:
        _store(group, name, getattr(mesh, name))


def _store(group: h5py.Group, name: str, array: NDArray[np.generic]) -> None:
    """Arrays of some size are compressed lightly, since training reads them again and again."""
    if array.size < 1000:
        group.create_dataset(name, data=array, track_times=False)
        return
    # One chunk a history for [H, T, ...] arrays: small enough to read one history alone, and few.
    chunks = (1, *array.shape[1:]) if name in _BY_STEP else array.shape
    group.create_dataset(name, data=array, chunks=chunks, compression="lzf", shuffle=True, track_times=False)


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
    return _read_mesh(file["mesh"])


def _read_mesh(group: h5py.Group) -> TetMesh:
    faces = tuple(_face(entry) for entry in json.loads(group.attrs["faces"]))
    points, cells, triangles, triangle_face = (group[name][()] for name in _MESH)
    return TetMesh(points, cells, triangles, triangle_face, faces)


def _face(entry: Mapping[str, object]) -> Face:
    # JSON turns the vectors' tuples into lists.
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return Face(**values)  # type: ignore[arg-type]


def _read(file: h5py.File) -> Simulation:
    if file.attrs["schema"] != SCHEMA_VERSION:
        raise InputError(
            f"a simulation of schema {file.attrs['schema']}, this version reads schema {SCHEMA_VERSION}; "
            "run the campaign again in a new directory"
        )
    spec = parse_problem_spec(json.loads(file.attrs["problem"]))
    problem = build_problem(spec, read_mesh(file), name=str(file.attrs["problem_name"]))
    scalars = StepScalars(*(file[f"scalars/{entry.name}"][()] for entry in fields(StepScalars)))
    balance = StepBalance(*(file[f"balance/{entry.name}"][()] for entry in fields(StepBalance)))
    arrays = {name: file[name][()] for name in _FIELDS}
    coarse = None
    if "coarse" in file:
        coarse = CoarseAnchor(_read_mesh(file["coarse"]), *(file["coarse"][name][()] for name in _COARSE))
    return Simulation(
        family=str(file.attrs["family"]),
        seed=int(file.attrs["seed"]),
        problem=problem,
        scalars=scalars,
        balance=balance,
        statistics=json.loads(file.attrs["statistics"]),
        versions=json.loads(file.attrs["versions"]),
        coarse=coarse,
        coarse_failure=str(file.attrs["coarse_failure"]),
        **arrays,
    )
