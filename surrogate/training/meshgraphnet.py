"""MeshGraphNet, autoregressive over the load steps: a competitor of the world model.

T. Pfaff, M. Fortunato, A. Sanchez-Gonzalez, P. W. Battaglia, Learning mesh-based simulation with graph networks, ICLR
2021: encode, 15 message-passing layers with residuals on nodes and edges, decode; one-step training on noisy states
whose target takes the noise back. It reads mesh, supports, loads and its own state, and no elastic answer.
Shape letters: S states of one part, N corner points, E directed edges, C cells, D width, H histories, T steps.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from surrogate.model.invariant_features import norm
from surrogate.training.rival_data import (
    MATERIAL_FEATURES,
    NODE_FEATURES,
    RivalPart,
    compressed,
    field_norm,
    on_nodes,
)
from surrogate.training.rival_decoder import PlasticRead, QuadratureDecoder, compressed_error, compressed_square

LAYERS = 15
_EDGE_FEATURES = 5
_STATE_FEATURES = 7
# Position, features, material, loads now and their change, total force and moment now and their change, state.
_NODE_INPUTS = 3 + NODE_FEATURES + MATERIAL_FEATURES + 2 * 3 + 2 * 6 + _STATE_FEATURES
# Noise on a state: this share of its own strain at each point, and of its volume-weighted norm where it flows.
NOISE_OWN, NOISE_PART = 0.05, 0.05
# Increments are judged against themselves and a share of the strain that is there already.
_KEPT_SHARE = 0.2


class _Mlp(nn.Module):
    """Two layers with a norm behind."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.second = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor) -> Tensor:
        return self.finish(self.first(features))

    def finish(self, first: Tensor) -> Tensor:
        """What follows the first linear map."""
        return self.norm(self.second(nn.functional.relu(first)))


class _MessagePassing(nn.Module):
    """One layer: edges read both ends, nodes read the sum of their incoming edges.

    The first map of the edges acts on concatenated ends; it is applied to the nodes before they are gathered, the same
    numbers for a fraction of the work.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.edge, self.node = _Mlp(width, width), _Mlp(2 * width, width)
        self.sender = nn.Linear(width, width, bias=False)
        self.receiver = nn.Linear(width, width, bias=False)

    def forward(self, nodes: Tensor, edges: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        sender, receiver = ends
        first = self.edge.first(edges)
        first = first + self.sender(nodes).index_select(1, sender) + self.receiver(nodes).index_select(1, receiver)
        edges = edges + self.edge.finish(first)
        received = torch.zeros_like(nodes).index_add_(1, receiver, edges)
        return nodes + self.node(torch.cat([nodes, received], dim=-1)), edges


class MeshGraphNet(nn.Module):
    """The plastic strain increment of one load step.

    Args:
        width: of nodes and edges.
        layers: of message passing.
    """

    def __init__(self, width: int = 32, layers: int = LAYERS) -> None:
        super().__init__()
        self.encode_nodes, self.encode_edges = _Mlp(_NODE_INPUTS, width), _Mlp(_EDGE_FEATURES, width)
        self.layers = nn.ModuleList(_MessagePassing(width) for _ in range(layers))
        self.decode = QuadratureDecoder(width, width, _STATE_FEATURES)

    def forward(self, part: RivalPart, now: Tensor, before: Tensor, state: PlasticRead) -> PlasticRead:
        """The increment from a state.

        Args:
            part: the part.
            now: load factors after the step [S, K].
            before: load factors before it [S, K].
            state: plastic strain before it.
        """
        own = state_features(state)
        nodes = self.encode_nodes(_node_inputs(part, now, before, own))
        edges = self.encode_edges(_edge_inputs(part))[None]
        for layer in self.layers:
            nodes, edges = layer(nodes, edges, part.edges)
        found = self.decode(part, nodes, own)
        # A return map flows in one direction within a step: the accumulated strain grows by the increment's own.
        return PlasticRead(found.strain, (2 / 3) ** 0.5 * norm(found.strain))


def state_features(state: PlasticRead) -> Tensor:
    """A plastic state as [S, C, 4, 7], logarithmic in size."""
    size = norm(state.strain)[..., None]
    return torch.cat([state.strain / size * torch.log1p(size), torch.log1p(state.equivalent)[..., None]], dim=-1)


def _node_inputs(part: RivalPart, now: Tensor, before: Tensor, own: Tensor) -> Tensor:
    states, count = len(now), len(part.positions)
    fixed = torch.cat([part.positions, part.node_features, part.material.expand(count, -1)], dim=1)
    loads = [compressed(torch.einsum("sk,knc->snc", f, part.case_loads)) for f in (now, now - before)]
    wrench = [_wrench(f @ part.case_wrench)[:, None].expand(-1, count, -1) for f in (now, now - before)]
    return torch.cat([fixed.expand(states, -1, -1), *loads, *wrench, on_nodes(part, own)], dim=-1)


def _wrench(wrench: Tensor) -> Tensor:
    return torch.cat([compressed(wrench[..., :3]), compressed(wrench[..., 3:])], dim=-1)


def _edge_inputs(part: RivalPart) -> Tensor:
    sender, receiver = part.edges
    vector = part.positions[sender] - part.positions[receiver]
    length = vector.norm(dim=1, keepdim=True)
    return torch.cat([vector / (length.mean() + 1e-9), length, torch.log(length + 1e-6)], dim=1)


@dataclass(frozen=True)
class Transition:
    """Some steps of a part: factors after and before [S, K], plastic state before and after."""

    now: Tensor
    before: Tensor
    start: PlasticRead
    end: PlasticRead


def transitions(part: RivalPart, wanted: Tensor) -> Transition:
    """The true steps that end in states given as history and step [S, 2]."""
    earlier = wanted - torch.tensor([0, 1])
    start, end = PlasticRead(*part.truth(earlier)), PlasticRead(*part.truth(wanted))
    return Transition(part.factors_at(wanted), part.factors_at(earlier), start, end)


def noisy(part: RivalPart, state: PlasticRead) -> PlasticRead:
    """A state with the errors that a rollout makes, in yield strains: where it flows, in proportion to it."""
    scale = NOISE_OWN * norm(state.strain) + NOISE_PART * field_norm(part, state.strain)[:, None, None]
    scale = (scale * (state.equivalent > 0))[..., None]
    strain = state.strain + scale * torch.randn_like(state.strain) / 6**0.5
    return PlasticRead(strain, (state.equivalent + scale[..., 0] * torch.randn_like(state.equivalent)).clamp(min=0))


def step_loss(model: MeshGraphNet, part: RivalPart, wanted: Tensor) -> Tensor:
    """Squared error of one-step predictions from noisy states in logarithmic size (see `compressed_error`).

    The target undoes the noise, as published.
    """
    step = transitions(part, wanted)
    start = noisy(part, step.start)
    found = model(part, step.now, step.before, start)
    missing = step.end.strain - start.strain
    return compressed_error(part, found.strain, missing, _KEPT_SHARE**2 * compressed_square(part, step.end.strain))


@torch.no_grad()
def rollout(model: MeshGraphNet, part: RivalPart, factors: Tensor) -> list[PlasticRead]:
    """The plastic states after each step of histories [H, T, K], each from the network's own last one."""
    shape = (len(factors), *part.share.shape)
    state = PlasticRead(torch.zeros(*shape, 6), torch.zeros(shape))
    before, states = torch.zeros_like(factors[:, 0]), []
    for now in factors.unbind(1):
        added = model(part, now, before, state)
        state = PlasticRead(state.strain + added.strain, state.equivalent + added.equivalent)
        states.append(state)
        before = now
    return states
