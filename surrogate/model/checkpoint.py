"""A model on disk: safetensors and JSON; reading one runs no code of it.

A model is a folder with weights.safetensors and model.json (sizes, training settings, calibration, domain).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from surrogate.errors import CheckpointError
from surrogate.model.description import FORMAT, read_description, write_description
from surrogate.model.jepa import GraphJepa, ModelConfig

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model.

    Attributes:
        model: in evaluation mode, on the CPU.
        description: the JSON beside it.
    """

    model: GraphJepa
    description: Mapping[str, object]


def save_checkpoint(folder: Path, model: GraphJepa, description: Mapping[str, object]) -> None:
    """Write a model folder; each file under a temporary name first."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    # Written by Python, for save_file keeps the file from all other users.
    (folder / f".{WEIGHTS}").write_bytes(save(weights))
    (folder / f".{WEIGHTS}").rename(folder / WEIGHTS)
    write_description(folder, {**description, "format": FORMAT, "model": model.config.as_json()})


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a model folder.

    Raises:
        CheckpointError: no model there, a damaged one, or one of another version.
    """
    description = read_description(folder)
    model = _built(description.get("model"), folder)
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(
            f"the weights in {folder.name!r} are damaged ({error}); install the model again"
        ) from error
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return Checkpoint(model, description)


def _built(sizes: object, folder: Path) -> GraphJepa:
    unknown = f"the model in {folder.name!r} has sizes this version does not know; install a matching one"
    if not isinstance(sizes, dict) or set(sizes) != {f.name for f in fields(ModelConfig)}:
        raise CheckpointError(unknown)
    try:
        return GraphJepa(ModelConfig(**sizes))
    except (TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{unknown} ({error})") from error


def parameter_count(model: torch.nn.Module) -> int:
    """Number of trained numbers."""
    return sum(parameter.numel() for parameter in model.parameters())
