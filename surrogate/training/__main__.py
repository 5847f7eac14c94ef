"""`torchrun -m surrogate.training …` trains on several processes; for one process use `surrogate train`."""

import argparse
from pathlib import Path

from surrogate.training.config import TrainingConfig
from surrogate.training.trainer import train


def _main() -> None:
    defaults = TrainingConfig(Path(), Path())
    parser = argparse.ArgumentParser(prog="torchrun -m surrogate.training", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of a campaign")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; an interrupted run goes on")
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--batch-parts", type=int, default=defaults.batch_parts, help="of each process")
    parser.add_argument("--latent-weight", type=float, default=defaults.latent_weight, help="0: supervision only")
    parser.add_argument("--label-share", type=float, default=defaults.label_share)
    parser.add_argument("--left-out-family", default=None)
    parser.add_argument("--save-every", type=int, default=defaults.save_every)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--threads", type=int, default=defaults.threads)
    parser.add_argument("--device", default=defaults.device)
    train(TrainingConfig(**vars(parser.parse_args())), _print_progress)


def _print_progress(step: int, steps: int, terms: dict[str, float]) -> None:
    print(f"{step}/{steps} " + " ".join(f"{name} {value:.3f}" for name, value in terms.items()), flush=True)


if __name__ == "__main__":
    _main()
