"""A simulation as tensors for training; prepared once, kept as safetensors beside the campaign.

Shape letters: A active cells, M tokens, H histories, T steps, S kept steps, K load cases, F action features.
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
from surrogate.model.anchor_path import AnchorFields, AnchorPath, anchor_fields, anchor_path, local_path
from surrogate.model.anchor_state import (
    active_points,
    anchor_states,
    displacement_reference,
    elastic_states,
    strain_in_yield_strains,
    token_actions,
)
from surrogate.model.decoder import AnchorState
from surrogate.model.encoder import pooled_state, state_features
from surrogate.model.graph import PartGraph, build_part_graph
from surrogate.model.jepa import ModelConfig
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.reduced import plain_rounds, reduced_anchor

FORMAT = 4
# States of each history whose fields are kept: the peak step, the last one, and others drawn by the part's seed.
STATES_KEPT = 3


@dataclass(frozen=True)
class TrainingSample:
    """One part with its solved histories; stress in yield strengths, strain in yield strains, tensor shear.

    Attributes:
        graph: the part.
        factors: [H, T, K].
        actions: [H, T, M, F], half precision.
        displacement_features: see `displacement_reference` [H, T, DISPLACEMENT_FEATURES].
        pooled: state features of the true states, pooled to tokens [H, T, M, POOLED_FEATURES], half precision.
        kept: steps whose fields are kept, ascending [H, S].
        anchor_stress: reduced anchor's stress [H, S, A, 4, 6], half precision.
        anchor_strain: its plastic strain [H, S, A, 4, 6], half precision.
        anchor_levels: its equivalent plastic strain, that before the last enrichment, and the local anchor's
            [H, S, 3, A, 4], half precision.
        defect: see `AnchorState` [H, S, A, 4, 6], half precision.
        strain: true plastic strain [H, S, A, 4, 6], half precision.
        equivalent: true equivalent plastic strain [H, S, A, 4], half precision.
        token_plastic: largest true equivalent plastic strain of each region [H, T, M].
        token_von_mises: largest true von Mises stress of each region [H, T, M].
        displacement: true largest displacement over the largest elastic one so far [H, T].
        permanent_set: true largest displacement left after elastic unloading, over the same [H, T].
        missed: share of the true plastic strain (root mean square) that lies outside the active cells, [1].
    """

    graph: PartGraph
    factors: Tensor
    actions: Tensor
    displacement_features: Tensor
    pooled: Tensor
    kept: Tensor
    anchor_stress: Tensor
    anchor_strain: Tensor
    anchor_levels: Tensor
    defect: Tensor
    strain: Tensor
    equivalent: Tensor
    token_plastic: Tensor
    token_von_mises: Tensor
    displacement: Tensor
    permanent_set: Tensor
    missed: Tensor

    def anchor(self, wanted: Tensor) -> AnchorState:
        """The reduced anchor in some kept states, given as history and position among the kept steps [S', 2]."""
        h, s = wanted.unbind(1)
        states = torch.stack([h, self.kept[h, s]], dim=1).numpy()
        elastic, increment = elastic_states(self.graph, self.factors.double().numpy(), states)
        parts = (self.anchor_stress, self.anchor_strain, *self.anchor_levels.unbind(2), self.defect)
        return AnchorState(elastic, increment, *(part[h, s].float() for part in parts))


def prepare(simulation: Simulation, config: ModelConfig) -> TrainingSample:
    """Tensors of a simulation: the reduced anchor beside the stored truth."""
    problem, material = simulation.problem, simulation.problem.material
    anchor = elastic_anchor(problem)
    fields = anchor_fields(anchor)
    factors = np.stack([history.factors for history in problem.load_histories])
    path = anchor_path(anchor, factors, reduced_anchor(anchor, factors, plain_rounds(1)))
    graph = build_part_graph(problem, fields, path, config.tokens, config.gate)
    actions = token_actions(graph, fields, path)
    features, reference = displacement_reference(fields, path, actions)
    kept = _kept_steps(simulation)
    wanted = np.array([[h, step] for h in range(len(kept)) for step in kept[h]])
    states = anchor_states(graph, fields, path, wanted, anchor)

    def half(values: Tensor) -> Tensor:
        return values.half().reshape(*kept.shape, *values.shape[1:])

    truth = _Truth.of(simulation, graph)
    strain, equivalent = truth.at(wanted[:, 0], wanted[:, 1])
    inelastic = np.sqrt((simulation.inelastic_displacement.astype(np.float32) ** 2).sum(axis=-1).max(axis=-1))
    unit_strain = material.yield_strength_pa / material.youngs_modulus_pa
    return TrainingSample(
        graph=graph,
        factors=torch.from_numpy(factors.astype(np.float32)),
        actions=actions.half(),
        displacement_features=features,
        pooled=_pooled_truth(truth, graph, fields, path).half(),
        kept=torch.from_numpy(kept),
        anchor_stress=half(states.stress),
        anchor_strain=half(states.strain),
        anchor_levels=half(torch.stack([states.equivalent, states.earlier, states.local], dim=1)),
        defect=half(states.defect),
        strain=half(strain),
        equivalent=half(equivalent),
        token_plastic=_region_largest(_cell_plastic(simulation) / unit_strain, graph),
        token_von_mises=_region_largest(simulation.cell_von_mises.astype(np.float32), graph),
        displacement=torch.from_numpy((simulation.scalars.max_displacement_m / reference).astype(np.float32)),
        permanent_set=torch.from_numpy((inelastic * simulation.inelastic_scale / reference).astype(np.float32)),
        missed=torch.tensor([truth.missed]),
    )


def _kept_steps(simulation: Simulation) -> IntArray:
    """The peak step of plastic strain, the last step, and others drawn among those in which something has yielded."""
    plastic = simulation.scalars.peak_plastic_strain  # [H, T]
    generator = np.random.default_rng([simulation.seed, len(simulation.family)])
    chosen = []
    for levels in plastic:
        steps = {int(levels.argmax()), len(levels) - 1}
        for others in (np.flatnonzero(levels > 0), np.arange(len(levels))):
            left = [int(step) for step in generator.permutation(others) if step not in steps]
            steps.update(left[: max(0, min(STATES_KEPT, len(levels)) - len(steps))])
        chosen.append(sorted(steps))
    return np.array(chosen, dtype=np.int64)


@dataclass(frozen=True)
class _Truth:
    """The stored plastic state at the points of the active cells."""

    simulation: Simulation
    place: IntArray  # of each such point among the yielded ones, -1 where it never yields
    missed: float

    @staticmethod
    def of(simulation: Simulation, graph: PartGraph) -> "_Truth":
        where = np.full(len(simulation.problem.mesh.cells) * 4, -1)
        where[simulation.yielded] = np.arange(len(simulation.yielded))
        place = where[active_points(graph)]
        outside = np.ones(len(simulation.yielded), bool)
        outside[place[place >= 0]] = False
        last = np.square(simulation.equivalent_plastic_strain[:, -1].astype(float))
        total = float(last.sum())
        return _Truth(simulation, place, float((last[:, outside].sum() / total) ** 0.5) if total > 0 else 0.0)

    def at(self, history: IntArray, step: IntArray) -> tuple[Tensor, Tensor]:
        """Plastic strain [S, A, 4, 6] and equivalent plastic strain [S, A, 4] of some states."""
        material, known = self.simulation.problem.material, self.place >= 0
        strain = np.zeros((len(history), len(self.place), 6))
        equivalent = np.zeros((len(history), len(self.place)), np.float32)
        strain[:, known] = self.simulation.plastic_strain[history, step][:, self.place[known]]
        equivalent[:, known] = self.simulation.equivalent_plastic_strain[history, step][:, self.place[known]]
        scaled = equivalent * np.float32(material.youngs_modulus_pa / material.yield_strength_pa)
        shape = (len(history), len(self.place) // 4, 4)
        return strain_in_yield_strains(strain, material).reshape(*shape, 6), torch.from_numpy(scaled).reshape(shape)


def _pooled_truth(truth: _Truth, graph: PartGraph, fields: AnchorFields, path: AnchorPath) -> Tensor:
    """Pooled state features of every true state [H, T, M, POOLED_FEATURES]."""
    material, count = fields.material, len(path.factors)
    unit_strain, histories, found = material.yield_strength_pa / material.youngs_modulus_pa, np.arange(count), []
    strain = np.concatenate([fields.strain, path.mode_strain], axis=-1)[:, active_points(graph)]
    for step in local_path(strain, np.concatenate([path.factors, path.coordinates], axis=-1), material):
        true, level = truth.at(histories, np.full(count, step.step))
        mine = strain_in_yield_strains(step.state.plastic_strain.transpose(2, 1, 0), material).reshape(true.shape)
        own = torch.from_numpy((step.state.equivalent.T / unit_strain).astype(np.float32)).reshape(level.shape)
        found.append(pooled_state(graph, state_features(true, level, mine, own)))
    return torch.stack(found, dim=1)


def _cell_plastic(simulation: Simulation) -> FloatArray:
    cells = len(simulation.problem.mesh.cells)
    full = np.zeros((*simulation.equivalent_plastic_strain.shape[:2], 4 * cells), np.float32)
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


def prepared_path(simulation_path: Path, cache: Path, config: ModelConfig) -> Path:
    """Where the prepared sample of a simulation file lies; it is prepared if it is not there yet."""
    key = json.dumps([FORMAT, config.tokens, config.gate])
    folder = cache / f"prepared-{zlib.crc32(key.encode()):08x}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{simulation_path.stem}.safetensors"
    if not path.exists():
        save_sample(prepare(load_simulation(simulation_path), config), path)
    return path
