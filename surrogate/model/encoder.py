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


def state_features(strain: Tensor, equivalent: Tensor, local_strain: Tensor, local_equivalent: Tensor) -> Tensor:
    """Invariants of a plastic state beside the local anchor's.

    Args:
        strain: plastic strain [..., 6], in yield strains, tensor shear.
        equivalent: its equivalent plastic strain [...].
        local_strain: the local anchor's [..., 6].
        local_equivalent: the local anchor's [...].

    Returns:
        [..., STATE_FEATURES].
    """
    direction, local_direction = unit(strain), unit(local_strain)
    logs, local_logs = torch.log1p(equivalent), torch.log1p(local_equivalent)
    return torch.stack(
        [
            logs,
            local_logs,
            logs - local_logs,
            torch.log1p(norm(strain)),
            dot(direction, local_direction),
            torch.log1p(norm(strain - local_strain)),
            (equivalent > 0).to(logs),
            torch.asinh(equivalent - local_equivalent),
        ],
        dim=-1,
    )


class StateEncoder(nn.Module):
    """Plastic state at the quadrature points -> latent tokens; no norm on its output, so that it can be regularised."""

    def __init__(self, width: int, point_width: int = 32) -> None:
        super().__init__()
        self.point = nn.Sequential(
            nn.Linear(STATE_FEATURES, point_width), nn.GELU(), nn.Linear(point_width, point_width)
        )
        self.to_tokens = nn.Linear(2 * point_width, width)
        self.block = AttentionBlock(width)
        self.out = nn.Linear(width, width)

    def forward(self, graphs: list[PartGraph], features: list[Tensor], geometry: Geometry) -> Tensor:
        """State features, B tensors [G, A, 4, STATE_FEATURES] -> tokens [B, G, M, D]."""
        pooled = torch.stack([self._pool(graph, f) for graph, f in zip(graphs, features, strict=True)])
        tokens = self.to_tokens(pooled) + geometry.tokens[:, None]
        return self.out(self.block(tokens, geometry.bias))

    def virgin(self, geometry: Geometry) -> Tensor:
        """Tokens of the state before any load [B, 1, M, D]."""
        silent = geometry.tokens.new_zeros(*geometry.tokens.shape[:2], self.to_tokens.in_features)
        tokens = self.to_tokens(silent) + geometry.tokens
        return self.out(self.block(tokens[:, None], geometry.bias))

    def _pool(self, graph: PartGraph, features: Tensor) -> Tensor:
        count = len(graph.token_features)
        region = graph.cell_region[graph.active].repeat_interleave(4)
        steps = features.shape[0]
        if not len(region):
            return features.new_zeros(steps, count, self.to_tokens.in_features)
        weight = graph.volume.reshape(-1, 1)
        # Points without any plastic strain add nothing, so the virgin state pools to zero.
        yielded = ((features[..., 0] > 0) | (features[..., 1] > 0)).reshape(steps, -1, 1)
        hidden = (self.point(features).reshape(steps, len(region), -1) * yielded).transpose(0, 1)  # [P, G, d]
        flat = hidden.reshape(len(region), -1)
        total = scatter(weight, region, dim_size=count, reduce="sum").clamp(min=1e-12)
        mean = scatter(flat * weight, region, dim_size=count, reduce="sum") / total
        largest = scatter(flat, region, dim_size=count, reduce="max")
        both = torch.stack([mean, largest], dim=1).reshape(count, 2, steps, -1)
        return both.permute(2, 0, 1, 3).reshape(steps, count, -1)
