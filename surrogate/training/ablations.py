"""JEPA on trial: many small runs on tokens, each kept as one file, and their paired differences.

`make ablations DATA=CAMPAIGN` goes on where it stopped.
"""

import argparse
import json
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch

from surrogate.data.dataset import open_dataset
from surrogate.data.splits import Split
from surrogate.model.jepa import ModelConfig
from surrogate.training.samples import prepared_path
from surrogate.training.token_data import ANCHORS, Anchor, TokenTable, load_table, save_table, token_table
from surrogate.training.token_jepa import Collapse, Rollout, TokenRun, TokenSettings
from surrogate.training.token_training import SCALARS, TokenOutcome, train_tokens

SEEDS = (0, 1, 2)
# Load steps of a whole history, and of the short horizon.
WHOLE, SHORT = 20, 7
SHARES = {"10 %": 0.1, "25 %": 0.25, "50 %": 0.5, "100 %": 1.0}
_FORMAT = 3


@dataclass(frozen=True)
class Comparison:
    """One arm against another.

    Attributes:
        ablation: heading that it belongs to.
        name: of the comparison.
        arm: run, for every seed.
        against: run that it is compared with.
        turn: comparisons of turn 0 are done first, in all seeds, then those of 1 and 2.
    """

    ablation: str
    name: str
    arm: TokenRun
    against: TokenRun
    turn: int = 1


PREDICTION, SEMI = "Latent prediction", "Latent prediction on parts without labels"
ROLLOUT, COLLAPSE, GRADIENT = "Rollout", "Collapse control", "Stop-gradient"
INVERSE, TOKENS, ANCHOR, MASKED = "Inverse dynamics", "Number of tokens", "Anchor", "Masked pre-training"
ATTEMPTS = "What could make it help"
ABLATIONS = (PREDICTION, SEMI, ROLLOUT, COLLAPSE, GRADIENT, INVERSE, TOKENS, ANCHOR, MASKED, ATTEMPTS)


def comparisons(base: TokenRun, parts: int) -> list[Comparison]:
    """All comparisons.

    Args:
        base: what they do not vary.
        parts: training parts at hand.
    """
    local = replace(base, anchor="local")
    collapse: tuple[Collapse, ...] = ("none", "sigreg", "ema")
    return [
        *_label_comparisons(base, parts),
        *_rollout_comparisons(base),
        *(Comparison(COLLAPSE, f"{how} against VICReg", replace(local, collapse=how), local) for how in collapse),
        Comparison(GRADIENT, "off against on", replace(local, stop_gradient=False), local),
        Comparison(INVERSE, "off against on", replace(local, inverse=False), local),
        Comparison(TOKENS, "48 against 24", replace(local, tokens=48), local, 2),
        *_anchor_comparisons(base),
        *_masked_comparisons(replace(local, latent="none")),
        *_attempts(local, parts),
    ]


def _anchor_comparisons(base: TokenRun) -> Iterable[Comparison]:
    alone, weak = replace(base, latent="none"), ANCHORS[1:]
    for anchor in (each for each in weak if each != "local"):
        own = replace(base, anchor=anchor)
        yield Comparison(PREDICTION, f"{anchor}, 100 %", own, replace(own, latent="none"))
    for weaker in weak:
        yield Comparison(ANCHOR, f"{weaker} against reduced", replace(alone, anchor=weaker), alone)


def _masked_comparisons(alone: TokenRun) -> Iterable[Comparison]:
    for parts in (50, 200, 0):
        own = replace(alone, parts=parts)
        yield Comparison(MASKED, f"{parts or 'all'} parts", replace(own, first="masked"), own, 1 if parts else 2)


def labelled(share: float, parts: int) -> int:
    """How many of the training parts a share of the labels is; all of them as 0."""
    return 0 if share == 1 else round(share * parts)


def _label_comparisons(base: TokenRun, parts: int) -> Iterable[Comparison]:
    both: tuple[Anchor, ...] = ("local", "reduced")
    for anchor in both:
        for share, size in SHARES.items():
            own = replace(base, anchor=anchor, parts=labelled(size, parts))
            turn = 0 if share == "100 %" or (anchor, share) == ("local", "10 %") else 2
            alone = replace(own, latent="none")
            yield Comparison(PREDICTION, f"{anchor}, {share}", own, alone, turn)
            if share in ("10 %", "25 %"):
                semi = replace(own, latent="all")
                yield Comparison(SEMI, f"{anchor}, {share}", semi, alone, 2 - (turn == 0))


def _rollout_comparisons(base: TokenRun) -> Iterable[Comparison]:
    ways: tuple[Rollout, ...] = ("decoded", "direct")
    both: tuple[tuple[Anchor, int], ...] = (("local", 1), ("reduced", 2))
    for anchor, turn in both:
        latent = replace(base, anchor=anchor, horizon=SHORT)
        for how in ways:
            yield Comparison(ROLLOUT, f"{anchor}, {how} against latent", replace(latent, rollout=how), latent, turn)


def _attempts(local: TokenRun, parts: int) -> list[Comparison]:
    few = replace(local, latent="none", parts=50)
    tenth = replace(few, parts=labelled(SHARES["10 %"], parts))
    every = replace(few, parts=0)
    return [
        Comparison(ATTEMPTS, "a tenth of the weight, 100 %", replace(every, latent="labelled", weight=0.1), every),
        Comparison(ATTEMPTS, "fewer labels: 50 parts, latent terms on these", replace(few, latent="labelled"), few),
        Comparison(ATTEMPTS, "fewer labels: 50 parts, latent terms on all", replace(few, latent="all"), few),
        Comparison(ATTEMPTS, "50 parts, dynamics learnt first on all", replace(few, first="dynamics"), few),
        Comparison(ATTEMPTS, "10 %, dynamics learnt first on all", replace(tenth, first="dynamics"), tenth, 2),
        Comparison(
            ATTEMPTS, "other target: one step alone, 10 %", replace(tenth, latent="all", one_step_only=True), tenth, 2
        ),
        Comparison(
            ATTEMPTS, "longer horizon: ten actions of two steps, 10 %",
            replace(tenth, latent="labelled", stride=2), replace(tenth, stride=2), 2,
        ),
    ]  # fmt: skip


def runs_in_order(wanted: Iterable[Comparison]) -> list[TokenRun]:
    """Every run once: the urgent comparisons first, then seed by seed, so that what is cut off is still whole."""
    wanted = list(wanted)
    ordered: dict[TokenRun, None] = {}
    for turn in sorted({comparison.turn for comparison in wanted}):
        for seed in SEEDS:
            for comparison in (c for c in wanted if c.turn == turn):
                ordered |= {replace(run, seed=seed): None for run in (comparison.against, comparison.arm)}
    return list(ordered)


def run_path(run: TokenRun, settings: TokenSettings, folder: Path) -> Path:
    """Where the outcome of a run lies; the name depends on all that it depends on but the data."""
    key = json.dumps([_FORMAT, run.as_json(), asdict(settings)], sort_keys=True)
    return folder / f"{run.anchor}-{run.seed}-{zlib.crc32(key.encode()):08x}.json"


def perform(run: TokenRun, settings: TokenSettings, folder: Path, tables: "Tables") -> TokenOutcome:
    """The outcome of a run, trained if it is not at hand."""
    path = run_path(run, settings, folder)
    if not path.exists():
        outcome = train_tokens(run, settings, tables("train", run.tokens), tables("validation", run.tokens))
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps({"run": run.as_json(), "outcome": asdict(outcome)}) + "\n")
        temporary.rename(path)
    held = json.loads(path.read_text())["outcome"]
    quantiles = {name: {key: (pair[0], pair[1]) for key, pair in held[name].items()} for name in ("errors", "anchor")}
    return TokenOutcome(**{**held, **quantiles})


Tables = Callable[[Split, int], TokenTable]


def cached_tables(data: Path, folder: Path) -> Tables:
    """Reads the tables of a campaign's splits, made once; the latest number of tokens stays in memory."""
    held: dict[tuple[Split, int], TokenTable] = {}

    def table(split: Split, tokens: int) -> TokenTable:
        if (split, tokens) not in held:
            for key in [key for key in held if key[1] != tokens]:
                del held[key]
            path = folder / f"{split}-{tokens}.safetensors"
            if not path.exists():
                config = ModelConfig()
                entries = open_dataset(data).split(split).entries
                save_table(token_table([prepared_path(entry.path, data, config) for entry in entries], tokens), path)
            held[split, tokens] = load_table(path)
        return held[split, tokens]

    return table


class ArmFigures(TypedDict):
    """Errors of an arm by scalar: median and 90th percentile of the validation histories, of every seed."""

    median: list[float]
    p90: list[float]


class ComparisonFigures(TypedDict):
    """One comparison: by scalar, the arm, the other, and the anchor that both started from."""

    ablation: str
    name: str
    seeds: list[int]
    arm: dict[str, ArmFigures]
    against: dict[str, ArmFigures]
    anchor: dict[str, ArmFigures]
    collapse: dict[str, dict[str, float]]
    seconds: dict[str, float]
    histories: dict[str, int]


def figures(comparison: Comparison, outcomes: Mapping[TokenRun, TokenOutcome]) -> ComparisonFigures | None:
    """What a comparison found, over the seeds of which both runs are done; None if there is none."""
    pairs = [
        (seed, outcomes[replace(comparison.arm, seed=seed)], outcomes[replace(comparison.against, seed=seed)])
        for seed in SEEDS
        if all(replace(run, seed=seed) in outcomes for run in (comparison.arm, comparison.against))
    ]
    if not pairs:
        return None

    def columns(found: list[dict[str, tuple[float, float]]]) -> dict[str, ArmFigures]:
        names = found[0]
        return {n: {"median": [each[n][0] for each in found], "p90": [each[n][1] for each in found]} for n in names}

    arms, others = [arm for _, arm, _ in pairs], [other for _, _, other in pairs]
    sides = (("arm", arms), ("against", others))
    return {
        "ablation": comparison.ablation,
        "name": comparison.name,
        "seeds": [seed for seed, _, _ in pairs],
        "arm": columns([each.errors for each in arms]),
        "against": columns([each.errors for each in others]),
        "anchor": columns([each.anchor for each in arms]),
        "collapse": {
            side: {name: float(np.median([each.collapse[name] for each in found])) for name in found[0].collapse}
            for side, found in sides
        },
        "seconds": {side: float(np.median([each.seconds for each in found])) for side, found in sides},
        "histories": arms[0].histories,
    }


def write(
    wanted: Iterable[Comparison], settings: TokenSettings, base: TokenRun, parts: int, folder: Path, out: Path
) -> None:
    """Write what the finished runs on so many training parts found, and which comparisons are not finished.

    Rows that the file holds of the same settings and parts stay where their runs are not at hand any more.
    """
    wanted, outcomes = list(wanted), {}
    for run in runs_in_order(wanted):
        if run_path(run, settings, folder).exists():
            outcomes[run] = perform(run, settings, folder, _no_table)
    values: dict[str, Any] = {"settings": asdict(settings), "base": base.as_json(), "parts": parts, "scalars": SCALARS}
    held = json.loads(out.read_text()) if out.exists() else {}
    same = all(held.get(name) == json.loads(json.dumps(value)) for name, value in values.items())
    earlier = {(row["ablation"], row["name"]): row for row in held["rows"]} if same else {}
    seconds = held["run_seconds"] if same else {}
    seconds |= {run_path(run, settings, folder).stem: outcome.seconds for run, outcome in outcomes.items()}

    def fuller(comparison: Comparison) -> ComparisonFigures | None:
        both = (figures(comparison, outcomes), earlier.get((comparison.ablation, comparison.name)))
        return max((row for row in both if row), key=lambda row: len(row["seeds"]), default=None)

    found = [(comparison, fuller(comparison)) for comparison in wanted]
    done = {run for c, row in found if row for run in runs_in_order([c]) if run.seed in row["seeds"]}
    values |= {
        "runs": len(done),
        "cpu_seconds": sum(seconds.values()),
        "run_seconds": seconds,
        "cut": [f"{c.ablation}: {c.name}" for c, row in found if row is None],
        "rows": [row for _, row in found if row is not None],
    }
    out.write_text(json.dumps(values, indent=1) + "\n")


def _no_table(split: Split, tokens: int) -> TokenTable:
    raise AssertionError(f"the outcome of a run that is done needs no table ({split}, {tokens} tokens)")


def main(arguments: list[str] | None = None) -> None:
    """Do the runs that are missing, within a budget, and write what was found."""
    parser = argparse.ArgumentParser(prog="python -m surrogate.training.ablations", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of a campaign")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs; goes on where it stopped")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of what was found")
    parser.add_argument("--steps", type=int, default=TokenRun().steps, help="optimiser steps of a run")
    parser.add_argument("--turn", type=int, help="only comparisons of this turn")
    parser.add_argument("--cpu-minutes", type=float, default=40, help="start no run after so many")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    given.runs.mkdir(parents=True, exist_ok=True)
    settings, base = TokenSettings(), TokenRun(steps=given.steps)
    parts = len(open_dataset(given.data).split("train").entries)
    wanted, tables = comparisons(base, parts), cached_tables(given.data, given.runs)
    started = time.process_time()
    for run in runs_in_order(c for c in wanted if given.turn in (None, c.turn)):
        if time.process_time() - started > 60 * given.cpu_minutes:
            break
        known = run_path(run, settings, given.runs).exists()
        outcome = perform(run, settings, given.runs, tables)
        if not known:
            print(f"{run} {outcome.seconds:.0f} s {list(outcome.errors.values())[:3]}", flush=True)
            write(wanted, settings, base, parts, given.runs, given.out)
    write(wanted, settings, base, parts, given.runs, given.out)


if __name__ == "__main__":
    main()
