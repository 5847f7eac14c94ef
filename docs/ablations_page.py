"""The section "JEPA on trial" of the results, from what `make ablations` measured."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np


class Quantiles(TypedDict):
    """Errors of an arm, of every seed."""

    median: list[float]
    p90: list[float]


class Row(TypedDict):
    """One comparison, see `surrogate.training.ablations.ComparisonFigures`."""

    ablation: str
    name: str
    seeds: list[int]
    arm: dict[str, Quantiles]
    against: dict[str, Quantiles]
    anchor: dict[str, Quantiles]
    collapse: dict[str, dict[str, float]]
    seconds: dict[str, float]
    histories: dict[str, int]


# Differences below this share of the error itself are called none, whatever their sign.
LEAST = 0.02
SEEDS = 3
HEAD = """Small runs of the same network on tokens alone (no field decoder): width {width}, {tokens} tokens, {steps}
optimiser steps of {batch} parts with two histories each, {parts} training parts; {runs} runs, {minutes:.0f} CPU-
minutes. Errors are relative, in per cent, median / 90th percentile of the validation histories that yield, median
over the seeds. A *difference* is arm minus other with the same seed, parts and histories at each step: its median
and, in brackets, the least and largest of the seeds; negative is better for the arm. It counts as **better** or
**worse** where all three seeds agree and the median exceeds {least:.0f} % of the error; otherwise nothing is shown.
The runs are short, so these are figures about learning from little, not about the shipped model.

Anchors: *reduced* (with its enrichment), *earlier* (before it), *local* (the material law along the elastic strain),
*elastic* (no plastic strain), *none* (nothing of the loads). With a weaker anchor all that only the reduced one knows
is zero, but the tokens still lie where the reduced one put them."""
NOTES = {
    "Latent prediction": (
        "The same network with the latent terms (prediction, VICReg, inverse dynamics) against the scalars alone, "
        "by anchor and share of the labelled parts."
    ),
    "Latent prediction on parts without labels": (
        "The latent terms see all training parts, the scalars only the labelled ones. The states encoded are "
        "solved states, so this tells what labels are worth, not what solving is."
    ),
    "Rollout": (
        "Trained on the first 7 of 20 steps, judged at step 7 and, beyond the horizon of training, at step 20. "
        "*decoded*: the state read from the tokens is encoded again at every step; *direct*: each step from the "
        "virgin part by the accumulated action."
    ),
    "Masked pre-training": (
        "The geometry encoder first rebuilds four hidden blobs of tokens (15 to 20 % each) on all parts, without "
        "any solved state; then it is trained by the scalars alone."
    ),
    "Anchor": (
        "Trained by the scalars alone: how much is physics, how much is learning. The error of the anchor itself "
        "stands beside."
    ),
    "Collapse control": "With the local anchor and all labels.",
    "Stop-gradient": "With the local anchor and all labels.",
    "Inverse dynamics": "With the local anchor and all labels.",
    "Number of tokens": "With the local anchor and all labels; fewer tokens are the first ones placed.",
    "What labels are worth": "By the scalars alone; the arm has a tenth of the labelled parts.",
    "What could make it help": "With the local anchor, against the scalars alone.",
}
MONITORS = {
    "rank_within_part": "rank within a part", "dynamic_share": "dynamic share", "shuffled_ratio": "shuffled actions",
    "drift": "drift",
}  # fmt: skip


def ablations_section(path: Path) -> str:
    """Markdown of all ablations: tables, and a verdict that follows from them."""
    held = json.loads(path.read_text())
    rows: list[Row] = held["rows"]
    settings, base = held["settings"], held["base"]
    counts = {"runs": held["runs"], "parts": held["parts"], "minutes": held["cpu_seconds"] / 60, "least": 100 * LEAST}
    sizes = {"width": settings["width"], "batch": settings["batch"], "tokens": base["tokens"], "steps": base["steps"]}
    parts = [HEAD.format(**sizes, **counts)]
    for ablation in dict.fromkeys(row["ablation"] for row in rows):
        own = [row for row in rows if row["ablation"] == ablation]
        parts += [f"### {ablation}", *([NOTES[ablation]] if ablation in NOTES else [])]
        parts += ["\n".join(_table(own, held["scalars"])), f"**Verdict.** {verdict(own, held['scalars'])}"]
        if ablation in ("Latent prediction", "Collapse control", "Stop-gradient"):
            parts.append("\n".join(_monitors(own)))
    parts += held.get("notes", [])
    if held["cut"]:
        parts.append("Not run for want of time: " + "; ".join(held["cut"]) + ".")
    return "\n\n".join(parts)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _pair(found: Quantiles) -> str:
    return " / ".join(f"{100 * float(np.median(found[key])):.1f}" for key in ("median", "p90"))  # type: ignore[literal-required]


def differences(row: Row, key: str, quantile: str = "median") -> list[float]:
    """Arm minus other of each seed."""
    arm, other = (row[side][key][quantile] for side in ("arm", "against"))  # type: ignore[literal-required]
    return [a - b for a, b in zip(arm, other, strict=True)]


def judged(row: Row, key: str, quantile: str = "median") -> str:
    """ "better", "worse" or "" by the rule that the page states."""
    found = differences(row, key, quantile)
    level = float(np.median(row["against"][key][quantile]))  # type: ignore[literal-required]
    if len(found) < SEEDS or abs(float(np.median(found))) < LEAST * level:
        return ""
    return "better" if max(found) < 0 else "worse" if min(found) > 0 else ""


def _difference(row: Row, key: str) -> str:
    texts = []
    for quantile in ("median", "p90"):
        found = [100 * each for each in differences(row, key, quantile)]
        word = judged(row, key, quantile)
        texts.append(f"{np.median(found):+.1f} [{min(found):+.1f}, {max(found):+.1f}]{f' **{word}**' if word else ''}")
    return " / ".join(texts)


def _keys(row: Row, scalar: str) -> list[str]:
    """Names of a scalar in a row, one for each step judged."""
    return [key for key in row["arm"] if key.endswith(f" {scalar}")]


def _table(rows: Sequence[Row], scalars: Sequence[str]) -> Iterable[str]:
    yield _line(["", "scalar", "anchor", "other", "arm", "difference", "CPU s, other / arm", "seeds"])
    yield _line([":---", ":---", *["---:"] * 6])
    for row in rows:
        for scalar in scalars:
            for key in _keys(row, scalar):
                step = key.split(" ", 1)[0]
                name = f"{row['name']}, step {step}" if len(_keys(row, scalar)) > 1 else row["name"]
                seconds = f"{row['seconds']['against']:.0f} / {row['seconds']['arm']:.0f}"
                figures = (_pair(row[side][key]) for side in ("anchor", "against", "arm"))  # type: ignore[literal-required]
                yield _line([name, scalar, *figures, _difference(row, key), seconds, str(len(row["seeds"]))])


def verdict(rows: Sequence[Row], scalars: Sequence[str]) -> str:
    """What follows from the rows by the rule that the page states."""
    whole = [row for row in rows if len(row["seeds"]) >= SEEDS]
    if not whole:
        return "Fewer than three seeds were run: a hint at most."
    few = " Rows of fewer than three seeds are not judged." if len(whole) < len(rows) else ""
    sentences = []
    for scalar in scalars:
        named = {word: [] for word in ("better", "worse", "")}  # type: dict[str, list[str]]
        for row in whole:
            keys = _keys(row, scalar)
            for key in keys:
                step = f" (step {key.split(' ', 1)[0]})" if len(keys) > 1 else ""
                named[judged(row, key)].append(row["name"] + step)
        if not any(named.values()):
            continue
        texts = [f"{word} for {_listed(found)}" for word, found in named.items() if word and found]
        rest = "no clear difference" if not texts else "otherwise no clear difference"
        sentences.append(f"{scalar[0].upper()}{scalar[1:]}: {', '.join([*texts, *([rest] if named[''] else [])])}.")
    return " ".join(sentences) + few


def _listed(names: Sequence[str]) -> str:
    return "; ".join(f"*{name}*" for name in names)


def _monitors(rows: Sequence[Row]) -> Iterable[str]:
    """The collapse monitors of both sides; see docs of `CollapseReport` for the alarms."""
    yield _line(["monitors of collapse, other / arm", *MONITORS.values()])
    yield _line([":---", *["---:"] * len(MONITORS)])
    for row in rows:
        yield _line([row["name"], *(_both(row["collapse"], name) for name in MONITORS)])


def _both(collapse: Mapping[str, Mapping[str, float]], name: str) -> str:
    return f"{collapse['against'][name]:.2f} / {collapse['arm'][name]:.2f}"
