"""The mutable state of a training run: weights, their average, optimiser, step; on disk so that a cut run goes on."""

import copy
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import torch

from surrogate.errors import InputError
from surrogate.model.checkpoint import WEIGHTS, load_checkpoint
from surrogate.model.jepa import GraphJepa
from surrogate.training.config import TrainingConfig

_STATE, _SETTINGS = "training_state.pt", "config.json"
# What decides which weights a run starts from and what it has seen; another step number only stretches the schedule.
_FIXED = ("model", "start", "seed", "label_share", "left_out_family")


class RunState:
    """Weights, their average, optimiser and step of a run.

    Args:
        config: the run.
        device: where it trains.

    Attributes:
        config: the run, with the sizes of the model that it starts from.
        model: the network that learns.
        average: moving average of its weights, used for everything but the gradient.
        optimizer: AdamW.
        step: optimiser steps done.

    Raises:
        CheckpointError: no model to start from.
    """

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.device = device
        if config.start is None:
            self.config, model = config, GraphJepa(config.model)
        else:
            model = load_checkpoint(config.start).model.requires_grad_(True)
            self.config = replace(config, model=model.config)
        self.model = model.to(device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.step = 0

    @property
    def path(self) -> Path:
        """Of the resumable checkpoint."""
        return self.config.out / _STATE

    def description(self) -> dict[str, object]:
        """Settings of the run as JSON, with which weights it started from."""
        return {
            **self.config.as_json(),
            "start": None if self.config.start is None else weights_mark(self.config.start),
        }

    def save(self) -> None:
        """Write the resumable checkpoint; the old one stays until the new one is whole."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "random": torch.get_rng_state(),
        }
        temporary = self.path.with_suffix(".part")
        torch.save(state, temporary)
        temporary.rename(self.path)

    def save_settings(self) -> None:
        """Write the settings of the run beside its checkpoint."""
        temporary = self.config.out / f".{_SETTINGS}"
        temporary.write_text(json.dumps(self.description(), indent=1) + "\n")
        temporary.rename(self.config.out / _SETTINGS)

    def resume(self) -> bool:
        """Go on from the checkpoint, if there is one.

        Raises:
            InputError: what lies there began otherwise, so that going on would give neither of the two runs.
        """
        if not self.path.exists():
            return False
        self._check_settings()
        state = torch.load(self.path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        torch.set_rng_state(state["random"].cpu())
        return True

    def _check_settings(self) -> None:
        settings = self.config.out / _SETTINGS
        held = json.loads(settings.read_text()) if settings.exists() else self.description()
        wanted = json.loads(json.dumps(self.description()))
        for name in _FIXED:
            if held.get(name) != wanted[name]:
                raise InputError(
                    f"the run in {self.config.out.name!r} was begun with {name} = {held.get(name)}, not "
                    f"{wanted[name]}; give another --out, or repeat what it was begun with"
                )


def weights_mark(folder: Path) -> str:
    """A short mark that tells the weights of a model from all others."""
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:16]
