"""What the ablations train on: every part of a campaign as tensors of its tokens alone, small enough for memory.

No field is kept: geometry pooled to the tokens, action features, pooled true states and the scalars of the regions.
Shape letters: N parts, R histories of all parts, H of one part, T steps, M tokens, C cells, F action features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch_geometric.utils import scatter

from surrogate.model.graph import CELL_FEATURES

GEOMETRY_FEATURES = 2 * CELL_FEATURES + 12
Anchor = Literal["reduced", "earlier", "local", "elastic", "none"]
ANCHORS: tuple[Anchor, ...] = ("reduced", "earlier", "local", "elastic", "none")
# Places among the action features (see `point_features`).
ELASTIC, STRESS, MEAN, OVER, PLASTIC, RADIUS = 0, 1, 2, 4, 5, 7
PATH, ALONG, MEAN_CHANGE, TRIAXIAL, YIELDED, TREND, EARLIER = 11, 12, 13, 14, 16, 17, 18
# What is elastic of the pooled geometry: largest stress level of the cells and the tokens, and the shares near it.
_LOADED = [0, 1, 10, 11, 20, 21, 23, 25, 26, 27, 28]
# Of the pooled state features, mean and largest: those that compare with the reduced anchor.
_COMPARED = [1, 2, 4, 5, 7, 9, 10, 12, 13, 15]
_HISTORY_NAMES = ("actions", "displacement_features", "pooled", "plastic", "von_mises", "displacement", "permanent_set")


@dataclass(frozen=True)
class TokenTable:
    """All parts of a split at their tokens; stress in yield strengths, strain in yield strains.

    Attributes:
        geometry: pooled geometry [N, M, GEOMETRY_FEATURES].
        distance: between tokens [N, M, M].
        part: of each history [R].
        actions: [R, T, M, F], half precision.
        displacement_features: [R, T, 3].
        pooled: pooled features of the true states [R, T, M, POOLED_FEATURES], half precision.
        plastic: largest true equivalent plastic strain of each region [R, T, M].
        von_mises: largest true von Mises stress of each region [R, T, M].
        displacement: [R, T].
        permanent_set: [R, T].
    """

    geometry: Tensor
    distance: Tensor
    part: Tensor
    actions: Tensor
    displacement_features: Tensor
    pooled: Tensor
    plastic: Tensor
    von_mises: Tensor
    displacement: Tensor
    permanent_set: Tensor


def token_table(prepared: Sequence[Path], tokens: int) -> TokenTable:
    """Read prepared samples, keeping the first so many of their tokens; parts in which nothing may yield are left out.

    The tokens were placed one after another, each far from those before, so the first ones are a coarser placement;
    the region of each token left out joins that of the nearest token kept.
    """
    found = []
    for path in prepared:
        with safe_open(path, "pt") as file:
            if file.get_slice("graph.active").get_shape()[0]:
                found.append({name: file.get_tensor(name) for name in file.keys() if name in _READ})  # noqa: SIM118
    parts = [_part(tensors, tokens) for tensors in found]
    count = torch.tensor([len(part["actions"]) for part in parts])
    steps = max(part["actions"].shape[1] for part in parts)
    columns = {name: torch.cat([_held(part[name], steps) for part in parts]) for name in _HISTORY_NAMES}
    return TokenTable(
        geometry=torch.stack([part["geometry"] for part in parts]),
        distance=torch.stack([part["distance"] for part in parts]),
        part=torch.arange(len(parts)).repeat_interleave(count),
        **columns,
    )


_READ = {
    *(f"graph.{name}" for name in ("cell_features", "cell_region", "active", "volume", "token_features")),
    *("graph.token_distance", "graph.material", "actions", "displacement_features", "pooled"),
    *("token_plastic", "token_von_mises", "displacement", "permanent_set"),
}


def _held(values: Tensor, steps: int) -> Tensor:
    missing = steps - values.shape[1]
    return values if missing == 0 else torch.cat([values, values[:, -1:].expand(-1, missing, *values.shape[2:])], dim=1)


def _part(tensors: dict[str, Tensor], tokens: int) -> dict[str, Tensor]:
    """The tensors of one part at fewer tokens."""
    distance = tensors["graph.token_distance"]
    joins = distance[:, :tokens].argmin(dim=1)  # a kept token is nearest to itself
    actions = tensors["actions"]
    hottest = _hottest(actions.float(), joins, tokens)
    region = joins[tensors["graph.cell_region"]]

    def largest(values: Tensor) -> Tensor:
        return scatter(values, joins, dim=-1, dim_size=tokens, reduce="max")

    return {
        "geometry": _geometry(tensors, region, tokens, distance[:tokens, :tokens]),
        "distance": distance[:tokens, :tokens],
        "actions": actions[:, :, hottest],
        "displacement_features": tensors["displacement_features"],
        "pooled": _merged_states(tensors, joins, tokens).half(),
        "plastic": largest(tensors["token_plastic"]),
        "von_mises": largest(tensors["token_von_mises"]),
        "displacement": tensors["displacement"],
        "permanent_set": tensors["permanent_set"],
    }


def _hottest(actions: Tensor, joins: Tensor, tokens: int) -> Tensor:
    """The token that speaks for each joined region: where something flows most, else of the largest stress [M]."""
    plastic, elastic = actions[..., PLASTIC].amax((0, 1)), actions[..., ELASTIC].amax((0, 1))
    level = torch.where(plastic > 0, 1e3 + plastic, elastic)
    score = torch.full((tokens, len(joins)), -torch.inf)
    score[joins, torch.arange(len(joins))] = level
    return score.argmax(dim=1)


def _merged_states(tensors: dict[str, Tensor], joins: Tensor, tokens: int) -> Tensor:
    """Pooled state features of joined regions: means by active volume, largest where there is an active cell."""
    mean, largest = tensors["pooled"].float().chunk(2, dim=-1)
    owner = tensors["graph.cell_region"][tensors["graph.active"]]
    volume = scatter(tensors["graph.volume"].sum(dim=1), owner, dim_size=len(joins), reduce="sum")
    total = scatter(volume, joins, dim_size=tokens, reduce="sum").clamp(min=1e-12)
    merged = scatter(mean * volume[:, None], joins, dim=2, dim_size=tokens, reduce="sum") / total[:, None]
    hidden = largest.masked_fill((volume <= 0)[:, None], -torch.inf)
    top = torch.full((*largest.shape[:2], tokens, largest.shape[-1]), -torch.inf)
    top = top.scatter_reduce(2, joins[:, None].expand_as(hidden), hidden, reduce="amax")
    return torch.cat([merged, top.masked_fill(top.isinf(), 0.0)], dim=-1)


def _geometry(tensors: dict[str, Tensor], region: Tensor, tokens: int, distance: Tensor) -> Tensor:
    """Mean and largest cell features of each region, its token features and the material [M, GEOMETRY_FEATURES]."""
    cells, hot = tensors["graph.cell_features"], tensors["graph.cell_features"][:, 1]
    volume = torch.exp(3 * cells[:, 2])
    share = volume / volume.sum()
    total = scatter(share, region, dim_size=tokens, reduce="sum") + 1e-12
    pooled = [scatter(cells, region, dim_size=tokens, reduce=how) for how in ("mean", "max")]
    peak = scatter(hot, region, dim_size=tokens, reduce="max")
    mean = scatter(share * hot, region, dim_size=tokens, reduce="sum") / total
    spacing = distance.masked_fill(distance == 0, torch.inf).amin(dim=1)
    columns = [torch.log(peak + 1e-3), peak, torch.log(total), torch.log(mean + 1e-3), torch.log(spacing + 1e-3)]
    columns += [
        scatter(share * (hot > level * peak[region]), region, dim_size=tokens, reduce="sum") / total
        for level in (0.5, 0.7, 0.85, 0.95)
    ]
    return torch.cat([*pooled, torch.stack(columns, dim=1), tensors["graph.material"].expand(tokens, 3)], dim=1)


def save_table(table: TokenTable, path: Path) -> None:
    """Keep a table; under another name until it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    save_file({f.name: getattr(table, f.name).contiguous() for f in fields(TokenTable)}, temporary)
    temporary.rename(path)


def load_table(path: Path) -> TokenTable:
    """Read what `save_table` wrote."""
    return TokenTable(**load_file(path))


def accumulated(actions: Tensor, groups: Sequence[int]) -> Tensor:
    """Several increments as one action.

    Args:
        actions: [..., T, M, F].
        groups: steps of each group, one after another; what is left of T is dropped.

    Returns:
        [..., len(groups), M, F]: the features of the last state of each group; of the increments the length of the
        path, the sum of what acts along the stress, and the whole change of the mean stress.
    """
    ends = torch.tensor(groups).cumsum(0) - 1
    result = actions[..., ends, :, :].clone()
    undo = {PATH: (torch.expm1, torch.log1p), ALONG: (torch.sinh, torch.asinh), MEAN_CHANGE: (torch.sinh, torch.asinh)}
    for feature, (linear, scaled) in undo.items():
        sums = linear(actions[..., feature]).cumsum(dim=-2)[..., ends, :]
        before = torch.cat([torch.zeros_like(sums[..., :1, :]), sums[..., :-1, :]], dim=-2)
        result[..., feature] = scaled(sums - before)
    return result


@dataclass(frozen=True)
class Inputs:
    """What the network reads of some histories with a given anchor.

    Attributes:
        actions: [R, T, M, F].
        displacement_features: [R, T, 3].
        pooled: [R, T, M, POOLED_FEATURES].
    """

    actions: Tensor
    displacement_features: Tensor
    pooled: Tensor


def under_anchor(inputs: Inputs, hardening: Tensor, anchor: Anchor) -> Inputs:
    """The same histories as a weaker anchor tells them; what only the reduced anchor knows is zero.

    The equivalent plastic strain is that anchor's own; yield radius and von Mises stress follow from it (the stress
    on the yield surface, or the elastic one below), directions of stress and plastic strain are left out, the stress
    increment acts along the elastic stress. States are told without comparing them with an anchor. Where the tokens lie
    and which point speaks for each was chosen by the reduced anchor and stays.

    Args:
        inputs: with the reduced anchor.
        hardening: hardening modulus over E of each history [R].
        anchor: "earlier" is the reduced one before its enrichment, "elastic" has no plastic strain, "none" knows only
            how far along its history a step is.
    """
    if anchor == "reduced":
        return inputs
    old = inputs.actions
    pooled = inputs.pooled.clone()
    pooled[..., _COMPARED] = 0
    actions = torch.zeros_like(old)
    if anchor == "none":
        return Inputs(actions, torch.zeros_like(inputs.displacement_features), pooled)
    actions[..., [ELASTIC, MEAN, PATH, MEAN_CHANGE, TRIAXIAL]] = old[..., [ELASTIC, MEAN, PATH, MEAN_CHANGE, TRIAXIAL]]
    if anchor != "elastic":
        log = old[..., PLASTIC] - old[..., TREND] / 10
        if anchor == "local":
            log = log - old[..., EARLIER]
        else:
            actions[..., EARLIER] = old[..., EARLIER]
        actions[..., PLASTIC] = log.clamp(min=0)
    plastic, elastic = torch.expm1(actions[..., PLASTIC]), torch.expm1(actions[..., ELASTIC])
    radius = 1 + hardening[:, None, None] * plastic
    actions[..., STRESS] = torch.minimum(elastic, radius) if anchor != "elastic" else elastic
    actions[..., OVER], actions[..., RADIUS] = torch.asinh(elastic - radius), torch.log(radius)
    actions[..., YIELDED] = (plastic > 1e-3).to(plastic)
    before = torch.cat([torch.zeros_like(elastic[:, :1]), elastic[:, :-1]], dim=1)
    actions[..., ALONG] = torch.asinh(elastic - before)
    top = elastic.amax(dim=2)
    ratio = top / torch.cummax(top, dim=1).values.clamp(min=1e-6)
    displacement = torch.stack([ratio, actions[..., PLASTIC].amax(dim=2), torch.zeros_like(ratio)], dim=-1)
    return Inputs(actions, displacement, pooled)


def geometry_under(geometry: Tensor, anchor: Anchor) -> Tensor:
    """Pooled geometry without elastic stress where the anchor is "none"."""
    if anchor != "none":
        return geometry
    result = geometry.clone()
    result[..., _LOADED] = 0
    return result
