"""The two encoders: geometry once per part, plastic state at a step.

Shape letters: B parts, C cells, A active cells, M tokens, D width, G histories x steps.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.nn import SAGEConv
from torch_geometric.utils import scatter

from surrogate.model.attention import AttentionBlock, DistanceBias
from surrogate.model.graph import CELL_FEATURES, TOKEN_FEATURES, PartGraph
from surrogate.model.invariant_features import dot, norm, unit

STATE_FEATURES = 8
POOLED_FEATURES = 2 * STATE_FEATURES


@dataclass(frozen=True)
class Geometry:
    """What the network knows of some parts before any load acts.

    Attributes:
        tokens: [B, M, D].
        bias: attention bias [B, HEADS, M, M].
        cells: embedding of the active cells of each part, B tensors [A, cell width].
    """

    tokens: Tensor
    bias: Tensor
    cells: tuple[Tensor, ...]


class GeometryEncoder(nn.Module):
    """Two message-passing layers over the cells, pooled to tokens, then attention among the tokens."""

    def __init__(self, width: int, cell_width: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(CELL_FEATURES, cell_width), nn.GELU(), nn.Linear(cell_width, cell_width))
        self.passing = nn.ModuleList([SAGEConv(cell_width, cell_width) for _ in range(2)])
        self.to_tokens = nn.Linear(2 * cell_width + TOKEN_FEATURES + 3, width)
        self.bias = DistanceBias()
        self.blocks = nn.ModuleList([AttentionBlock(width) for _ in range(layers)])

    def forward(self, graphs: list[PartGraph]) -> Geometry:
        pooled, cells = [], []
        for graph in graphs:
            hidden = self.embed(graph.cell_features)
            for layer in self.passing:
                hidden = hidden + torch.nn.functional.gelu(layer(hidden, graph.dual_edges))
            cells.append(hidden[graph.active])
            count = len(graph.token_features)
            parts = [scatter(hidden, graph.cell_region, dim_size=count, reduce=how) for how in ("mean", "max")]
            pooled.append(torch.cat([*parts, graph.token_features, graph.material.expand(count, 3)], dim=-1))
        bias = self.bias(torch.stack([graph.token_distance for graph in graphs]))
        tokens = self.to_tokens(torch.stack(pooled))[:, None]
        for block in self.blocks:
            tokens = block(tokens, bias)
        return Geometry(tokens[:, 0], bias, tuple(cells))


def state_features(strain: Tensor, equivalent: Tensor, anchor_strain: Tensor, anchor_equivalent: Tensor) -> Tensor:
    """Invariants of a plastic state beside the reduced anchor's.

    Args:
        strain: plastic strain [..., 6], in yield strains, tensor shear.
        equivalent: its equivalent plastic strain [...].
        anchor_strain: the reduced anchor's [..., 6].
        anchor_equivalent: the reduced anchor's [...].

    Returns:
        [..., STATE_FEATURES].
    """
    direction, anchor_direction = unit(strain), unit(anchor_strain)
    logs, anchor_logs = torch.log1p(equivalent), torch.log1p(anchor_equivalent)
    return torch.stack(
        [
            logs,
            anchor_logs,
            5 * (logs - anchor_logs),
            torch.log1p(norm(strain)),
            dot(direction, anchor_direction),
            torch.log1p(norm(strain - anchor_strain)),
            (equivalent > 0).to(logs),
            torch.asinh(equivalent - anchor_equivalent),
        ],
        dim=-1,
    )


def pooled_state(graph: PartGraph, features: Tensor) -> Tensor:
    """Mean and largest state features of each token's region [G, M, POOLED_FEATURES].

    Args:
        graph: the part.
        features: of the points of the active cells [G, A, 4, STATE_FEATURES].
    """
    count, states = len(graph.token_features), features.shape[0]
    region = graph.cell_region[graph.active].repeat_interleave(4)
    if not len(region):
        return features.new_zeros(states, count, POOLED_FEATURES)
    weight = graph.volume.reshape(-1, 1)
    flat = features.reshape(states, len(region), -1).transpose(0, 1).reshape(len(region), -1)
    total = scatter(weight, region, dim_size=count, reduce="sum").clamp(min=1e-12)
    mean = scatter(flat * weight, region, dim_size=count, reduce="sum") / total
    largest = scatter(flat, region, dim_size=count, reduce="max")
    both = torch.stack([mean, largest], dim=1).reshape(count, 2, states, -1)
    return both.permute(2, 0, 1, 3).reshape(states, count, -1)


class StateEncoder(nn.Module):
    """Pooled plastic state -> latent tokens; no norm on its output, so that it can be regularised."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_tokens = nn.Sequential(
            nn.Linear(POOLED_FEATURES, width, bias=False), nn.GELU(), nn.Linear(width, width, bias=False)
        )
        self.block = AttentionBlock(width)
        self.out = nn.Linear(width, width)

    def forward(self, pooled: Tensor, geometry: Geometry) -> Tensor:
        """Pooled state features [B, G, M, POOLED_FEATURES] -> tokens [B, G, M, D]."""
        tokens = self.to_tokens(pooled) + geometry.tokens[:, None]
        return self.out(self.block(tokens, geometry.bias))

    def virgin(self, geometry: Geometry) -> Tensor:
        """Tokens of the state before any load [B, 1, M, D]; its features are zero, as every layer's answer to them."""
        return self.out(self.block(geometry.tokens[:, None], geometry.bias))
