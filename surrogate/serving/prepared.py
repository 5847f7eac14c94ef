"""A problem made ready for the network: elastic answer, reduced anchor, graph and what the tokens read of them.

Shape letters: H histories, T steps, K load cases, P quadrature points.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from surrogate.fields import BoolArray, FloatArray, ModelIdentity
from surrogate.model.anchor_path import AnchorFields, AnchorPath, anchor_fields, anchor_path, pad_factors
from surrogate.model.anchor_state import displacement_reference, token_actions
from surrogate.model.checkpoint import load_checkpoint
from surrogate.model.decoder import TokenScalars
from surrogate.model.description import DESCRIPTION
from surrogate.model.device import choose_device
from surrogate.model.graph import PartGraph, build_part_graph
from surrogate.model.jepa import GraphJepa
from surrogate.model.rollout import PartRequest
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.hottest import reduced_peaks
from surrogate.physics.problem import Problem
from surrogate.physics.reduced import reduced_anchor
from surrogate.physics.reduced_span import ReducedAnchor, ReducedSettings
from surrogate.serving.calibration import Calibration
from surrogate.serving.domain import Domain
from surrogate.serving.registry import find_model

Progress = Callable[[str, float], None]
# A history that the last round moved by more than this share of its size has not come to rest: of those that were
# moved less, and of crowds, whose rounds are others, the network made a worse answer on validation parts.
RESTLESS = ReducedSettings().crowd_tolerance
# How many histories a warning names.
_NAMED = 3


@dataclass(frozen=True)
class LoadedModel:
    """A model on its device, with what it knows of its own errors."""

    network: GraphJepa
    identity: ModelIdentity
    device: torch.device
    calibration: Calibration | None
    domain: Domain | None


@dataclass(frozen=True)
class Prepared:
    """A problem with its anchor and what the network reads of it.

    Attributes:
        problem: the question.
        anchor: elastic answer to each load case.
        reduced: elastoplastic answer of every history in the span of plastic modes.
        restless: histories that the last round of modes still moved; of these alone the network has a say [H].
        fields: elastic answer as the network reads it.
        path: reduced anchor as the network reads it.
        graph: the part.
        request: what the network is asked.
        reference: largest elastic displacement so far [H, T], m.
        seconds: by stage.
    """

    problem: Problem
    anchor: ElasticAnchor
    reduced: ReducedAnchor
    restless: BoolArray
    fields: AnchorFields
    path: AnchorPath
    graph: PartGraph
    request: PartRequest
    reference: FloatArray
    seconds: dict[str, float]

    def at_tokens(self, read: TokenScalars) -> TokenScalars:
        """What the tokens read; of histories at rest the token that flows most is told by the hottest points."""
        material = self.problem.material
        peaks = reduced_peaks(self.anchor, self.path.factors, self.reduced)
        known = torch.from_numpy(peaks * (material.youngs_modulus_pa / material.yield_strength_pa)).to(read.plastic)
        most = read.plastic.argmax(dim=-1, keepdim=True)
        told = read.plastic.scatter(-1, most, known[..., None])
        return replace(read, plastic=torch.where(torch.from_numpy(self.restless)[:, None, None], read.plastic, told))

    def warnings(self) -> tuple[str, ...]:
        """Of histories that have no balance within the modes."""
        lost = np.flatnonzero(~self.reduced.settled.all(axis=1))
        if not len(lost):
            return ()
        named = ", ".join(repr(self.problem.load_histories[i].name) for i in lost[:_NAMED])
        more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
        return (
            f"at or past plastic collapse: no balance was found in {named}{more}; lower the loads, or solve "
            '(fidelity "solved") for the load factor at which the part gives way',
        )


def loaded_model(model: str | None, device: str) -> LoadedModel:
    """A model, read again where it was trained or calibrated anew since."""
    folder = find_model(model)
    return _load(folder, device, (folder / DESCRIPTION).stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _load(folder: Path, device: str, changed: int) -> LoadedModel:
    # Each device has a copy of its own, since a module moves as a whole.
    checkpoint = load_checkpoint(folder)
    place = choose_device(device)
    description = checkpoint.description
    calibration, domain = description.get("calibration"), description.get("domain")
    return LoadedModel(
        checkpoint.model.to(place),
        ModelIdentity(folder.name, str(description.get("version", "0"))),
        place,
        Calibration.from_json(calibration) if isinstance(calibration, dict) else None,
        Domain.from_json(domain) if isinstance(domain, dict) else None,
    )


def prepare(problem: Problem, model: LoadedModel, report: Progress) -> Prepared:
    """Everything of a problem that comes before the network.

    Args:
        problem: the question.
        model: whose graph is built.
        report: called with (stage, share done).

    Raises:
        RigidBodyError: the supports leave a rigid motion free.
    """
    config = model.network.config
    report("anchor", 0.0)
    started = time.perf_counter()
    anchor = elastic_anchor(problem)
    fields = anchor_fields(anchor)
    anchored = time.perf_counter()
    report("encode", 0.0)
    factors = pad_factors([history.factors for history in problem.load_histories])
    reduced = reduced_anchor(anchor, factors)
    restless = (reduced.moved > RESTLESS) & (len(factors) <= ReducedSettings().whole_histories)
    path = anchor_path(anchor, factors, reduced)
    # The network was trained on anchors further off: of one that has come to rest it would make a worse answer.
    path = replace(path, earlier=np.where(restless[:, None, None], path.earlier, path.coordinates))
    integrated = time.perf_counter()
    graph = build_part_graph(problem, fields, path, config.tokens, config.gate)
    actions = token_actions(graph, fields, path)
    features, reference = displacement_reference(fields, path, actions)
    seconds = {
        "anchor": anchored - started,
        "modes": integrated - anchored,
        "encode": time.perf_counter() - integrated,
    }
    request = PartRequest(graph, actions, features)
    return Prepared(problem, anchor, reduced, restless, fields, path, graph, request, reference, seconds)
