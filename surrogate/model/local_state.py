"""From the physics (Pa, component first) to what the network reads (dimensionless, component last).

Shape letters: P points, A active cells, M tokens, H histories, T steps, K load cases, S states to decode.
"""

import numpy as np
import torch
from torch import Tensor

from surrogate.fields import FloatArray, IntArray
from surrogate.model.anchor_path import AnchorFields, local_path
from surrogate.model.decoder import LocalState, PlasticField
from surrogate.model.graph import PartGraph
from surrogate.model.invariant_features import point_features
from surrogate.physics.materials import Material
from surrogate.physics.plasticity import PlasticState

# Equivalent plastic strain, in yield strains, from which a point counts as yielded: the network never says zero.
YIELDED = 0.02
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


def token_actions(graph: PartGraph, anchor: AnchorFields, factors: FloatArray) -> Tensor:
    """Action features of every token at every step [H, T, M, F].

    Args:
        graph: the part.
        anchor: its elastic answer.
        factors: [H, T, K].
    """
    material = anchor.material
    points = graph.token_point.cpu().numpy()
    steps = list(local_path(anchor.strain[:, points], factors, material))
    unit_stress, unit_strain = material.yield_strength_pa, material.yield_strength_pa / material.youngs_modulus_pa
    stress = _component_last(np.stack([s.stress for s in steps]) / unit_stress)  # [H, T, M, 6]
    strain = strain_in_yield_strains(_axes(np.stack([s.state.plastic_strain for s in steps])), material)
    equivalent = np.stack([s.state.equivalent for s in steps]).transpose(2, 0, 1) / unit_strain
    action = torch.from_numpy(np.ascontiguousarray(factors, dtype=np.float32))
    change = torch.diff(action, dim=1, prepend=torch.zeros_like(action[:, :1]))
    case_stress = graph.token_case_stress.cpu()
    elastic, increment = (torch.einsum("htk,kmc->htmc", f, case_stress) for f in (action, change))
    local = torch.from_numpy(np.ascontiguousarray(equivalent, dtype=np.float32))
    return point_features(elastic, increment, stress, strain, local, graph.material[0].cpu())


def _axes(array: FloatArray) -> FloatArray:
    return array.transpose(3, 0, 2, 1)  # [T, 6, P, H] -> [H, T, P, 6]


def _component_last(array: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(_axes(array), dtype=np.float32))


def local_states(graph: PartGraph, anchor: AnchorFields, factors: FloatArray, wanted: IntArray) -> LocalState:
    """The local anchor at the active cells in some states.

    Args:
        graph: the part.
        anchor: its elastic answer.
        factors: [H, T, K].
        wanted: history and step of each state [S, 2].

    Returns:
        LocalState of S states on the CPU, in the order of `wanted`.
    """
    material, cells = anchor.material, len(graph.active)
    unit_stress, unit_strain = material.yield_strength_pa, material.yield_strength_pa / material.youngs_modulus_pa
    histories = np.unique(wanted[:, 0])
    column = np.searchsorted(histories, wanted[:, 0])
    stress = np.zeros((len(wanted), 4 * cells, 6), np.float32)
    strain, equivalent = np.zeros_like(stress), np.zeros((len(wanted), 4 * cells), np.float32)
    last = int(wanted[:, 1].max()) + 1
    for found in local_path(anchor.strain[:, active_points(graph)], factors[histories, :last], material):
        for i in np.flatnonzero(wanted[:, 1] == found.step):
            stress[i] = (found.stress[:, :, column[i]] / unit_stress).T
            strain[i] = (found.state.plastic_strain[:, :, column[i]] / unit_strain).T * _HALVE_SHEAR
            equivalent[i] = found.state.equivalent[:, column[i]] / unit_strain
    shape = (len(wanted), cells, 4)
    elastic, increment = elastic_states(graph, factors, wanted)
    return LocalState(
        elastic,
        increment,
        torch.from_numpy(stress).reshape(*shape, 6),
        torch.from_numpy(strain).reshape(*shape, 6),
        torch.from_numpy(equivalent).reshape(shape),
    )


def elastic_states(graph: PartGraph, factors: FloatArray, wanted: IntArray) -> tuple[Tensor, Tensor]:
    """Elastic stress at the active cells and its change over the last step [S, A, 4, 6], in yield strengths."""
    now = factors[wanted[:, 0], wanted[:, 1]]
    before = np.where(wanted[:, 1:] > 0, factors[wanted[:, 0], np.maximum(wanted[:, 1] - 1, 0)], 0.0)
    case_stress = graph.case_stress.cpu()
    elastic, increment = (
        torch.einsum("sk,kaqc->saqc", torch.from_numpy(f.astype(np.float32)), case_stress) for f in (now, now - before)
    )
    return elastic, increment


def displacement_reference(anchor: AnchorFields, factors: FloatArray, actions: Tensor) -> tuple[Tensor, FloatArray]:
    """What the displacement head reads [H, T, 2], and the largest elastic displacement so far [H, T], m."""
    points = anchor.displacement  # [K, N, 3]
    gram = np.einsum("kni,lni->kln", points, points).reshape(-1, points.shape[1])
    products = (factors[..., :, None] * factors[..., None, :]).reshape(-1, len(gram))
    largest = np.array([np.sqrt(max((row @ gram).max(), 0.0)) for row in products]).reshape(factors.shape[:2])
    running = np.maximum(np.maximum.accumulate(largest, axis=1), 1e-30)
    local = actions[..., 5].amax(dim=2)
    return torch.stack([torch.from_numpy((largest / running).astype(np.float32)), local], dim=-1), running
