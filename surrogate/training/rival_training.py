"""Train the learned competitors of the world model on the same parts, each within its budget of CPU-seconds.

`python -m surrogate.training.rival_training train --data DIR --rival NAME` (again after an interruption: it goes on),
then `python -m surrogate.training.rival_table --data DIR --out docs/rivals.json`.
"""

import argparse
import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from surrogate.data.dataset import open_dataset
from surrogate.errors import InputError
from surrogate.training.meshgraphnet import MeshGraphNet, step_loss
from surrogate.training.rival_data import RivalPart, load_rival, prepared_paths
from surrogate.training.transolver import Transolver, state_loss

Rival = Literal["meshgraphnet", "transolver", "transolver-anchor"]
RIVALS: tuple[Rival, ...] = get_args(Rival)
RUNS = Path.home() / ".cache" / "surrogate" / "runs" / "rivals"
# Share of the drawn states in which plastic strain grows (autoregressive) or is there (one pass).
_ACTIVE_SHARE = 0.8


@dataclass(frozen=True)
class RivalConfig:
    """A run.

    Attributes:
        rival: which competitor.
        data: folder of a campaign; its training parts are used.
        out: folder of prepared parts and of the runs.
        cpu_seconds: budget of the optimisation, preparation of the parts not counted.
        parts: parts a step.
        states: states of each.
        learning_rate: peak; cosine to a hundredth over the budget, after a warm-up.
        weight_decay: of AdamW.
        average_decay: of the moving average of the weights, which is what is evaluated.
        save_every: CPU-seconds between resumable checkpoints.
        seed: of weights and draws.
    """

    rival: Rival
    data: Path
    out: Path = RUNS
    cpu_seconds: float = 900.0
    parts: int = 2
    states: int = 3
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-4
    average_decay: float = 0.995
    save_every: float = 20.0
    seed: int = 0

    @property
    def folder(self) -> Path:
        """Where the run is kept."""
        return self.out / self.rival


def build_rival(rival: Rival) -> MeshGraphNet | Transolver:
    """A network of random weights."""
    if rival == "meshgraphnet":
        return MeshGraphNet()
    return Transolver(anchor=rival == "transolver-anchor")


def rival_loss(network: MeshGraphNet | Transolver, part: RivalPart, wanted: Tensor) -> Tensor:
    """The objective of a competitor in states given as history and step [S, 2]."""
    return step_loss(network, part, wanted) if isinstance(network, MeshGraphNet) else state_loss(network, part, wanted)


def draw_states(part: RivalPart, count: int, growing: bool, generator: np.random.Generator) -> Tensor:
    """Histories and steps [S, 2], most of them where something yields (or, if `growing`, goes on yielding)."""
    total = part.equivalent.float().sum(dim=-1)  # [H, T]
    there = torch.diff(total, dim=1, prepend=torch.zeros_like(total[:, :1])) if growing else total
    active, every = (found.numpy() for found in ((there > 1e-3).nonzero(), torch.ones_like(there).nonzero()))
    rows = [
        pool[generator.integers(len(pool))]
        for pool in (active if len(active) and generator.random() < _ACTIVE_SHARE else every for _ in range(count))
    ]
    return torch.from_numpy(np.stack(rows))


class _Run:
    """The mutable state of a run."""

    def __init__(self, config: RivalConfig) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.network = build_rival(config.rival)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.step, self.seconds = 0, 0.0

    @property
    def path(self) -> Path:
        return self.config.folder / "state.pt"

    def save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        temporary = self.path.with_suffix(".part")
        torch.save(state, temporary)
        temporary.rename(self.path)

    def resume(self) -> None:
        if self.path.exists():
            state = torch.load(self.path, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds = state["step"], state["seconds"]


def train_rival(
    config: RivalConfig, progress: Callable[[int, float, float], None] = lambda step, seconds, loss: None
) -> nn.Module:
    """Train until the budget is spent, or go on with a run that was cut off.

    Args:
        config: the run.
        progress: called with step, CPU-seconds spent and the mean loss since the last call.

    Returns:
        The averaged network.

    Raises:
        InputError: no training parts.
    """
    torch.set_num_threads(1)
    entries = open_dataset(config.data).split("train").entries
    if not entries:
        raise InputError(f"no train parts in {config.data.name!r}; run a larger campaign")
    paths = prepared_paths(entries, config.out)
    config.folder.mkdir(parents=True, exist_ok=True)
    settings = {key: value for key, value in asdict(config).items() if key not in ("data", "out")}
    (config.folder / "config.json").write_text(json.dumps(settings, indent=1) + "\n")
    run = _Run(config)
    run.resume()
    losses: list[float] = []
    while run.seconds < config.cpu_seconds:
        started, before = time.process_time(), run.seconds
        losses.append(_optimise(run, paths))
        run.step += 1
        run.seconds += time.process_time() - started
        if run.seconds >= config.cpu_seconds or before // config.save_every < run.seconds // config.save_every:
            run.save()
            progress(run.step, run.seconds, float(np.mean(losses)))
            losses.clear()
    return run.average.eval()


def _optimise(run: _Run, paths: list[Path]) -> float:
    config, done = run.config, min(1.0, run.seconds / run.config.cpu_seconds)
    rate = config.learning_rate * min(1.0, (run.step + 1) / 50) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    # Each step has a generator of its own, so a resumed run draws what the uncut run would have drawn.
    generator = np.random.default_rng([config.seed, run.step])
    torch.manual_seed(int(generator.integers(2**31)))
    total, growing = 0.0, config.rival == "meshgraphnet"
    run.optimizer.zero_grad(set_to_none=True)
    for path in generator.choice(len(paths), size=min(config.parts, len(paths)), replace=False):
        part = load_rival(paths[path])
        loss = rival_loss(run.network, part, draw_states(part, config.states, growing, generator)) / config.parts
        torch.autograd.backward(loss)
        total += loss.item()
    norm = torch.nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
    if bool(torch.isfinite(norm)):
        run.optimizer.step()
        _follow(run.average, run.network, min(config.average_decay, (run.step + 1) / (run.step + 10)))
    return total


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)


def trained_rival(rival: Rival, out: Path = RUNS) -> MeshGraphNet | Transolver:
    """The averaged network of a run.

    Raises:
        InputError: not trained yet.
    """
    path = out / rival / "state.pt"
    if not path.exists():
        raise InputError(f"{rival} is not trained in {out.name!r}; run `train --rival {rival}` first")
    network = build_rival(rival)
    network.load_state_dict(torch.load(path, weights_only=True)["average"])
    return network.eval().requires_grad_(False)


@dataclass(frozen=True)
class RunState:
    """How far a run is: steps, and CPU-seconds spent on them."""

    step: int
    seconds: float


def run_state(rival: Rival, out: Path = RUNS) -> RunState:
    """How far a run is."""
    held = torch.load(out / rival / "state.pt", weights_only=True)
    return RunState(int(held["step"]), float(held["seconds"]))


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m surrogate.training.rival_training", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    train = verbs.add_parser("train", help="train one competitor; an interrupted run goes on")
    train.add_argument("--rival", choices=RIVALS, required=True)
    train.add_argument("--cpu-seconds", type=float, default=RivalConfig.cpu_seconds)
    train.add_argument("--parts", type=int, default=RivalConfig.parts, help="parts a step")
    train.add_argument("--states", type=int, default=RivalConfig.states, help="states of each part")
    train.add_argument("--learning-rate", type=float, default=RivalConfig.learning_rate)
    train.add_argument("--seed", type=int, default=RivalConfig.seed)
    train.add_argument("--data", type=Path, required=True, help="folder of a campaign")
    train.add_argument("--runs", type=Path, default=RUNS, help="folder of the runs")
    given = parser.parse_args()
    config = RivalConfig(
        given.rival, given.data, given.runs, given.cpu_seconds, given.parts, given.states, given.learning_rate,
        seed=given.seed,
    )  # fmt: skip
    train_rival(config, _print_progress)


def _print_progress(step: int, seconds: float, loss: float) -> None:
    print(f"step {step}, {seconds:.0f} CPU-s, loss {loss:.4f}", flush=True)


if __name__ == "__main__":
    _main()
