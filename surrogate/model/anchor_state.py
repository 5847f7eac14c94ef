"""From the physics (Pa, component first) to what the network reads (dimensionless, component last).

Shape letters: P points, A active cells, M tokens, H histories, T steps, K load cases, J modes,
S states to decode.
"""

import numpy as np
import torch
from torch import Tensor

from surrogate.fields import FloatArray, IntArray
from surrogate.model.anchor_path import AnchorFields, AnchorPath, anchor_steps
from surrogate.model.decoder import AnchorState, PlasticField
from surrogate.model.graph import PartGraph
from surrogate.model.invariant_features import point_features
from surrogate.physics.elastic import ElasticAnchor
from surrogate.physics.materials import Material
from surrogate.physics.plasticity import PlasticState, elastic_stress

# Equivalent plastic strain, in yield strains, from which a point counts as yielded: the network never says zero.
YIELDED = 0.003
# Numbers of one component of all points and states that are equilibrated together.
_CHUNK = 400_000
# States in which the points that move most are looked for.
_LOOKED_AT = 128
_HALVE_SHEAR = np.array([1, 1, 1, 0.5, 0.5, 0.5])


def active_points(graph: PartGraph) -> IntArray:
    """Quadrature points of the active cells among all of the mesh [4 A]."""
    cells = graph.active.cpu().numpy()
    return (4 * cells[:, None] + np.arange(4)).ravel()


def strain_in_yield_strains(strain: FloatArray, material: Material) -> Tensor:
    """Plastic strain [..., 6] with engineering shear -> yield strains, tensor shear, float32."""
    scaled = strain * (_HALVE_SHEAR * (material.youngs_modulus_pa / material.yield_strength_pa))
    return torch.from_numpy(np.ascontiguousarray(scaled, dtype=np.float32))


def plastic_state(field: PlasticField, graph: PartGraph, material: Material, point_count: int) -> PlasticState:
    """The predicted plastic state at every quadrature point, trailing shape [P, S]; zero where it has not yielded."""
    points, yield_strain = active_points(graph), material.yield_strength_pa / material.youngs_modulus_pa
    states = field.equivalent.shape[0]
    state = PlasticState.virgin(point_count, states)
    equivalent = field.equivalent.double().cpu().numpy().reshape(states, -1)
    yielded = equivalent >= YIELDED
    strain = field.strain.double().cpu().numpy().reshape(states, -1, 6) * (yield_strain / _HALVE_SHEAR)
    state.plastic_strain[:, points] = (strain * yielded[..., None]).transpose(2, 1, 0)
    state.equivalent[points] = (equivalent * yielded).T * yield_strain
    return state


def token_actions(graph: PartGraph, fields: AnchorFields, path: AnchorPath) -> Tensor:
    """Action features of every token at every step [H, T, M, F].

    Args:
        graph: the part.
        fields: its elastic answer.
        path: its reduced anchor.
    """
    material = fields.material
    steps = list(anchor_steps(fields, path, graph.token_point.cpu().numpy()))
    unit_stress, unit_strain = material.yield_strength_pa, material.yield_strength_pa / material.youngs_modulus_pa
    stress = _component_last(np.stack([s.stress for s in steps]) / unit_stress)  # [H, T, M, 6]
    strain = strain_in_yield_strains(_axes(np.stack([s.state.plastic_strain for s in steps])), material)
    equivalent, earlier, local = (
        torch.from_numpy(np.stack(levels).transpose(2, 0, 1).astype(np.float32) / np.float32(unit_strain))
        for levels in zip(*((s.state.equivalent, s.earlier, s.local) for s in steps), strict=True)
    )
    action = torch.from_numpy(np.ascontiguousarray(path.factors, dtype=np.float32))
    change = torch.diff(action, dim=1, prepend=torch.zeros_like(action[:, :1]))
    case_stress = graph.token_case_stress.cpu()
    elastic, increment = (torch.einsum("htk,kmc->htmc", f, case_stress) for f in (action, change))
    hardening = graph.material[0].cpu()
    return point_features(elastic, increment, stress, strain, equivalent, hardening, (earlier, local))


def _axes(array: FloatArray) -> FloatArray:
    return array.transpose(3, 0, 2, 1)  # [T, 6, P, H] -> [H, T, P, 6]


def _component_last(array: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(_axes(array), dtype=np.float32))


def anchor_states(
    graph: PartGraph,
    fields: AnchorFields,
    path: AnchorPath,
    wanted: IntArray,
    anchor: ElasticAnchor | None,
    doubted: IntArray | None = None,
) -> AnchorState:
    """The reduced anchor at the active cells in some states.

    Args:
        graph: the part.
        fields: its elastic answer.
        path: its reduced anchor.
        wanted: history and step of each state [S, 2].
        anchor: with the factor that tells the defect of each state; None leaves the defect zero.
        doubted: states whose defect is told; None for all.

    Returns:
        AnchorState of S states on the CPU, in the order of `wanted`.
    """
    material, shape = fields.material, (len(wanted), len(graph.active), 4)
    unit_stress, unit_strain = material.yield_strength_pa, material.yield_strength_pa / material.youngs_modulus_pa
    points, histories = active_points(graph), np.unique(wanted[:, 0])
    column = np.searchsorted(histories, wanted[:, 0])
    stress, strain = np.zeros((len(wanted), len(points), 6), np.float32), np.zeros((len(wanted), 6, len(points)))
    levels = np.zeros((3, len(wanted), len(points)), np.float32)
    for found in anchor_steps(fields, path, points, histories, int(wanted[:, 1].max()) + 1):
        for i in np.flatnonzero(wanted[:, 1] == found.step):
            stress[i] = (found.stress[:, :, column[i]] / unit_stress).T
            strain[i] = found.state.plastic_strain[:, :, column[i]]
            for level, values in zip(levels, (found.state.equivalent, found.earlier, found.local), strict=True):
                level[i] = values[:, column[i]] / unit_strain
    defect, told = torch.zeros((*shape, 6)), np.arange(len(wanted)) if doubted is None else doubted
    if anchor is not None and len(points) and len(told):
        found_defect = equilibrium_defect(anchor, path, points, strain[told], wanted[told]) / unit_stress
        defect[told] = torch.from_numpy(found_defect.astype(np.float32)).reshape(len(told), *shape[1:], 6)
    elastic, increment = elastic_states(graph, path.factors, wanted)
    return AnchorState(
        elastic,
        increment,
        torch.from_numpy(stress).reshape(*shape, 6),
        strain_in_yield_strains(strain.transpose(0, 2, 1), material).reshape(*shape, 6),
        equivalent=torch.from_numpy(levels[0]).reshape(shape),
        earlier=torch.from_numpy(levels[1]).reshape(shape),
        local=torch.from_numpy(levels[2]).reshape(shape),
        defect=defect,
    )


def equilibrium_defect(
    anchor: ElasticAnchor, path: AnchorPath, points: IntArray, plastic_strain: FloatArray, wanted: IntArray
) -> FloatArray:
    """Elastic stress of the strain by which equilibrium differs from the reduced anchor [S, A points, 6], Pa.

    One back-substitution a state finds the displacement in balance with the anchor's plastic strain; where its strain
    is not the one that the anchor used, the modes were too few.

    Args:
        anchor: elastic answer, with its factor.
        path: its reduced anchor.
        points: where to tell it [A points].
        plastic_strain: of the reduced anchor there [S, 6, A points], engineering shear.
        wanted: history and step of each state [S, 2].
    """
    system = anchor.system
    result = np.empty((len(wanted), len(points), 6))
    chunk = max(1, _CHUNK // system.volumes.size)
    for first in range(0, len(wanted), chunk):
        part = slice(first, first + chunk)
        rows = wanted[part]
        full = np.zeros((6, system.volumes.size, len(rows)))
        full[:, points] = plastic_strain[part].transpose(1, 2, 0)
        balanced = system.factor.solve(system.internal_force(elastic_stress(full, system.material)))
        added = system.strain(balanced)[:, points]
        added -= path.mode_strain[:, points] @ path.coordinates[rows[:, 0], rows[:, 1]].T
        result[part] = elastic_stress(added, system.material).transpose(2, 1, 0)
    return result


def elastic_states(graph: PartGraph, factors: FloatArray, wanted: IntArray) -> tuple[Tensor, Tensor]:
    """Elastic stress at the active cells and its change over the last step [S, A, 4, 6], in yield strengths."""
    now = factors[wanted[:, 0], wanted[:, 1]]
    before = np.where(wanted[:, 1:] > 0, factors[wanted[:, 0], np.maximum(wanted[:, 1] - 1, 0)], 0.0)
    case_stress = graph.case_stress.cpu()
    elastic, increment = (
        torch.einsum("sk,kaqc->saqc", torch.from_numpy(f.astype(np.float32)), case_stress) for f in (now, now - before)
    )
    return elastic, increment


def displacement_reference(fields: AnchorFields, path: AnchorPath, actions: Tensor) -> tuple[Tensor, FloatArray]:
    """What the displacement head reads, and the largest elastic displacement so far [H, T], m.

    The features [H, T, DISPLACEMENT_FEATURES] are the reduced anchor's largest displacement over that reference, the
    logarithm of its hottest plastic strain, and the largest displacement of its modes alone over the reference.
    """
    points = fields.displacement  # [K, N, 3]
    gram = np.einsum("kni,lni->kln", points, points).reshape(-1, points.shape[1])
    factors = path.factors
    products = (factors[..., :, None] * factors[..., None, :]).reshape(-1, len(gram))
    largest = np.array([np.sqrt(max((row @ gram).max(), 0.0)) for row in products]).reshape(factors.shape[:2])
    running = np.maximum(np.maximum.accumulate(largest, axis=1), 1e-30)
    total, permanent = largest_displacements(fields, path)
    ratios = [torch.from_numpy((values / running).astype(np.float32)) for values in (total, permanent)]
    return torch.stack([ratios[0], actions[..., 5].amax(dim=2), ratios[1]], dim=-1), running


def largest_displacements(fields: AnchorFields, path: AnchorPath) -> tuple[FloatArray, FloatArray]:
    """Largest displacement of the reduced anchor, and of its modes alone, each [H, T], m.

    They are read at the points that move most in some of the states.
    """
    shape = path.factors.shape[:2]
    states = np.concatenate([path.factors, path.coordinates], axis=-1).reshape(shape[0] * shape[1], -1)
    cases = path.factors.shape[-1]
    displacement = np.concatenate([fields.displacement, path.mode_displacement])  # [K + J, N, 3]
    alone = states.copy()
    alone[:, :cases] = 0.0
    result = []
    for rows in (states, alone):
        some = rows[:: max(1, len(rows) // _LOOKED_AT)]
        found = np.sqrt((np.tensordot(some, displacement, axes=1) ** 2).sum(axis=-1))
        count = min(_LOOKED_AT // 8, found.shape[1])
        candidates = np.unique(np.argpartition(found, -count, axis=1)[:, -count:])
        values = np.tensordot(rows, displacement[:, candidates], axes=1)
        result.append(np.sqrt((values**2).sum(axis=-1).max(axis=-1)).reshape(shape))
    return result[0], result[1]
