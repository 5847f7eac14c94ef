"""Inference: encode parts once, roll all their histories out together, decode only the states that are asked for.

Shape letters: B parts, H histories, T steps, M tokens, D width, A active cells, S states.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from surrogate.fields import IntArray
from surrogate.model.decoder import AnchorState, PlasticField, TokenScalars
from surrogate.model.graph import PartGraph
from surrogate.model.jepa import GraphJepa

# Histories rolled out at once, and cells times states decoded at once: bound the memory whatever is asked.
_ROLL_ROWS = 64
_DECODE_CELLS = 60_000


@dataclass(frozen=True)
class PartRequest:
    """What the network is asked about one part.

    Attributes:
        graph: the part.
        actions: [H, T, M, F].
        displacement_features: [H, T, DISPLACEMENT_FEATURES].
    """

    graph: PartGraph
    actions: Tensor
    displacement_features: Tensor


@dataclass(frozen=True)
class RolledPart:
    """Latent answer for one part, on the model's device.

    Attributes:
        tokens: [H, T, M, D].
        geometry: [M, D].
        cells: embedding of the active cells [A, cell width].
        scalars: read from the tokens, [H, T, M] and [H, T], on the CPU.
    """

    tokens: Tensor
    geometry: Tensor
    cells: Tensor
    scalars: TokenScalars


@torch.inference_mode()
def roll_out(model: GraphJepa, requests: Sequence[PartRequest], device: torch.device) -> list[RolledPart]:
    """Encode and roll out several parts in one batch; bf16 where the device is a GPU."""
    graphs = [request.graph.to(device) for request in requests]
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
        geometry = model.geometry(graphs)
        actions = _padded([request.actions for request in requests]).to(device, non_blocking=True)
        displacement = _padded([request.displacement_features for request in requests]).to(device, non_blocking=True)
        rolled, heads = [], []
        for first in range(0, actions.shape[1], _ROLL_ROWS):
            rows = slice(first, first + _ROLL_ROWS)
            tokens = model.roll(actions[:, rows], geometry)
            rolled.append(tokens.float())
            b, h, t = tokens.shape[:3]
            found = model.heads(
                tokens.flatten(1, 2),
                geometry.tokens,
                actions[:, rows].flatten(1, 2),
                displacement[:, rows].flatten(1, 2),
            )
            parts = (found.plastic, found.von_mises, found.displacement, found.permanent_set)
            heads.append([part.view(b, h, t, *part.shape[2:]).float().cpu() for part in parts])
    tokens = torch.cat(rolled, dim=1)
    scalars = [torch.cat(parts, dim=1) for parts in zip(*heads, strict=True)]
    result = []
    for i, request in enumerate(requests):
        h, t = request.actions.shape[:2]
        own = TokenScalars(*(part[i, :h, :t] for part in scalars))
        result.append(RolledPart(tokens[i, :h, :t], geometry.tokens[i].float(), geometry.cells[i].float(), own))
    return result


def _padded(arrays: list[Tensor]) -> Tensor:
    """[H, T, ...] arrays of several parts as one [B, H, T, ...], zero where a part has less."""
    histories, steps = max(a.shape[0] for a in arrays), max(a.shape[1] for a in arrays)
    result = arrays[0].new_zeros(len(arrays), histories, steps, *arrays[0].shape[2:])
    for i, array in enumerate(arrays):
        result[i, : array.shape[0], : array.shape[1]] = array
    return result.pin_memory() if torch.cuda.is_available() else result


@torch.inference_mode()
def decode(
    model: GraphJepa, graph: PartGraph, part: RolledPart, anchor: AnchorState, wanted: IntArray, device: torch.device
) -> PlasticField:
    """Plastic strain of some states, on the CPU.

    Args:
        model: the network, on `device`.
        graph: the part.
        part: its rollout.
        anchor: the reduced anchor in these states.
        wanted: history and step of each state [S, 2].
        device: where to run.
    """
    moved = graph.to(device)
    index = torch.from_numpy(wanted)
    chunk = max(1, _DECODE_CELLS // max(len(graph.active), 1))
    strain, equivalent = [], []
    for first in range(0, len(wanted), chunk):
        rows = index[first : first + chunk]
        states = torch.arange(first, first + len(rows))
        on_device = anchor.select(states).to(device)
        tokens = part.tokens[rows[:, 0], rows[:, 1]]
        field = model.field(moved, part.cells, tokens, part.geometry, on_device)
        strain.append(field.strain.float().cpu())
        equivalent.append(field.equivalent.float().cpu())
    return PlasticField(torch.cat(strain), torch.cat(equivalent))
