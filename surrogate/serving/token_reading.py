"""What the tokens tell: the network of histories that the anchor has not brought to rest, the anchor of all others.

Of a history at rest the network repeats the anchor exactly (its heads see no trend), so it is not asked.
Shape letters: H histories, T steps, S states.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from surrogate.fields import IntArray
from surrogate.model.decoder import AnchorState, PlasticField, TokenScalars, anchor_scalars
from surrogate.model.rollout import PartRequest, RolledPart, decode, roll_out
from surrogate.serving.prepared import LoadedModel, Prepared


@dataclass(frozen=True)
class TokenReading:
    """What is said of one part.

    Attributes:
        scalars: of every history and step.
        rolled: latent answer of the restless histories, in their order; None where all are at rest.
    """

    scalars: TokenScalars
    rolled: RolledPart | None


def read_tokens(items: Sequence[Prepared], model: LoadedModel) -> list[TokenReading]:
    """Roll the restless histories of several parts out, all in one batch."""
    asked = [item for item in items if item.restless.any()]
    requests = [_of(item.request, np.flatnonzero(item.restless)) for item in asked]
    rolled = dict(zip(map(id, asked), roll_out(model.network, requests, model.device) if requests else [], strict=True))
    return [_joined(item, rolled.get(id(item))) for item in items]


def decode_restless(
    item: Prepared, part: RolledPart, states: AnchorState, wanted: IntArray, model: LoadedModel
) -> PlasticField:
    """Plastic strain of states [S, 2] of restless histories, by the network."""
    place = np.cumsum(item.restless) - 1
    own = np.stack([place[wanted[:, 0]], wanted[:, 1]], axis=1)
    return decode(model.network, item.graph, part, states, own, model.device)


def _of(request: PartRequest, histories: IntArray) -> PartRequest:
    index = torch.from_numpy(histories)
    return PartRequest(request.graph, request.actions[index], request.displacement_features[index])


def _joined(item: Prepared, part: RolledPart | None) -> TokenReading:
    told = anchor_scalars(item.request.actions, item.request.displacement_features)
    if part is None:
        return TokenReading(told, None)
    index = torch.from_numpy(np.flatnonzero(item.restless))
    rows = {field.name: getattr(told, field.name).clone() for field in fields(TokenScalars)}
    for name, values in rows.items():
        values[index] = getattr(part.scalars, name)
    return TokenReading(TokenScalars(**rows), part)
