"""A small campaign of solved wedges, and a training run of a few steps on them."""

from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np

from surrogate.data.part_family import LoadFaces, PartFamily, SupportFaces
from surrogate.data.sampling import SamplingRange
from surrogate.data.simulate import SampleSize, simulate
from surrogate.data.simulation_file import Simulation, sample_name, save_simulation
from surrogate.data.splits import Split, split_of
from surrogate.training.config import TrainingConfig
from surrogate.training.samples import TrainingSample, prepare
from tests.model.parts import TINY, wedge_mesh

HISTORIES, STEPS = 3, 8
# Every part yields, none collapses.
_RANGES = SamplingRange(quantile=0.98, peak_level=(1.0, 1.3), highest_point=2.5)


def _unbuilt(*_: object) -> object:
    raise AssertionError("wedges are meshed by the tests")


def _family(name: str, index: int) -> PartFamily:
    loads = (LoadFaces("tip", ("force", "traction")), LoadFaces("top", ("pressure",)))
    return PartFamily(name, index, _unbuilt, _unbuilt, ((SupportFaces("root"),),), loads)  # type: ignore[arg-type]


FAMILIES = (_family("wedge", 90), _family("blade", 91))


def _seeds(family: str, split: Split, count: int) -> list[int]:
    return [seed for seed in range(1000) if split_of(family, seed) == split][:count]


# Parts of each split and family.
PARTS: dict[Split, list[tuple[str, int]]] = {
    "train": [("wedge", s) for s in _seeds("wedge", "train", 3)] + [("blade", s) for s in _seeds("blade", "train", 1)],
    "validation": [(name, _seeds(name, "validation", 1)[0]) for name in ("wedge", "blade")],
    "test": [("wedge", s) for s in _seeds("wedge", "test", 1)],
}


@cache
def simulation(family: str, seed: int) -> Simulation:
    """A solved wedge; the seed draws its slope too."""
    own = next(each for each in FAMILIES if each.name == family)
    slope = float(np.random.default_rng([seed, own.index]).uniform(0.15, 0.4))
    mesh = wedge_mesh((3, 2, 1), slope)
    return simulate(own, seed, SampleSize(HISTORIES, STEPS), _RANGES, mesh)


def save_campaign(folder: Path) -> Path:
    """The files of all parts, as a campaign leaves them."""
    for family, seed in chain(*PARTS.values()):
        save_simulation(simulation(family, seed), folder / sample_name(family, seed))
    return folder


@cache
def sample(family: str, seed: int) -> TrainingSample:
    """A prepared sample."""
    return prepare(simulation(family, seed), TINY)


def training_samples() -> list[TrainingSample]:
    """Those of the training split."""
    return [sample(*part) for part in PARTS["train"]]


def run_config(campaign: Path, out: Path, **changes: object) -> TrainingConfig:
    """A run of a few steps."""
    config = TrainingConfig(
        campaign, out, TINY, steps=8, batch_parts=2, batch_histories=2, batch_states=2, one_step_states=2,
        save_every=4, device="cpu",
    )  # fmt: skip
    return replace(config, **changes)  # type: ignore[arg-type]
