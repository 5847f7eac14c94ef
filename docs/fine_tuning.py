"""Measures what fine-tuning on a few parts of a new family buys, for docs/fine_tuning.json; goes on where it stopped.

One model is trained on all families but one, then fine-tuned on fifty parts of that one (of its training and validation
places). Both, and the reduced anchor that they correct, are held against the FEM answer on the family's test parts,
which neither run has seen. The family was chosen by the anchor's error on validation parts: in the upper middle.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from surrogate.data.dataset import open_dataset
from surrogate.model.checkpoint import load_checkpoint
from surrogate.model.jepa import GraphJepa
from surrogate.training.config import TrainingConfig
from surrogate.training.sample_store import SampleStore
from surrogate.training.trainer import train
from surrogate.training.validation import validate

FIGURES = Path(__file__).with_name("fine_tuning.json")
FAMILY, PARTS = "stiffened_panel", 50


@dataclass(frozen=True)
class Protocol:
    """Sizes of the two runs.

    Attributes:
        family: that the first run leaves out and the second one brings.
        own_parts: of it that the second run trains and validates on.
        base_steps: of the first run.
        own_steps: of the second run.
        own_rate: peak learning rate of the second run.
        batch_parts: parts a step, of both.
        batch_histories: histories of each part a step, of both.
    """

    family: str = FAMILY
    own_parts: int = PARTS
    base_steps: int = 400
    own_steps: int = 150
    own_rate: float = 5e-4
    batch_parts: int = 2
    batch_histories: int = 1


def own_campaign(campaign: Path, folder: Path, protocol: Protocol) -> Path:
    """A directory that holds the first parts of the family that do not test, as a company's own campaign would."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset = open_dataset(campaign)
    kept = (*dataset.split("train").entries, *dataset.split("validation").entries)
    own = sorted((e for e in kept if e.family == protocol.family), key=lambda entry: entry.seed)[: protocol.own_parts]
    # Prepared samples are the same whoever asks for them.
    for path in (*(entry.path for entry in own), *campaign.glob("prepared-*")):
        if not (folder / path.name).exists():
            (folder / path.name).symlink_to(path)
    return folder


def run_and_measure(campaign: Path, work: Path, protocol: Protocol) -> dict[str, object]:
    """Both runs and their errors on the family's test parts."""
    common = TrainingConfig(
        campaign, work / "base", left_out_family=protocol.family, steps=protocol.base_steps, save_every=50,
        batch_parts=protocol.batch_parts, batch_histories=protocol.batch_histories, validation_parts=12, device="cpu",
    )  # fmt: skip
    started = time.process_time()
    train(common, _line)
    based = time.process_time()
    own = replace(
        common, data=own_campaign(campaign, work / "own", protocol), out=work / "tuned", start=work / "base" / "model",
        left_out_family=None, steps=protocol.own_steps, learning_rate=protocol.own_rate,
    )  # fmt: skip
    train(own, _line)
    tuned = time.process_time()
    tests = [e.path for e in open_dataset(campaign).split("test").entries if e.family == protocol.family]
    model = load_checkpoint(work / "base" / "model").model
    samples = SampleStore(tests, campaign, model.config)
    return {
        "protocol": asdict(protocol),
        "test_parts": len(samples),
        "base": errors(model, samples),
        "tuned": errors(load_checkpoint(work / "tuned" / "model").model, samples),
        # Of this call alone: a run that was cut off had some before.
        "cpu_s": {"base": based - started, "tuned": tuned - based},
    }


def errors(model: GraphJepa, samples: SampleStore) -> dict[str, float]:
    """Errors of a model on all parts, with those of the anchor under names that begin so."""
    numbers, _ = validate(model, samples, len(samples))
    return numbers


def _line(step: int, steps: int, terms: dict[str, float]) -> None:
    print(f"{step}/{steps} " + " ".join(f"{name} {value:.3f}" for name, value in terms.items()), flush=True)


def main() -> None:
    """Measures and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("campaign", type=Path, help="directory of the campaign")
    parser.add_argument("--work", type=Path, required=True, help="directory of the two runs")
    for name, value in asdict(Protocol()).items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    chosen = vars(parser.parse_args())
    campaign, work = chosen.pop("campaign"), chosen.pop("work")
    torch.set_num_threads(1)
    FIGURES.write_text(json.dumps(run_and_measure(campaign, work, Protocol(**chosen)), indent=1) + "\n")


if __name__ == "__main__":
    main()
