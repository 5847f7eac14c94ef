"""A simulation as tensors for training; prepared once, kept as safetensors beside the campaign.

Shape letters: A active cells, M tokens, H histories, T steps, K load cases, F action features.
"""

import json
import os
import zlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from surrogate.data.simulation_file import Simulation, load_simulation
from surrogate.fields import FloatArray, IntArray
from surrogate.model.anchor_path import AnchorFields, local_path
from surrogate.model.decoder import LocalState
from surrogate.model.graph import PartGraph, build_part_graph
from surrogate.model.jepa import ModelConfig
from surrogate.model.local_state import (
    active_points,
    displacement_reference,
    elastic_states,
    strain_in_yield_strains,
    token_actions,
)
from surrogate.physics.plasticity import elastic_strain
from surrogate.physics.tet_element import gradients_and_volumes

FORMAT = 3


@dataclass(frozen=True)
class TrainingSample:
    """One part with its solved histories; stress in yield strengths, strain in yield strains, tensor shear.

    Attributes:
        graph: the part.
        factors: [H, T, K].
        actions: [H, T, M, F].
        displacement_features: elastic displacement over its largest so far, log of the hottest local strain [H, T, 2].
        local_stress: local anchor's stress [H, T, A, 4, 6], half precision.
        local_strain: its plastic strain [H, T, A, 4, 6], half precision.
        local_equivalent: [H, T, A, 4], half precision.
        strain: true plastic strain [H, T, A, 4, 6], half precision.
        equivalent: true equivalent plastic strain [H, T, A, 4], half precision.
        token_plastic: largest true equivalent plastic strain of each region [H, T, M].
        token_von_mises: largest true von Mises stress of each region [H, T, M].
        displacement: true largest displacement over the largest elastic one so far [H, T].
        missed: share of the true plastic volume integral that lies outside the active cells, [1].
    """

    graph: PartGraph
    factors: Tensor
    actions: Tensor
    displacement_features: Tensor
    local_stress: Tensor
    local_strain: Tensor
    local_equivalent: Tensor
    strain: Tensor
    equivalent: Tensor
    token_plastic: Tensor
    token_von_mises: Tensor
    displacement: Tensor
    missed: Tensor

    def local(self, wanted: Tensor) -> LocalState:
        """The local anchor in some states, given as history and step [S, 2]."""
        h, t = wanted.unbind(1)
        elastic, increment = elastic_states(self.graph, self.factors.double().numpy(), wanted.numpy())
        parts = (array[h, t].float() for array in (self.local_stress, self.local_strain, self.local_equivalent))
        return LocalState(elastic, increment, *parts)


def prepare(simulation: Simulation, config: ModelConfig) -> TrainingSample:
    """Tensors of a simulation; nothing is solved, the elastic answer comes from the file."""
    problem, material = simulation.problem, simulation.problem.material
    anchor = _stored_anchor(simulation)
    factors = np.stack([history.factors for history in problem.load_histories])
    graph = build_part_graph(problem, anchor, factors.reshape(-1, factors.shape[2]), config.tokens, config.gate)
    points, cells = active_points(graph), len(graph.active)
    steps = list(local_path(anchor.strain[:, points], factors, material))
    unit_stress, unit_strain = material.yield_strength_pa, material.yield_strength_pa / material.youngs_modulus_pa
    shape = (*factors.shape[:2], cells, 4)

    def lay(arrays: list[FloatArray]) -> FloatArray:  # T arrays [6, P, H] -> [H, T, A, 4, 6]
        return np.stack(arrays).transpose(3, 0, 2, 1).reshape(*shape, 6)

    local_equivalent = np.stack([s.state.equivalent for s in steps]).transpose(2, 0, 1).reshape(shape) / unit_strain
    strain, equivalent, missed = _truth(simulation, graph, points, shape)
    actions = token_actions(graph, anchor, factors)
    displacement_features, reference = displacement_reference(anchor, factors, actions)
    return TrainingSample(
        graph=graph,
        factors=torch.from_numpy(factors.astype(np.float32)),
        actions=actions,
        displacement_features=displacement_features,
        local_stress=torch.from_numpy(lay([s.stress for s in steps]) / unit_stress).half(),
        local_strain=strain_in_yield_strains(lay([s.state.plastic_strain for s in steps]), material).half(),
        local_equivalent=torch.from_numpy(local_equivalent).half(),
        strain=strain_in_yield_strains(strain, material).half(),
        equivalent=torch.from_numpy(equivalent / unit_strain).half(),
        token_plastic=_region_largest(_cell_plastic(simulation) / unit_strain, graph),
        token_von_mises=_region_largest(simulation.cell_von_mises.astype(np.float32), graph),
        displacement=torch.from_numpy((simulation.scalars.max_displacement_m / reference).astype(np.float32)),
        missed=torch.tensor([missed]),
    )


def _stored_anchor(simulation: Simulation) -> AnchorFields:
    mesh, material = simulation.problem.mesh, simulation.problem.material
    _, volumes = gradients_and_volumes(mesh.points, mesh.cells)
    stress = simulation.elastic_stress.astype(np.float64)  # [K, C, 4, 6]
    stress = np.ascontiguousarray(stress.reshape(len(stress), -1, 6).transpose(2, 1, 0))
    strain = elastic_strain(stress, material)
    return AnchorFields(material, volumes, strain, stress, simulation.elastic_displacement.astype(np.float64))


def _truth(
    simulation: Simulation, graph: PartGraph, points: IntArray, shape: tuple[int, ...]
) -> tuple[FloatArray, FloatArray, float]:
    count = simulation.problem.mesh.cells.shape[0] * 4
    where = np.full(count, -1)
    where[simulation.yielded] = np.arange(len(simulation.yielded))
    place = where[points]
    known = place >= 0
    strain = np.zeros((*shape[:2], len(points), 6))
    equivalent = np.zeros((*shape[:2], len(points)))
    strain[:, :, known] = simulation.plastic_strain[:, :, place[known]]
    equivalent[:, :, known] = simulation.equivalent_plastic_strain[:, :, place[known]]
    outside = np.ones(len(simulation.yielded), bool)
    outside[place[known]] = False
    total = float(np.square(simulation.equivalent_plastic_strain[:, -1].astype(float)).sum())
    missed = float(np.square(simulation.equivalent_plastic_strain[:, -1][:, outside].astype(float)).sum())
    return strain.reshape(*shape, 6), equivalent.reshape(shape), (missed / total) ** 0.5 if total > 0 else 0.0


def _cell_plastic(simulation: Simulation) -> FloatArray:
    cells = len(simulation.problem.mesh.cells)
    full = np.zeros((*simulation.equivalent_plastic_strain.shape[:2], 4 * cells))
    full[:, :, simulation.yielded] = simulation.equivalent_plastic_strain
    return full.reshape(*full.shape[:2], cells, 4).max(axis=-1)


def _region_largest(cell_values: FloatArray, graph: PartGraph) -> Tensor:
    """Largest cell value [H, T, C] of each region [H, T, M]."""
    values = torch.from_numpy(np.ascontiguousarray(cell_values, dtype=np.float32))
    result = values.new_zeros(*values.shape[:2], len(graph.token_features))
    index = graph.cell_region.expand_as(values)
    return result.scatter_reduce(2, index, values, reduce="amax", include_self=True)


def save_sample(sample: TrainingSample, path: Path) -> None:
    """Write a prepared sample under a temporary name of this process, then rename it: several may prepare the same."""
    tensors = {f"graph.{f.name}": getattr(sample.graph, f.name).contiguous() for f in fields(PartGraph)}
    tensors |= {f.name: getattr(sample, f.name).contiguous() for f in fields(TrainingSample) if f.name != "graph"}
    temporary = path.with_suffix(f".{os.getpid()}.part")
    save_file(tensors, temporary, metadata={"format": str(FORMAT)})
    temporary.rename(path)


def load_sample(path: Path) -> TrainingSample:
    """Read a prepared sample."""
    with safe_open(path, "pt") as file:
        graph = PartGraph(**{f.name: file.get_tensor(f"graph.{f.name}") for f in fields(PartGraph)})
        rest = {f.name: file.get_tensor(f.name) for f in fields(TrainingSample) if f.name != "graph"}
    return TrainingSample(graph=graph, **rest)


def prepared(simulation_path: Path, cache: Path, config: ModelConfig) -> TrainingSample:
    """The prepared sample of a simulation file, from the cache if it is there and fits the configuration."""
    key = json.dumps([FORMAT, config.tokens, config.gate])
    folder = cache / f"prepared-{hash_text(key):08x}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{simulation_path.stem}.safetensors"
    if not path.exists():
        save_sample(prepare(load_simulation(simulation_path), config), path)
    return load_sample(path)


def hash_text(text: str) -> int:
    """A short stable hash of a text."""
    return zlib.crc32(text.encode())
