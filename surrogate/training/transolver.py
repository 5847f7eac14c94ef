"""Transolver, conditioned on the load step, with and without the elastic anchor: competitors of the world model.

H. Wu, H. Luo, H. Wang, J. Wang, M. Long, Transolver: a fast transformer solver for PDEs on general geometries, ICML
2024: points are softly assigned to slices, attention runs among the slices' tokens, and points read back by the same
weights (their equations 1 to 4). One pass a state: what happened before enters as the largest load so far.
Shape letters: S states of one part, N corner points, C cells, D width, G heads, M slices, K load cases.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from surrogate.model.invariant_features import deviator, norm
from surrogate.training.rival_data import (
    MATERIAL_FEATURES,
    NODE_FEATURES,
    RivalPart,
    compressed,
    field_norm,
    on_nodes,
)
from surrogate.training.rival_decoder import PlasticRead, QuadratureDecoder

_HEADS = 4
# Load now and where it was largest so far, total force and moment now, largest and smallest so far, share of the steps.
_ACTION = 2 * 3 + 3 * 6 + 1
_NODE_INPUTS = 3 + NODE_FEATURES + MATERIAL_FEATURES + _ACTION
# Elastic stress at the step and where its von Mises stress was largest so far, and the logarithms of both.
ANCHOR_FEATURES = 2 * 6 + 2
_EQUIVALENT_WEIGHT, _FLOOR = 0.3, 0.002


class PhysicsAttention(nn.Module):
    """Attention among learned slices of the points.

    Args:
        width: D.
        slices: M of each head.
    """

    def __init__(self, width: int, slices: int) -> None:
        super().__init__()
        inner = width // _HEADS
        self.project_values, self.project_slices = nn.Linear(width, width), nn.Linear(width, width)
        self.slice = nn.Linear(inner, slices)
        nn.init.orthogonal_(self.slice.weight)
        self.temperature = nn.Parameter(torch.full((1, _HEADS, 1, 1), 0.5))
        self.qkv = nn.Linear(inner, 3 * inner, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, points: Tensor) -> Tensor:
        """Points [S, N, D] to [S, N, D]."""
        s, n, d = points.shape
        values, keys = (
            project(points).view(s, n, _HEADS, d // _HEADS).transpose(1, 2)
            for project in (self.project_values, self.project_slices)
        )
        weights = torch.softmax(self.slice(keys) / self.temperature.clamp(0.1, 5.0), dim=-1)  # [S, G, N, M]
        tokens = weights.transpose(2, 3) @ values / (weights.sum(dim=2)[..., None] + 1e-5)
        query, key, value = self.qkv(tokens).chunk(3, dim=-1)
        mixed = weights @ scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).reshape(s, n, d))


class _Block(nn.Module):
    def __init__(self, width: int, slices: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = PhysicsAttention(width, slices)
        self.feed_forward = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, points: Tensor) -> Tensor:
        points = points + self.attention(self.first_norm(points))
        return points + self.feed_forward(self.second_norm(points))


class Transolver(nn.Module):
    """The plastic strain in states of a part.

    Args:
        anchor: whether it reads the elastic stress.
        width: D.
        layers: blocks.
        slices: M.
    """

    def __init__(self, anchor: bool, width: int = 64, layers: int = 5, slices: int = 32) -> None:
        super().__init__()
        self.anchor = anchor
        inputs = _NODE_INPUTS + (ANCHOR_FEATURES if anchor else 0)
        self.encode = nn.Sequential(nn.Linear(inputs, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.blocks = nn.ModuleList(_Block(width, slices) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.decode = QuadratureDecoder(width, ANCHOR_FEATURES if anchor else 0)

    def forward(self, part: RivalPart, wanted: Tensor) -> PlasticRead:
        """The plastic strain in states given as history and step [S, 2]."""
        inputs, own = _node_inputs(part, wanted), None
        if self.anchor:
            own = anchor_features(part, wanted)
            inputs = torch.cat([inputs, on_nodes(part, own)], dim=-1)
        points = self.encode(inputs)
        for block in self.blocks:
            points = block(points)
        return self.decode(part, self.norm(points), own)


def _node_inputs(part: RivalPart, wanted: Tensor) -> Tensor:
    states, count = len(wanted), len(part.positions)
    fixed = torch.cat([part.positions, part.node_features, part.material.expand(count, -1)], dim=1)
    rows = []
    for history, step in wanted.tolist():
        path = part.factors[history, : step + 1]  # [t + 1, K]
        loads = torch.einsum("tk,knc->tnc", path, part.case_loads)
        largest = loads.gather(0, loads.norm(dim=-1).argmax(dim=0)[None, :, None].expand(1, -1, 3))[0]
        wrench = path @ part.case_wrench
        whole = [wrench[-1], wrench.amax(dim=0), wrench.amin(dim=0)]
        spread = torch.cat([compressed(half) for w in whole for half in (w[:3], w[3:])])
        time = spread.new_tensor([(step + 1) / part.factors.shape[1]])
        rows.append(
            torch.cat([compressed(loads[-1]), compressed(largest), torch.cat([spread, time]).expand(count, -1)], dim=1)
        )
    return torch.cat([fixed.expand(states, -1, -1), torch.stack(rows)], dim=-1)


def anchor_features(part: RivalPart, wanted: Tensor) -> Tensor:
    """The elastic stress of some states [S, 2] and the one of largest von Mises stress so far [S, C, 4, 14]."""
    stress, rows = part.case_stress.float().permute(1, 2, 3, 0), []  # [C, 4, 6, K]
    levels: dict[int, Tensor] = {}
    for history, step in wanted.tolist():
        if history not in levels:
            levels[history] = _levels(stress, part.factors[history])
        path, level = part.factors[history], levels[history][: step + 1]
        top = level.argmax(dim=0)  # [C, 4]
        now, largest = stress @ path[step], (stress @ path[top][..., None])[..., 0]
        logs = torch.stack([torch.log(level[-1] + 0.05), torch.log(level.amax(dim=0) + 0.05)], dim=-1)
        rows.append(torch.cat([_asinh(now), _asinh(largest), logs], dim=-1))
    return torch.stack(rows)


def _levels(stress: Tensor, path: Tensor) -> Tensor:
    """Elastic von Mises stress [T, C, 4] along factors [T, K]."""
    shape = deviator(stress.movedim(-1, 0))  # [K, C, 4, 6]
    weights = shape.new_tensor([1.5, 1.5, 1.5, 3, 3, 3])
    form = torch.einsum("kcqi,i,lcqi->klcq", shape, weights, shape)
    return torch.einsum("tk,tl,klcq->tcq", path, path, form).clamp(min=0).sqrt()


def _asinh(stress: Tensor) -> Tensor:
    """A stress in its own direction with its logarithmic size."""
    size = norm(stress)[..., None]
    return stress / size * torch.asinh(size)


def state_loss(model: Transolver, part: RivalPart, wanted: Tensor) -> Tensor:
    """Relative L2 error, the published loss, of the plastic strain and of its accumulated equivalent."""
    strain, equivalent = part.truth(wanted)
    found = model(part, wanted)
    field = field_norm(part, found.strain - strain) / (field_norm(part, strain) + _FLOOR)
    missed = ((found.equivalent - equivalent).square() * part.share).sum(dim=(1, 2)) + 1e-16
    whole = (equivalent.square() * part.share).sum(dim=(1, 2))
    return (field + _EQUIVALENT_WEIGHT * missed.sqrt() / (whole.sqrt() + _FLOOR)).mean()
