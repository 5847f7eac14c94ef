"""The prepared samples of some simulations, read from disk when they are asked for: thousands do not fit in memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from safetensors import safe_open

from surrogate.model.jepa import ModelConfig
from surrogate.training.samples import TrainingSample, load_sample, prepared_path


class SampleStore:
    """A sequence of the samples in which some cell may yield; the files are prepared where they are not yet.

    Args:
        simulations: files of a campaign.
        cache: folder that the prepared samples are kept in.
        config: sizes that the samples depend on.
    """

    def __init__(self, simulations: Sequence[Path], cache: Path, config: ModelConfig) -> None:
        paths = [prepared_path(path, cache, config) for path in simulations]
        self._paths = [path for path in paths if _may_yield(path)]

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, position: int) -> TrainingSample:
        return load_sample(self._paths[position])

    def __iter__(self) -> Iterator[TrainingSample]:
        return (load_sample(path) for path in self._paths)


def _may_yield(path: Path) -> bool:
    with safe_open(path, "pt") as file:
        return bool(file.get_slice("graph.active").get_shape()[0] > 0)
