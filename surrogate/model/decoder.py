"""Decoders: plastic strain at quadrature points, and scalars straight from the tokens.

The plastic strain is put together from tensors that turn with the part (the anchor's plastic strain, stress
directions, neighbours' plastic strain, dyads of directions to neighbours) with coefficients that are invariant, so it
turns with the part exactly. Shape letters: S states, A active cells, J neighbours, M tokens, D width.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, softplus

from surrogate.model.graph import TOKENS_READ, PartGraph
from surrogate.model.invariant_features import (
    FEATURE_COUNT,
    TREND_FEATURE,
    deviator,
    dot,
    dyad,
    norm,
    point_features,
    square,
    unit,
)

# Largest displacement, hottest plastic strain and largest permanent displacement by the anchor, see anchor_state.
DISPLACEMENT_FEATURES = 3
_EDGE_FEATURES = 5
_OWN_TENSORS = 7
_DEFECT_FEATURES = 2
_SQRT_3_2 = 1.5**0.5


@dataclass(frozen=True)
class AnchorState:
    """The reduced anchor at the quadrature points of the active cells in S states; stress in yield strengths.

    Attributes:
        elastic: elastic stress [S, A, 4, 6].
        increment: its change over the last step [S, A, 4, 6].
        stress: [S, A, 4, 6].
        strain: plastic strain, tensor shear, in yield strains [S, A, 4, 6].
        equivalent: equivalent plastic strain, in yield strains [S, A, 4].
        earlier: the same before the last enrichment [S, A, 4].
        local: the same of the local anchor [S, A, 4].
        defect: elastic stress of the strain by which equilibrium with this plastic strain differs from the anchor's
            own strain [S, A, 4, 6]; zero where no factor is at hand.
    """

    elastic: Tensor
    increment: Tensor
    stress: Tensor
    strain: Tensor
    equivalent: Tensor
    earlier: Tensor
    local: Tensor
    defect: Tensor

    def select(self, states: Tensor) -> "AnchorState":
        """Some of the states."""
        return AnchorState(*(getattr(self, f.name)[states] for f in fields(self)))

    def to(self, device: torch.device) -> "AnchorState":
        """The same states on a device."""
        return AnchorState(*(getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)))


@dataclass(frozen=True)
class PlasticField:
    """Predicted plastic state, in yield strains.

    Attributes:
        strain: tensor shear [S, A, 4, 6].
        equivalent: [S, A, 4].
    """

    strain: Tensor
    equivalent: Tensor


class MessageLayer(nn.Module):
    """Mean over the neighbours of an MLP of both ends and the edge."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sender = nn.Linear(width, width)
        self.receiver = nn.Linear(width, width, bias=False)
        self.edge = nn.Linear(_EDGE_FEATURES, width, bias=False)
        self.message = nn.Linear(width, width)
        self.update = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, width))
        self.norm = nn.LayerNorm(width)

    def forward(self, hidden: Tensor, edges: Tensor, neighbours: Tensor) -> Tensor:
        """Cells [S, A, d], edge features [S, A, J, _EDGE_FEATURES], neighbours [A, J] -> cells [S, A, d]."""
        normed = self.norm(hidden)
        gathered = self.sender(normed)[:, neighbours]  # [S, A, J, d]
        mixed = gelu(gathered + self.receiver(normed)[:, :, None] + self.edge(edges)).mean(dim=2)
        return hidden + self.update(torch.cat([normed, self.message(mixed)], dim=-1))


class FieldDecoder(nn.Module):
    """Latent tokens and the reduced anchor -> plastic strain at the quadrature points of the active cells."""

    def __init__(self, width: int, cell_width: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.point = nn.Sequential(
            nn.Linear(FEATURE_COUNT + _DEFECT_FEATURES, hidden), nn.GELU(), nn.Linear(hidden, hidden)
        )
        self.latent = nn.Linear(width, hidden)
        self.reading = nn.Sequential(nn.Linear(2 * TOKENS_READ, 16), nn.GELU(), nn.Linear(16, TOKENS_READ))
        self.cell = nn.Linear(cell_width, hidden)
        self.layers = nn.ModuleList([MessageLayer(hidden) for _ in range(layers)])
        self.edge_tensors = nn.Linear(hidden + _EDGE_FEATURES, 2)
        self.head = nn.Sequential(nn.Linear(3 * hidden, hidden), nn.GELU(), nn.Linear(hidden, 3 + _OWN_TENSORS + 2))
        last = self.head[-1]
        assert isinstance(last, nn.Linear)
        # Untrained, the decoder repeats the anchor.
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.zero_()
            last.bias[:3] = torch.tensor([0.0, -6.0, -6.0])

    def forward(
        self, graph: PartGraph, cells: Tensor, tokens: Tensor, geometry: Tensor, anchor: AnchorState
    ) -> PlasticField:
        """Decode S states of one part.

        Args:
            graph: the part.
            cells: embedding of its active cells [A, cell width].
            tokens: latent tokens [S, M, D].
            geometry: geometry tokens [M, D].
            anchor: the reduced anchor in these states.
        """
        features = point_features(
            anchor.elastic,
            anchor.increment,
            anchor.stress,
            anchor.strain,
            anchor.equivalent,
            graph.material[0],
            (anchor.earlier, anchor.local),
        )
        features = torch.cat([features, _defect_features(anchor)], dim=-1)
        points = self.point(features)  # [S, A, 4, h]
        hidden = points.mean(dim=2) + self.cell(cells) + self._read(graph, self.latent(tokens + geometry))
        mean_strain, mean_level = anchor.strain.mean(dim=2), anchor.equivalent.mean(dim=2)
        edges = self._edges(graph, anchor)
        for layer in self.layers:
            hidden = layer(hidden, edges, graph.neighbours)
        weights = self.edge_tensors(torch.cat([hidden[:, graph.neighbours], edges], dim=-1))  # [S, A, J, 2]
        near = (weights[..., :1] * mean_strain[:, graph.neighbours]).mean(dim=2)
        spread = (weights[..., 1:] * dyad(graph.offset)).mean(dim=2)
        around = mean_level[:, graph.neighbours].mean(dim=2)
        together = torch.cat(
            [hidden[:, :, None].expand_as(points), points, points.mean(2, keepdim=True).expand_as(points)], -1
        )
        return _assemble(self.head(together), anchor, graph, near, spread, around)

    def _read(self, graph: PartGraph, latent: Tensor) -> Tensor:
        distance = graph.token_distance_read
        weights = torch.softmax(self.reading(torch.cat([distance, torch.exp(-distance)], dim=-1)), dim=-1)
        return (latent[:, graph.tokens_read] * weights[..., None]).sum(dim=2)

    @staticmethod
    def _edges(graph: PartGraph, anchor: AnchorState) -> Tensor:
        length = graph.offset.norm(dim=-1)
        along = dyad(graph.offset / (length[..., None] + 1e-6))  # [A, J, 6]
        stress = unit(deviator(anchor.stress.mean(dim=2)))[:, :, None]
        elastic = deviator(anchor.elastic.mean(dim=2))
        level = torch.log1p(norm(elastic))
        rise = level[:, graph.neighbours] - level[:, :, None]
        plastic = torch.log1p(anchor.equivalent.mean(dim=2))[:, graph.neighbours]
        projected = dot(stress, along[None]), dot(unit(elastic)[:, :, None], along[None])
        return torch.stack([length.expand_as(rise), *projected, rise, plastic], dim=-1)


def _defect_features(anchor: AnchorState) -> Tensor:
    """How far and which way equilibrium pulls, along the flow and in all [S, A, 4, _DEFECT_FEATURES]."""
    pull = deviator(anchor.defect)
    along = _SQRT_3_2 * dot(unit(deviator(anchor.stress)), pull)
    return torch.stack([torch.asinh(20 * along), torch.log1p(20 * norm(pull))], dim=-1)


def _doubt(anchor: AnchorState) -> Tensor:
    """How unsure the reduced anchor is of itself, 0 to 1 [S, A, 4, 1]: by its defect and its last enrichment."""
    trend = torch.log1p(anchor.equivalent) - torch.log1p(anchor.earlier)
    return -torch.expm1(-(20 * norm(anchor.defect) + 10 * trend.abs()))[..., None]


def _assemble(
    out: Tensor, anchor: AnchorState, graph: PartGraph, near: Tensor, spread: Tensor, around: Tensor
) -> PlasticField:
    """Plastic strain from invariant coefficients [S, A, 4, 3 + _OWN_TENSORS + 2]."""
    # The network has a say where the physics doubts itself.
    doubt = _doubt(anchor)
    out = torch.cat([out[..., :1] * doubt, out[..., 1:3], out[..., 3:] * doubt], dim=-1)
    own, share, extra = out[..., 0].clamp(-4, 4), out[..., 1], out[..., 2]
    equivalent = torch.exp(own) * anchor.equivalent + doubt[..., 0] * (
        torch.sigmoid(share) * around[..., None] + softplus(extra)
    )
    elastic, stress = unit(deviator(anchor.elastic)), unit(deviator(anchor.stress))
    virgin = (anchor.equivalent <= 0).to(equivalent)
    # How straight the local path was: 1 for proportional loading, below for reversals.
    straight = norm(anchor.strain) / (_SQRT_3_2 * anchor.equivalent + 1e-6)
    tensors = torch.stack(
        [
            unit(anchor.strain) * straight[..., None],
            elastic,
            stress,
            unit(deviator(square(elastic))),
            unit(deviator(square(stress))),
            dyad(graph.gradient)[:, None].expand_as(elastic),
            unit(deviator(anchor.defect)),
        ],
        dim=-2,
    )
    coefficients = out[..., 3 : 3 + _OWN_TENSORS]
    start = torch.stack([1 - virgin, virgin], dim=-1)
    coefficients = torch.cat([coefficients[..., :2] + start, coefficients[..., 2:]], dim=-1)
    direction = (coefficients[..., None] * tensors).sum(dim=-2)
    neighbour = out[..., -2:-1] * unit(near)[:, :, None] + out[..., -1:] * spread[:, :, None]
    strain = direction + neighbour
    # The equivalent plastic strain is the length of the path, so the strain cannot be longer.
    strain = strain / norm(strain).clamp(min=1.0)[..., None]
    return PlasticField(_SQRT_3_2 * equivalent[..., None] * strain, equivalent)


class TokenHeads(nn.Module):
    """Scalars straight from the tokens: nothing is decoded when histories are ranked.

    Per token: log ratio of the largest equivalent plastic strain of its region over the anchor's at its hottest
    point, and an additive part of it. Per part: change of the largest displacement, and log ratio of the permanent set
    over the reduced anchor's. Untrained, they repeat the anchor. The largest von Mises stress is the anchor's own: a
    learned correction of it made it worse on validation parts (decision 12).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token = nn.Sequential(nn.Linear(2 * width + FEATURE_COUNT, width), nn.GELU(), nn.Linear(width, 2))
        self.part = nn.Sequential(nn.Linear(2 * width + DISPLACEMENT_FEATURES, width), nn.GELU(), nn.Linear(width, 2))
        for layers in (self.token, self.part):
            last = layers[-1]
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, tokens: Tensor, geometry: Tensor, action: Tensor, displacement: Tensor) -> "TokenScalars":
        """Tokens [B, G, M, D], geometry [B, M, D], action [B, G, M, F], displacement features [B, G, 3]."""
        known = geometry[:, None].expand_as(tokens)
        out = self.token(torch.cat([tokens, known, action], dim=-1))
        anchor = torch.expm1(action[..., 5])  # the anchor's equivalent plastic strain, see point_features
        # Where the last enrichment changed nothing, there is nothing to add.
        doubt = -torch.expm1(-action[..., TREND_FEATURE].abs())
        plastic = torch.exp((doubt * out[..., 0]).clamp(-4, 4)) * anchor + doubt * softplus(out[..., 1] - 6)
        pooled = torch.cat([tokens.mean(dim=2), tokens.amax(dim=2), displacement], dim=-1)
        change, ratio = (doubt.amax(dim=2)[..., None] * self.part(pooled)).unbind(-1)
        return TokenScalars(
            plastic, action[..., 1], displacement[..., 0] + change, displacement[..., 2] * torch.exp(ratio.clamp(-2, 2))
        )


@dataclass(frozen=True)
class TokenScalars:
    """Scalars read from the tokens.

    Attributes:
        plastic: largest equivalent plastic strain of each region, in yield strains [B, G, M].
        von_mises: largest von Mises stress of each region, in yield strengths [B, G, M].
        displacement: largest displacement over the largest elastic one of the history so far [B, G].
        permanent_set: largest displacement that would stay after unloading, over the same [B, G].
    """

    plastic: Tensor
    von_mises: Tensor
    displacement: Tensor
    permanent_set: Tensor


def anchor_scalars(action: Tensor, displacement: Tensor) -> TokenScalars:
    """What the anchor reads at the tokens, action [..., M, F] and displacement features [..., 3].

    The heads say the same where the last enrichment changed nothing.
    """
    return TokenScalars(torch.expm1(action[..., 5]), action[..., 1], displacement[..., 0], displacement[..., 2])
