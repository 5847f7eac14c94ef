"""A part with its elastic anchor as the graph that the network reads; built once per part.

Shape letters: C cells, A active cells (may yield), M tokens, K load cases, E dual edges, J neighbours of a cell.
Lengths are divided by the part's radius of gyration, stress by the yield strength, strain by yield strength over E.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.selectors import select_faces
from surrogate.geometry.tet_mesh import TET_SIDES, TetMesh
from surrogate.model.anchor_path import (
    AnchorFields,
    AnchorPath,
    elastic_envelope,
    elastic_von_mises_squares,
    local_path,
)
from surrogate.physics.problem import Acceleration, Problem
from surrogate.physics.reduced import representative_histories

NEIGHBOURS = 6
_HISTORIES_LOOKED_AT = 16
TOKENS_READ = 3
CELL_FEATURES = 10
TOKEN_FEATURES = 9


@dataclass(frozen=True)
class PartGraph:
    """What the network reads of a part; float32 but for indices.

    Attributes:
        cell_features: [C, CELL_FEATURES].
        dual_edges: pairs of cells that share a side [2, E].
        cell_region: nearest token of each cell [C].
        active: ids of the cells that may yield [A].
        volume: share of the part's volume of each quadrature point of the active cells [A, 4].
        neighbours: nearest active cells of each active cell, itself first [A, J].
        offset: vector to each neighbour over the mean neighbour distance [A, J, 3].
        gradient: unit direction in which the elastic stress level grows [A, 3].
        tokens_read: tokens that each active cell reads [A, TOKENS_READ].
        token_distance_read: distance to them over the token spacing [A, TOKENS_READ].
        case_stress: elastic stress of each load case at the quadrature points of active cells [K, A, 4, 6].
        token_features: [M, TOKEN_FEATURES].
        token_distance: [M, M].
        token_case_stress: elastic stress of each load case at the tokens' hottest points [K, M, 6].
        token_point: index of that quadrature point among all of the mesh [M].
        material: hardening modulus over E, 100 * yield strain, Poisson's ratio [3].
    """

    cell_features: Tensor
    dual_edges: Tensor
    cell_region: Tensor
    active: Tensor
    volume: Tensor
    neighbours: Tensor
    offset: Tensor
    gradient: Tensor
    tokens_read: Tensor
    token_distance_read: Tensor
    case_stress: Tensor
    token_features: Tensor
    token_distance: Tensor
    token_case_stress: Tensor
    token_point: Tensor
    material: Tensor

    def to(self, device: torch.device) -> "PartGraph":
        """The same graph on a device."""
        moved = {f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)}
        return replace(self, **moved)


def build_part_graph(
    problem: Problem, anchor: AnchorFields, path: AnchorPath, token_count: int, gate: float
) -> PartGraph:
    """The graph of a part under some load histories.

    Args:
        problem: the problem.
        anchor: its elastic answer.
        path: the reduced anchor of all histories that will be asked.
        token_count: M.
        gate: cells whose elastic von Mises stress stays below this share of yield, and that do not flow by the anchor,
            are taken as elastic.
    """
    mesh, material = problem.mesh, problem.material
    yield_strength = material.yield_strength_pa
    volumes = anchor.volumes  # [C, 4]
    corners = mesh.points[mesh.cells[:, :4]]
    centroids = corners.mean(axis=1)
    cell_volume = volumes.sum(axis=1)
    centre = np.average(centroids, axis=0, weights=cell_volume)
    gyration = np.sqrt(np.average(((centroids - centre) ** 2).sum(axis=1), weights=cell_volume))
    place = (centroids - centre) / gyration
    form = elastic_von_mises_squares(anchor.stress)
    factors = path.factors.reshape(-1, path.factors.shape[-1])
    level = (elastic_envelope(form, factors) / yield_strength).reshape(-1, 4)  # [C, 4]
    hot = level.max(axis=1)
    near = np.union1d(np.flatnonzero(hot > gate), path.points // 4)
    plastic = _largest_plastic(anchor, path, near, level.size).reshape(-1, 4) / (
        yield_strength / material.youngs_modulus_pa
    )
    active = np.flatnonzero((hot > gate) | (plastic.max(axis=1) > 0))

    token_cells = _place_tokens(place, hot + np.log1p(plastic.max(axis=1)), token_count)
    tree = cKDTree(place[token_cells])
    region = tree.query(place)[1]
    # Where something flows, the point that flows most counts, not the one of the largest elastic stress.
    token_point = _hottest_points(region, np.where(plastic > 0, 1e3 + plastic, level), token_count)
    shares = cell_volume / cell_volume.sum()
    dual_edges = _dual_edges(mesh)
    sides = np.bincount(dual_edges[0], minlength=len(place))
    cell_features = _cell_features(problem, place, centre, gyration, cell_volume, hot, sides)
    neighbours, offset = _neighbours(place[active])
    distance, read = tree.query(place[active], k=TOKENS_READ)
    spacing = np.sort(np.linalg.norm(place[token_cells][:, None] - place[token_cells][None], axis=-1), axis=1)[:, 1]
    stress = (anchor.stress / yield_strength).transpose(2, 1, 0)  # [K, P, 6]
    pairs = np.linalg.norm(place[token_cells][:, None] - place[token_cells][None], axis=-1)

    def as_float(array: FloatArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))

    def as_index(array: IntArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))

    return PartGraph(
        cell_features=as_float(cell_features),
        dual_edges=as_index(dual_edges),
        cell_region=as_index(region),
        active=as_index(active),
        volume=as_float(volumes[active] / volumes.sum()),
        neighbours=as_index(neighbours),
        offset=as_float(offset),
        gradient=as_float(_gradient(place[active], np.log(hot[active] + 1e-6), neighbours)),
        tokens_read=as_index(read),
        token_distance_read=as_float(distance / (spacing[read] + 1e-3)),
        case_stress=as_float(stress.reshape(len(stress), -1, 4, 6)[:, active]),
        token_features=as_float(_token_features(region, shares, hot, level, token_point, spacing)),
        token_distance=as_float(pairs),
        token_case_stress=as_float(stress[:, token_point]),
        token_point=as_index(token_point),
        material=as_float(
            np.array(
                [
                    material.hardening_modulus_pa / material.youngs_modulus_pa,
                    100 * yield_strength / material.youngs_modulus_pa,
                    material.poissons_ratio,
                ]
            )
        ),
    )


def _largest_plastic(anchor: AnchorFields, path: AnchorPath, active: IntArray, count: int) -> FloatArray:
    """Largest equivalent plastic strain of the reduced anchor at every quadrature point [P], of some histories."""
    result = np.zeros(count)
    points = (4 * active[:, None] + np.arange(4)).ravel()
    chosen = representative_histories(path.factors, _HISTORIES_LOOKED_AT)
    strain = np.concatenate([anchor.strain[:, points], path.mode_strain[:, points]], axis=-1)
    acting = np.concatenate([path.factors[chosen], path.coordinates[chosen]], axis=-1)
    for step in local_path(strain, acting, anchor.material):
        result[points] = step.state.equivalent.max(axis=1)
    return result


def _place_tokens(place: FloatArray, hot: FloatArray, count: int) -> IntArray:
    """Cells that become tokens: farthest points, every other one weighted by the stress level."""
    chosen = [int(hot.argmax())]
    distance = np.linalg.norm(place - place[chosen[0]], axis=1)
    for i in range(count - 1):
        chosen.append(int((distance * hot if i % 2 else distance).argmax()))
        distance = np.minimum(distance, np.linalg.norm(place - place[chosen[-1]], axis=1))
    return np.array(chosen)


def _hottest_points(region: IntArray, level: FloatArray, count: int) -> IntArray:
    hottest = level.max(axis=1)
    order = np.argsort(hottest, kind="stable")
    last = np.zeros(count, dtype=np.int64)
    last[region[order]] = order  # the hottest cell of each region is written last
    return 4 * last + level[last].argmax(axis=1)


def _dual_edges(mesh: TetMesh) -> IntArray:
    sides = np.sort(mesh.cells[:, TET_SIDES].reshape(-1, 3), axis=1)
    owner = np.repeat(np.arange(len(mesh.cells)), 4)
    order = np.lexsort(sides.T)
    sides, owner = sides[order], owner[order]
    same = (sides[1:] == sides[:-1]).all(axis=1)
    pairs = np.stack([owner[:-1][same], owner[1:][same]])
    return np.concatenate([pairs, pairs[::-1]], axis=1)


def _cell_features(
    problem: Problem,
    place: FloatArray,
    centre: FloatArray,
    gyration: float,
    cell_volume: FloatArray,
    hot: FloatArray,
    sides: IntArray,
) -> FloatArray:
    """[C, CELL_FEATURES]; `sides` counts the cells that each cell shares a side with [C]."""
    mesh = problem.mesh

    def distance_to(triangles: IntArray) -> FloatArray:
        if not len(triangles):
            return np.zeros(len(place))
        middle = (mesh.points[triangles[:, :3]].mean(axis=1) - centre) / gyration
        return np.log(cKDTree(middle).query(place)[0] + 1e-2)

    held = {face for support in problem.supports for face in select_faces(mesh, support.faces)}
    loaded = {
        face
        for case in problem.load_cases
        for load in case.loads
        if not isinstance(load, Acceleration)
        for face in select_faces(mesh, load.faces)
    }
    size = np.cbrt(cell_volume) / gyration
    material = problem.material
    columns = [
        np.log(hot + 1e-3),
        hot,
        np.log(size),
        distance_to(mesh.face_triangles(tuple(held))),
        distance_to(mesh.face_triangles(tuple(loaded))),
        distance_to(mesh.triangles),
        (sides < 4).astype(float),
        np.full(len(place), 20 * material.hardening_modulus_pa / material.youngs_modulus_pa),
        np.full(len(place), 100 * material.yield_strength_pa / material.youngs_modulus_pa),
        np.full(len(place), material.poissons_ratio),
    ]
    return np.stack(columns, axis=1)


def _neighbours(place: FloatArray) -> tuple[IntArray, FloatArray]:
    """Nearest active cells, itself first, and the vectors to them over their mean distance."""
    count = len(place)
    if count == 0:
        return np.zeros((0, NEIGHBOURS + 1), np.int64), np.zeros((0, NEIGHBOURS + 1, 3))
    available = min(count, NEIGHBOURS + 1)
    found = cKDTree(place).query(place, k=available)[1].reshape(count, available)
    found[:, 0] = np.arange(count)
    found = np.concatenate([found, np.repeat(found[:, :1], NEIGHBOURS + 1 - available, axis=1)], axis=1)
    vectors = place[found] - place[:, None]
    scale = np.linalg.norm(vectors[:, 1:], axis=-1).mean(axis=1)
    return found, vectors / (scale[:, None, None] + 1e-9)


def _gradient(place: FloatArray, value: FloatArray, neighbours: IntArray) -> FloatArray:
    """Unit direction of the least-squares gradient of a cell value [A, 3]."""
    if not len(place):
        return np.zeros((0, 3))
    vectors = place[neighbours[:, 1:]] - place[:, None]
    scale = np.linalg.norm(vectors, axis=-1, keepdims=True).mean(axis=1, keepdims=True) + 1e-9
    vectors = vectors / scale
    change = value[neighbours[:, 1:]] - value[:, None]
    normal = np.einsum("aji,ajk->aik", vectors, vectors) + 1e-2 * np.eye(3)
    gradient = np.linalg.solve(normal, np.einsum("aji,aj->ai", vectors, change)[..., None])[..., 0]
    return gradient / (np.linalg.norm(gradient, axis=1, keepdims=True) + 1e-3)


def _token_features(
    region: IntArray, shares: FloatArray, hot: FloatArray, level: FloatArray, point: IntArray, spacing: FloatArray
) -> FloatArray:
    count = len(point)
    peak = level.ravel()[point]
    total = np.bincount(region, shares, minlength=count) + 1e-12
    mean = np.bincount(region, shares * hot, minlength=count) / total
    columns = [np.log(peak + 1e-3), peak, np.log(total), np.log(mean + 1e-3), np.log(spacing + 1e-3)]
    for share in (0.5, 0.7, 0.85, 0.95):
        columns.append(np.bincount(region, shares * (hot > share * peak[region]), minlength=count) / total)
    return np.stack(columns, axis=1)
