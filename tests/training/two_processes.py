"""Run by torchrun in a test: trains two steps and writes this process's weights and what it drew."""

import sys
from pathlib import Path

import torch

from surrogate.training import distributed, trainer
from surrogate.training.batches import TrainingBatch, draw_batch
from tests.training.wedges import run_config


def main(data: Path, out: Path) -> None:
    """Train as the command would."""
    drawn: list[object] = []

    def noted(*arguments: object) -> TrainingBatch:
        batch = draw_batch(*arguments)  # type: ignore[arg-type]
        drawn.append((batch.histories.tolist(), batch.wanted.tolist()))
        return batch

    trainer.draw_batch = noted  # type: ignore[assignment]
    model = trainer.train(run_config(data, out / "run", steps=2, save_every=2))
    torch.save({"weights": model.state_dict(), "drawn": drawn}, out / f"rank{distributed.rank()}.pt")
    distributed.wait()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
