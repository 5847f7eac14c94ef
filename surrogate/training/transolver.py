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
    on_nodes,
    thinned,
)
from surrogate.training.rival_decoder import KNEE, LEAST_NORM, PlasticRead, QuadratureDecoder, compressed_error

_HEADS = 4
# Load now and where it was largest so far, total force and moment now, largest and smallest so far, share of the steps.
_ACTION = 2 * 3 + 3 * 6 + 1
_NODE_INPUTS = 3 + NODE_FEATURES + MATERIAL_FEATURES + _ACTION
# Elastic stress at the step and where its von Mises stress was largest so far, and the logarithms of both.
ANCHOR_FEATURES = 2 * 6 + 2
_EQUIVALENT_WEIGHT = 0.3
# Cells that a loss looks at.
_LOSS_CELLS = 400


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

    def __init__(self, anchor: bool, width: int = 64, layers: int = 4, slices: int = 32) -> None:
        super().__init__()
        self.anchor = anchor
        inputs = _NODE_INPUTS + (ANCHOR_FEATURES if anchor else 0)
        self.encode = nn.Sequential(nn.Linear(inputs, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.blocks = nn.ModuleList(_Block(width, slices) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.decode = QuadratureDecoder(width, width // 2, ANCHOR_FEATURES if anchor else 0)

    def forward(self, part: RivalPart, wanted: Tensor, read: RivalPart | None = None) -> PlasticRead:
        """The plastic strain in states given as history and step [S, 2], at all cells or at those of a thinned part."""
        inputs, own, read = _node_inputs(part, wanted), None, read or part
        if self.anchor:
            inputs = torch.cat(
                [inputs, anchor_features(on_nodes(part, part.case_stress.float()), part, wanted)], dim=-1
            )
            own = anchor_features(read.case_stress.float(), part, wanted)
        points = self.encode(inputs)
        for block in self.blocks:
            points = block(points)
        return self.decode(read, self.norm(points), own)


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


def anchor_features(case_stress: Tensor, part: RivalPart, wanted: Tensor) -> Tensor:
    """The elastic stress of states [S, 2] and the one of largest von Mises stress so far.

    Args:
        case_stress: of each load case at any points [K, ..., 6].
        part: whose histories are meant.
        wanted: history and step of each state.

    Returns:
        [S, ..., 14].
    """
    shape = deviator(case_stress)
    weights = shape.new_tensor([1.5, 1.5, 1.5, 3, 3, 3])
    form = torch.einsum("k...i,l...i->kl...", shape * weights, shape)
    last = case_stress.movedim(0, -1)  # [..., 6, K]
    levels: dict[int, Tensor] = {}
    rows = []
    for history, step in wanted.tolist():
        path = part.factors[history]
        if history not in levels:
            levels[history] = torch.einsum("tk,tl,kl...->t...", path, path, form).clamp(min=0).sqrt()
        level = levels[history][: step + 1]
        now, largest = last @ path[step], (last @ path[level.argmax(dim=0)][..., None])[..., 0]
        logs = torch.stack([torch.log(level[-1] + 0.05), torch.log(level.amax(dim=0) + 0.05)], dim=-1)
        rows.append(torch.cat([_asinh(now), _asinh(largest), logs], dim=-1))
    return torch.stack(rows)


def _asinh(stress: Tensor) -> Tensor:
    """A stress in its own direction with its logarithmic size."""
    size = norm(stress)[..., None]
    return stress / size * torch.asinh(size)


def state_loss(model: Transolver, part: RivalPart, wanted: Tensor) -> Tensor:
    """Squared error of the plastic strain and of its equivalent in logarithmic size (see `compressed_error`)."""
    some = thinned(part, _LOSS_CELLS)
    strain, equivalent = some.truth(wanted)
    found = model(part, wanted, some)
    sizes = [torch.asinh(each / KNEE) for each in (found.equivalent, equivalent)]
    missed = ((sizes[0] - sizes[1]).square() * some.share).sum(dim=(1, 2)).mean()
    whole = (sizes[1].square() * some.share).sum(dim=(1, 2)).mean()
    return compressed_error(some, found.strain, strain) + _EQUIVALENT_WEIGHT * missed / (whole + LEAST_NORM**2)
