"""Run by torchrun in tests: trains and writes this process's weights, its gradients and what it drew."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from surrogate.model.jepa import GraphJepa
from surrogate.training import distributed, trainer
from surrogate.training.batches import TrainingBatch, draw_batch, make_batch
from surrogate.training.sample_store import SampleStore
from tests.training.wedges import STEPS, run_config


def drawn_run(data: Path, out: Path) -> dict[str, object]:
    """Two steps as the command does them: weights, and what was drawn."""
    drawn: list[object] = []

    def noted(*arguments: object) -> TrainingBatch:
        batch = draw_batch(*arguments)  # type: ignore[arg-type]
        drawn.append((batch.histories.tolist(), batch.wanted.tolist()))
        return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "draw_batch", noted)
        model = trainer.train(run_config(data, out / "run", steps=2, save_every=2))
    return {"weights": dict(model.state_dict()), "drawn": drawn}


def joint_run(data: Path, out: Path) -> dict[str, object]:
    """Two steps on four parts, or in each of two processes on two of them: weights, and gradients of the second step.

    Nothing is left to chance but the order of the steps predicted, and no term but means over parts.
    """
    gradients: dict[str, Tensor] = {}
    average = distributed.average_gradients

    def share(samples: SampleStore, *_: object) -> TrainingBatch:
        parts = list(samples)
        if torch.distributed.is_initialized():
            parts = parts[2 * distributed.rank() :][:2]
        histories = torch.tensor([[0, 1]] * len(parts))
        return make_batch(parts, histories, torch.tensor([[[1, 2]]] * len(parts)))

    def noted(model: GraphJepa) -> None:
        average(model)
        gradients.update({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})

    config = run_config(
        data, out / "run", steps=2, save_every=2, collapse_weight=0.0, one_step_states=STEPS, decoder_only_share=0.0
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "draw_batch", share)
        patch.setattr(trainer, "_WITHOUT_DEFECT", -1.0)
        patch.setattr(distributed, "average_gradients", noted)
        model = trainer.train(config)
    return {"weights": dict(model.state_dict()), "gradients": gradients}


def main(kind: str, data: Path, out: Path) -> None:
    """Train as the command would."""
    found = {"drawn": drawn_run, "joint": joint_run}[kind](data, out)
    torch.save(found, out / f"rank{distributed.rank()}.pt")
    distributed.finish()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
