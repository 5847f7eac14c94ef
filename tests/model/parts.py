"""A small part without any symmetry, the same part moved or numbered otherwise, and small models of random weights."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.selectors import NameSelector
from surrogate.geometry.tet_mesh import Face, TetMesh, Vector
from surrogate.model.anchor_path import AnchorFields, AnchorPath, anchor_fields, anchor_path, pad_factors
from surrogate.model.checkpoint import save_checkpoint
from surrogate.model.graph import PartGraph, build_part_graph
from surrogate.model.jepa import GraphJepa, ModelConfig
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.invariants import von_mises
from surrogate.physics.materials import Material
from surrogate.physics.problem import (
    Acceleration,
    Force,
    Load,
    LoadCase,
    LoadHistory,
    Pressure,
    Problem,
    Support,
    Traction,
)
from surrogate.physics.reduced import ReducedSettings, reduced_anchor
from tests.physics.meshes import STEEL, block

TINY = ModelConfig(
    width=16, cell_width=8, decoder_width=16, tokens=8, geometry_layers=1, predictor_layers=1, decoder_layers=1,
    dropout=0.0, gate=0.6,
)  # fmt: skip
_NAMES = {"root": (-1.0, 0.0, 0.0), "tip": (1.0, 0.0, 0.0), "top": (0.0, 0.0, 1.0)}
# The same cell and triangle seen in a mirror: the first two corners change places, and the mid-edge points with them.
_MIRRORED_CELL = [1, 0, 2, 3, 4, 6, 5, 8, 7, 9]
_MIRRORED_TRIANGLE = [0, 2, 1, 5, 4, 3]

CLIMB = LoadHistory("climb", np.array([[0.5, 0.0], [1.3, 0.2], [1.8, 0.3], [0.0, 0.0]]))
SWING = LoadHistory("swing", np.array([[0.3, 0.4], [0.9, 1.2], [-1.1, 0.9], [-1.5, -0.8]]))
# So hot that cells are watched, but nothing yields.
FIRM = LoadHistory("firm", np.array([[0.5, 0.0], [0.95, 0.0], [-0.9, 0.0]]))
MILD = LoadHistory("mild", np.array([[0.2, 0.1], [0.4, -0.3], [0.6, 0.0]]))


def wedge_mesh(divisions: tuple[int, int, int] = (4, 2, 2), slope: float = 0.35) -> TetMesh:
    """A tapered, sheared block of unequal cells, 0.1 m long: no two distances in it are the same."""

    def taper(x: FloatArray) -> FloatArray:
        along, across, up = x[:, 0] ** 1.15, x[:, 1] ** 1.1, x[:, 2] ** 1.2
        width, height = 1 - slope * along, 1 - 0.6 * slope * along
        return np.stack([0.1 * along, 0.034 * across * width + 0.011 * along, 0.026 * up * height], axis=1)

    mesh = block(divisions, mapping=taper)
    return replace(mesh, faces=tuple(replace(face, name=_name(face)) for face in mesh.faces))


def _name(face: Face) -> str | None:
    normal = np.array(face.normal if face.normal is not None else (0.0, 0.0, 0.0))
    return next((name for name, direction in _NAMES.items() if normal @ direction > 0.9), None)


def wedge_problem(
    histories: tuple[LoadHistory, ...] = (CLIMB, SWING), mesh: TetMesh | None = None, material: Material = STEEL
) -> Problem:
    """The wedge held at its root, bent by one case and twisted, pressed and shaken by another.

    Either case alone at factor 1 brings the hottest point to yield.
    """
    loads: tuple[tuple[Load, ...], ...] = (
        (Force(NameSelector("tip"), (0.3, 0.2, -1.0)),),
        (
            Traction(NameSelector("tip"), (100.0, 900.0, 0.0)),
            Pressure(NameSelector("top"), 300.0),
            Acceleration((0.0, 30.0, -50.0)),
        ),
    )
    cases = tuple(LoadCase(name, held) for name, held in zip(("bend", "shake"), loads, strict=True))
    unit = Problem(mesh or wedge_mesh(), material, (Support(NameSelector("root")),), cases, histories, "wedge")
    stress = elastic_anchor(unit).stress
    scales = [material.yield_strength_pa / float(von_mises(stress[:, :, case]).max()) for case in range(2)]
    return replace(unit, load_cases=tuple(_scaled_case(c, s) for c, s in zip(cases, scales, strict=True)))


def milder(problem: Problem, share: float = 0.75) -> Problem:
    """A share of every load; of three quarters the wedge yields well below its collapse."""
    histories = tuple(LoadHistory(h.name, share * h.factors) for h in problem.load_histories)
    return replace(problem, load_histories=histories)


@dataclass(frozen=True, eq=False)
class Anchored:
    """A problem with all that the physics says of it before the network speaks."""

    problem: Problem
    elastic: ElasticAnchor
    fields: AnchorFields
    path: AnchorPath

    def graph(self, tokens: int = TINY.tokens, gate: float = TINY.gate) -> PartGraph:
        """The part as the network reads it."""
        return build_part_graph(self.problem, self.fields, self.path, tokens, gate)


def anchored(problem: Problem, settings: ReducedSettings | None = None) -> Anchored:
    """The elastic and the reduced anchor of a problem, histories padded to one length."""
    elastic = elastic_anchor(problem)
    factors = pad_factors([history.factors for history in problem.load_histories])
    path = anchor_path(elastic, factors, reduced_anchor(elastic, factors, settings))
    return Anchored(problem, elastic, anchor_fields(elastic), path)


def _scaled_case(case: LoadCase, scale: float) -> LoadCase:
    return replace(case, loads=tuple(_scaled(load, scale, scale, scale) for load in case.loads))


def _scaled(load: Load, force: float, stress: float, acceleration: float) -> Load:
    match load:
        case Force():
            return replace(load, force_n=_vector(force * np.array(load.force_n)))
        case Traction():
            return replace(load, traction_pa=_vector(stress * np.array(load.traction_pa)))
        case Pressure():
            return replace(load, pressure_pa=load.pressure_pa * stress)
        case Acceleration():
            return replace(load, acceleration_m_s2=_vector(acceleration * np.array(load.acceleration_m_s2)))


def _turned(load: Load, matrix: FloatArray) -> Load:
    match load:
        case Force():
            return replace(load, force_n=_vector(matrix @ load.force_n))
        case Traction():
            return replace(load, traction_pa=_vector(matrix @ load.traction_pa))
        case Acceleration():
            return replace(load, acceleration_m_s2=_vector(matrix @ load.acceleration_m_s2))
        case Pressure():
            return load


def _vector(values: FloatArray) -> Vector:
    x, y, z = np.asarray(values, float).tolist()
    return x, y, z


def turned(problem: Problem, matrix: FloatArray) -> Problem:
    """The problem rotated, or mirrored where the matrix [3, 3] has determinant -1."""
    mesh, mirror = problem.mesh, np.linalg.det(matrix) < 0

    def face(old: Face) -> Face:
        normal = None if old.normal is None else _vector(matrix @ old.normal)
        axis = None if old.axis is None else _vector(matrix @ old.axis)
        return replace(old, centroid=_vector(matrix @ old.centroid), normal=normal, axis=axis)

    cells = mesh.cells[:, _MIRRORED_CELL] if mirror else mesh.cells
    triangles = mesh.triangles[:, _MIRRORED_TRIANGLE] if mirror else mesh.triangles
    moved = TetMesh(mesh.points @ matrix.T, cells, triangles, mesh.triangle_face, tuple(map(face, mesh.faces)))
    cases = tuple(replace(c, loads=tuple(_turned(load, matrix) for load in c.loads)) for c in problem.load_cases)
    return replace(problem, mesh=moved, load_cases=cases)


def enlarged(problem: Problem, factor: float) -> Problem:
    """The problem with all lengths times a factor and the loads such that every stress is the same."""
    mesh = problem.mesh
    faces = tuple(
        replace(
            face,
            area=face.area * factor**2,
            centroid=_vector(factor * np.array(face.centroid)),
            radius=None if face.radius is None else factor * face.radius,
        )
        for face in mesh.faces
    )
    larger = TetMesh(factor * mesh.points, mesh.cells, mesh.triangles, mesh.triangle_face, faces)
    cases = tuple(
        replace(c, loads=tuple(_scaled(load, factor**2, 1.0, 1 / factor) for load in c.loads))
        for c in problem.load_cases
    )
    return replace(problem, mesh=larger, load_cases=cases)


def restressed(problem: Problem, factor: float) -> Problem:
    """The problem in another unit of stress: moduli, strengths and loads times a factor, every strain the same."""
    old = problem.material
    material = replace(
        old,
        youngs_modulus_pa=factor * old.youngs_modulus_pa,
        yield_strength_pa=factor * old.yield_strength_pa,
        ultimate_strength_pa=factor * old.ultimate_strength_pa,
        hardening=old.hardening.scaled(factor),
    )
    cases = tuple(
        replace(c, loads=tuple(_scaled(load, factor, factor, factor) for load in c.loads)) for c in problem.load_cases
    )
    return replace(problem, material=material, load_cases=cases)


@dataclass(frozen=True)
class Renumbered:
    """A problem with its points and cells in another order: new point i is old point `points[i]`."""

    problem: Problem
    points: IntArray
    cells: IntArray


def renumbered(problem: Problem, seed: int) -> Renumbered:
    """The same problem with points, cells and boundary triangles numbered at random."""
    random, mesh = np.random.default_rng(seed), problem.mesh
    points, cells = random.permutation(len(mesh.points)), random.permutation(len(mesh.cells))
    triangles, place = random.permutation(len(mesh.triangles)), np.argsort(points)
    other = TetMesh(
        mesh.points[points],
        place[mesh.cells[cells]],
        place[mesh.triangles[triangles]],
        mesh.triangle_face[triangles],
        mesh.faces,
    )
    return Renumbered(replace(problem, mesh=other), points, cells)


def turned_tensor(tensor: FloatArray, matrix: FloatArray, shear: float = 1.0) -> FloatArray:
    """Symmetric tensors [..., 6] in the turned frame; `shear` is 2 for engineering strain."""
    xx, yy, zz, xy, yz, zx = np.moveaxis(tensor / np.array([1, 1, 1, shear, shear, shear]), -1, 0)
    full = np.stack([xx, xy, zx, xy, yy, yz, zx, yz, zz], axis=-1).reshape(*tensor.shape[:-1], 3, 3)
    full = matrix @ full @ matrix.T
    parts = [full[..., i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))]
    return np.stack(parts, axis=-1) * np.array([1, 1, 1, shear, shear, shear])


def fresh_model(config: ModelConfig = TINY, seed: int = 0) -> GraphJepa:
    """A model as training starts with it."""
    torch.manual_seed(seed)
    return GraphJepa(config).eval().requires_grad_(False)


def lively_model(config: ModelConfig = TINY, seed: int = 0, spread: float = 0.12) -> GraphJepa:
    """A model of random weights in which no part is silent, not even those that start at zero."""
    model, generator = fresh_model(config, seed), torch.Generator().manual_seed(seed + 1)
    for parameter in model.parameters():
        parameter += spread * torch.randn(parameter.shape, generator=generator)
    return model


@cache
def shared_lively_model() -> GraphJepa:
    """One lively model, never to be changed."""
    return lively_model()


def save_model(folder: Path, model: GraphJepa, **description: object) -> str:
    """A model folder as `predict` takes it."""
    save_checkpoint(folder, model, {"version": "1", "summary": "random weights", **description})
    return str(folder)
