"""A simulation as the learned competitors read it: the graph of the corner points, loads, supports, history, truth.

Everything is dimensionless: lengths over the part's radius of gyration, stress over the yield strength, strain over the
yield strain. Shape letters: N corner points, E directed edges, C cells, P quadrature points that ever yield, H
histories, T steps, K load cases.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from scipy.spatial import cKDTree
from torch import Tensor

from surrogate.data.dataset import SimulationEntry
from surrogate.data.simulation_file import Simulation, load_simulation
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.selectors import select_faces
from surrogate.geometry.tet_mesh import TET_EDGES, TetMesh
from surrogate.physics.loads import nodal_forces
from surrogate.physics.materials import Material
from surrogate.physics.problem import Acceleration, Problem
from surrogate.physics.supports import constrained_directions
from surrogate.physics.tet_element import QUADRATURE_BARYCENTRIC, gradients_and_volumes

FORMAT = 1
# Engineering to tensor shear.
HALVE_SHEAR = np.array([1, 1, 1, 0.5, 0.5, 0.5])
NODE_FEATURES = 8
MATERIAL_FEATURES = 6
# Plastic strains, in yield strains, at which the networks read the hardening law.
_HARDENING_AT = (1.0, 4.0, 16.0, 64.0)
# Loads of slender parts are a thousandth of what yields in them; the logarithm begins there.
_LOAD_SCALE, _LOAD_UNIT = 1000.0, 3.0


@dataclass(frozen=True)
class RivalPart:
    """One part; float32 but for indices and the large fields, which are in half precision.

    Attributes:
        positions: of the corner points about the centroid [N, 3].
        edges: sender and receiver of each directed edge [2, E].
        cells: corner points of each cell [C, 4].
        share: share of the part's volume of each quadrature point [C, 4].
        node_features: log distance to support, load and surface, surface flag, log size, held along x y z [N, 8].
        material: 100 * yield strain, Poisson's ratio, rise of the yield stress at four plastic strains [6].
        case_loads: force of each load case at the corner points over yield strength and tributary area [K, N, 3].
        case_wrench: its total force and moment about the centroid, over yield strength and size [K, 6].
        case_stress: elastic stress of each load case [K, C, 4, 6], half precision; only for rivals with the anchor.
        factors: [H, T, K].
        yielded: flat quadrature points that ever yield [P].
        strain: true plastic strain there [H, T, P, 6], tensor shear, half precision.
        equivalent: true equivalent plastic strain there [H, T, P], half precision.
    """

    positions: Tensor
    edges: Tensor
    cells: Tensor
    share: Tensor
    node_features: Tensor
    material: Tensor
    case_loads: Tensor
    case_wrench: Tensor
    case_stress: Tensor
    factors: Tensor
    yielded: Tensor
    strain: Tensor
    equivalent: Tensor

    def truth(self, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Plastic strain [S, C, 4, 6] and its equivalent [S, C, 4] in states given as history and step [S, 2].

        Step -1 is the virgin state.
        """
        history, step = wanted.unbind(1)
        known = (step >= 0).float()[:, None]
        strain = torch.zeros(len(wanted), self.share.numel(), 6)
        equivalent = torch.zeros(len(wanted), self.share.numel())
        strain[:, self.yielded] = self.strain[history, step.clamp(min=0)].float() * known[..., None]
        equivalent[:, self.yielded] = self.equivalent[history, step.clamp(min=0)].float() * known
        return strain.view(len(wanted), *self.share.shape, 6), equivalent.view(len(wanted), *self.share.shape)

    def factors_at(self, wanted: Tensor) -> Tensor:
        """Load factors [S, K] of states given as history and step [S, 2]; step -1 is unloaded."""
        history, step = wanted.unbind(1)
        return self.factors[history, step.clamp(min=0)] * (step >= 0).float()[:, None]


def prepare_rival(simulation: Simulation) -> RivalPart:
    """The part of a simulation as the rivals read it."""
    problem = simulation.problem
    mesh, material = problem.mesh, problem.material
    unit_stress, unit_strain = material.yield_strength_pa, material.yield_strength_pa / material.youngs_modulus_pa
    _, volumes = gradients_and_volumes(mesh.points, mesh.cells)
    corners, cells = np.unique(mesh.cells[:, :4], return_inverse=True)
    cells = cells.reshape(-1, 4)
    weight = volumes @ QUADRATURE_BARYCENTRIC  # [C, 4]: volume that each corner stands for
    tributary = np.zeros(len(corners))
    np.add.at(tributary, cells, weight)
    places = mesh.points[corners]
    centre = np.average(places, axis=0, weights=tributary)
    size = float(np.sqrt(np.average(((places - centre) ** 2).sum(axis=1), weights=tributary)))
    forces = _on_corners(nodal_forces(problem.load_cases, mesh, material.density_kg_m3, volumes), mesh, corners)
    moments = np.cross(places - centre, forces).sum(axis=1) / size
    wrench = np.concatenate([forces.sum(axis=1), moments], axis=1) / (unit_stress * size**2)
    positions = (places - centre) / size

    def as_float(array: NDArray[np.floating]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))

    return RivalPart(
        positions=as_float(positions),
        edges=_edges(cells),
        cells=torch.from_numpy(cells.astype(np.int64)),
        share=as_float(volumes / volumes.sum()),
        node_features=as_float(_node_features(problem, positions, corners, centre, size, tributary)),
        material=as_float(_material_features(material)),
        case_loads=as_float(forces / (unit_stress * np.cbrt(tributary)[:, None] ** 2)),
        case_wrench=as_float(wrench),
        case_stress=as_float(simulation.elastic_stress / unit_stress).half(),
        factors=as_float(np.stack([history.factors for history in problem.load_histories])),
        yielded=torch.from_numpy(simulation.yielded.astype(np.int64)),
        strain=as_float(simulation.plastic_strain * (HALVE_SHEAR / unit_strain)).half(),
        equivalent=as_float(simulation.equivalent_plastic_strain / unit_strain).half(),
    )


def _on_corners(forces: FloatArray, mesh: TetMesh, corners: IntArray) -> FloatArray:
    """Nodal forces [K, N10, 3] with those of mid-edge points halved between the ends of the edge [K, N, 3]."""
    ends = np.zeros((len(mesh.points), 2), np.int64)
    for middle, (first, second) in enumerate(TET_EDGES, start=4):
        ends[mesh.cells[:, middle]] = mesh.cells[:, [first, second]]
    middles = np.unique(mesh.cells[:, 4:])
    total = forces.copy()
    for end in range(2):
        for case, own in zip(total, forces, strict=True):
            np.add.at(case, ends[middles, end], 0.5 * own[middles])
    return total[:, corners]


def _edges(cells: IntArray) -> Tensor:
    pairs = np.concatenate([cells[:, pair] for pair in TET_EDGES])
    unique = np.unique(np.sort(pairs, axis=1), axis=0)
    return torch.from_numpy(np.concatenate([unique, unique[:, ::-1]]).T.astype(np.int64).copy())


def _node_features(
    problem: Problem, positions: FloatArray, corners: IntArray, centre: FloatArray, size: float, tributary: FloatArray
) -> FloatArray:
    mesh = problem.mesh

    def log_distance(points: IntArray) -> FloatArray:
        if not len(points):
            return np.zeros(len(positions))
        found = cKDTree((mesh.points[points] - centre) / size).query(positions)[0]
        return np.asarray(np.log(found + 1e-2))

    held, directions = constrained_directions(mesh, problem.supports)
    loaded = {
        face
        for case in problem.load_cases
        for load in case.loads
        if not isinstance(load, Acceleration)
        for face in select_faces(mesh, load.faces)
    }
    surface = np.unique(mesh.triangles)
    fixed = np.zeros((len(mesh.points), 3))
    np.add.at(fixed, held, directions**2)
    columns = [
        log_distance(np.unique(held)),
        log_distance(np.unique(mesh.face_triangles(tuple(sorted(loaded)))) if loaded else np.zeros(0, np.int64)),
        log_distance(surface),
        np.isin(corners, surface).astype(float),
        np.log(np.cbrt(tributary) / size),
    ]
    return np.concatenate([np.stack(columns, axis=1), np.minimum(fixed[corners], 1.0)], axis=1)


def _material_features(material: Material) -> FloatArray:
    unit = material.yield_strength_pa / material.youngs_modulus_pa
    rise = material.hardening.yield_stress_rise(unit * np.array(_HARDENING_AT)) / material.yield_strength_pa
    return np.concatenate([[100 * unit, material.poissons_ratio], rise])


def compressed(vector: Tensor) -> Tensor:
    """A load vector [..., d] in its own direction with a logarithmic length: loads span four orders of magnitude."""
    length = vector.norm(dim=-1, keepdim=True)
    return vector / (length + 1e-12) * torch.log1p(_LOAD_SCALE * length) / _LOAD_UNIT


def on_nodes(part: RivalPart, field: Tensor) -> Tensor:
    """Volume-weighted means at the corner points [S, N, F] of a field at the quadrature points [S, C, 4, F]."""
    barycentric = field.new_tensor(QUADRATURE_BARYCENTRIC)  # [quadrature point, corner]
    weighted = torch.einsum("scqf,cq,qa->scaf", field, part.share, barycentric)
    count, flat = len(part.positions), part.cells.flatten()
    total = field.new_zeros(len(field), count, field.shape[-1]).index_add_(1, flat, weighted.flatten(1, 2))
    weight = field.new_zeros(count).index_add_(0, flat, (part.share @ barycentric).flatten())
    return total / weight[:, None].clamp(min=1e-12)


def thinned(part: RivalPart, count: int) -> RivalPart:
    """The part with some of its cells, half of them from where something yields; shares keep every integral's mean.

    For losses only: what a network reads at the corner points needs all cells.
    """
    cells = len(part.cells)
    plastic = torch.zeros(cells, dtype=torch.bool)
    plastic[part.yielded // 4] = True
    chosen, weights = [], []
    for pool in (plastic.nonzero()[:, 0], (~plastic).nonzero()[:, 0]):
        some = pool[torch.randperm(len(pool))[: max(1, count // 2)]]
        chosen.append(some)
        weights.append(torch.full((len(some), 1), len(pool) / max(1, len(some))))
    kept = torch.cat(chosen)
    place = torch.full((cells,), -1)
    place[kept] = torch.arange(len(kept))
    there = place[part.yielded // 4] >= 0
    return replace(
        part,
        cells=part.cells[kept],
        share=part.share[kept] * torch.cat(weights),
        case_stress=part.case_stress[:, kept],
        yielded=4 * place[part.yielded[there] // 4] + part.yielded[there] % 4,
        strain=part.strain[:, :, there],
        equivalent=part.equivalent[:, :, there],
    )


def field_norm(part: RivalPart, strain: Tensor) -> Tensor:
    """Volume-weighted norm [S] of a strain [S, C, 4, 6] with tensor shear, in the engineering shear of the measures."""
    square = strain[..., :3].square().sum(-1) + 4 * strain[..., 3:].square().sum(-1)
    return torch.sqrt((square * part.share).sum(dim=(1, 2)) + 1e-16)


def save_rival(part: RivalPart, path: Path) -> None:
    """Write under a temporary name, then rename."""
    temporary = path.with_suffix(f".{os.getpid()}.part")
    save_file({f.name: getattr(part, f.name).contiguous() for f in fields(RivalPart)}, temporary)
    temporary.rename(path)


def load_rival(path: Path) -> RivalPart:
    """Read what `save_rival` wrote."""
    return RivalPart(**load_file(path))


def prepared_paths(entries: Iterable[SimulationEntry], cache: Path) -> list[Path]:
    """Prepared parts of simulations, made where they are missing."""
    folder = cache / f"prepared-{FORMAT}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for entry in entries:
        path = folder / f"{entry.path.stem}.safetensors"
        if not path.exists():
            save_rival(prepare_rival(load_simulation(entry.path)), path)
        paths.append(path)
    return paths
