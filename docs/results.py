"""Writes docs/results.md from what was measured: `make results`.

Each section stands on a JSON file in docs/ and is left out where that is not there:
    surrogate evaluate DATA --out docs/evaluation.json
    surrogate evaluate DATA --measure ranking --out docs/ranking.json
    surrogate evaluate DATA --measure horizon --out docs/horizon.json
    surrogate evaluate DATA --model MODEL --left-out-family NAME --family NAME --out docs/left_out.json
    python -m surrogate.training.rival_table (docs/rivals.json), make front (docs/front.json), docs/coarse.py
    (docs/coarse.json), docs/fine_tuning.py (docs/fine_tuning.json),
    docs/fine_tuning_tokens.py (docs/fine_tuning_tokens.json), make ablations (docs/ablations.json).
What is to be said of a section by hand stands under the same heading in docs/results_verdicts.md.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ablations_page import ablations_section
from coarse_page import coarse_section
from front_page import front_section
from results_bars import accuracy_bars, bars_table, equal_time, horizon_bars, percent, ranking_bars

from surrogate.training.evaluation_table import Evaluation, load_evaluation, table_text
from surrogate.training.horizon_evaluation import Horizon, horizon_text, load_horizon
from surrogate.training.part_evaluation import METRICS, MODEL, REFINED, TOKENS
from surrogate.training.ranking_evaluation import Ranking, load_ranking, ranking_text

DOCS = Path(__file__).parent
PAGE, VERDICTS = DOCS / "results.md", DOCS / "results_verdicts.md"
HEAD = """# Results

Written by `make results` from measured figures; what is said in words beside them stands in results_verdicts.md.
Relative errors against FEM on the same mesh, of histories whose plastic strain reaches 5 % of the yield strain (the
others are exact by construction). No test part was used for training, for choosing or for calibration. Seconds are
processor seconds on one thread unless a section says otherwise."""
Section = tuple[str, str]


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(DOCS))
    print(f"written: {PAGE}")


def page(folder: Path) -> str:
    """The whole page from the JSON files of a folder."""
    said = verdicts((folder / VERDICTS.name).read_text()) if (folder / VERDICTS.name).exists() else {}
    parts = [HEAD]
    for title, text in sections(folder):
        parts += [f"## {title}", *([said.pop(title)] if title in said else []), text]
    # What is to be said of something that has no figures yet is not lost.
    parts += [text for title, words in said.items() for text in (f"## {title}", words)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def verdicts(text: str) -> dict[str, str]:
    """The text under each second heading."""
    pieces = text.split("\n## ")[1:]
    return {head.strip(): body.strip() for head, _, body in (piece.partition("\n") for piece in pieces) if body.strip()}


def sections(folder: Path) -> Iterator[Section]:
    """Title and text of each section that has figures."""
    evaluation, left_out = (_evaluation(folder / name) for name in ("evaluation.json", "left_out.json"))
    ranking, horizon = _ranking(folder / "ranking.json"), _horizon(folder / "horizon.json")
    rows = [*(accuracy_bars(evaluation, left_out) if evaluation else ()), *(horizon_bars(horizon) if horizon else ())]
    rows += ranking_bars(ranking, evaluation)
    if rows:
        during = equal_time(evaluation) if evaluation and MODEL in evaluation.seconds else None
        yield "Bars", f"Median / 90th percentile.\n\n{bars_table(rows, during)}"
    if evaluation:
        yield "Every method on the test parts", _methods(evaluation)
        yield "By family", _families(evaluation)
        yield "The five worst parts", _worst(evaluation)
        if evaluation.coverage:
            yield "Whether it says when it is wrong", _trust(evaluation)
    if left_out:
        yield "A family that was left out", f"{_counted(left_out)}\n\n{table_text(left_out)}"
    if ranking:
        yield "Finding the worst histories", ranking_text(ranking)
    if evaluation and evaluation.variants.get(MODEL):
        yield "Ranking the variants of a family", _variants(evaluation)
    if horizon:
        yield "Beyond the horizon of training", horizon_text(horizon)
    others: tuple[tuple[str, str, Callable[[Path], str]], ...] = (
        ("Competitors that learn", "rivals.json", rivals_section),
        ("Accuracy against time", "front.json", front_section),
        ("Large parts from a coarse anchor", "coarse.json", coarse_section),
        ("Fine-tuning on a new family", "fine_tuning.json", fine_tuning_section),
        ("Fine-tuning a weaker start", "fine_tuning_tokens.json", weaker_starts_section),
        ("JEPA on trial", "ablations.json", ablations_section),
    )
    for title, name, section in others:
        if (folder / name).exists():
            yield title, section(folder / name)


def _evaluation(path: Path) -> Evaluation | None:
    return load_evaluation(path) if path.exists() else None


def _ranking(path: Path) -> Ranking | None:
    return load_ranking(json.loads(path.read_text())) if path.exists() else None


def _horizon(path: Path) -> Horizon | None:
    return load_horizon(json.loads(path.read_text())) if path.exists() else None


def _counted(evaluation: Evaluation) -> str:
    return (
        f"{evaluation.parts} parts, {evaluation.histories} histories that yield; relative errors in per cent, median / "
        "90th percentile / worst."
    )


def _methods(evaluation: Evaluation) -> str:
    text = (
        f"{_counted(evaluation)} Column *parts*: slow methods answered one part in four. *Residual stress* is that of "
        "histories that end unloaded. The elastic anchor, which every method starts from, is in no method's seconds; "
        "*reduced anchor* is the elastoplastic problem in the span of a few plastic modes; *passes* are iterations of "
        f"modified Newton a step with Anderson acceleration; *{REFINED}* goes on with rounds of modes until none moves "
        f"a history by more than 1 %; *{TOKENS}* decodes no field."
    )
    during = equal_time(evaluation) if MODEL in evaluation.seconds else None
    if during is None:
        return f"{text}\n\n{table_text(evaluation)}"
    mine, theirs = (evaluation.table[name] for name in (MODEL, during))
    equal = ", ".join(
        f"{metric} {percent(mine[metric][:2])} against {percent(theirs[metric][:2])}"
        for metric in METRICS
        if metric in mine and metric in theirs
    )
    return (
        f"{text}\n\n{table_text(evaluation)}\n\n**At equal time**: of the classical methods no slower than the world "
        f"model ({evaluation.seconds[MODEL]:.2f} s a part), the most accurate is *{during}* "
        f"({evaluation.seconds[during]:.2f} s); the world model against it: {equal}."
    )


def _families(evaluation: Evaluation) -> str:
    methods = [m for m in ("reduced anchor", "reduced anchor + 1 enrichment", MODEL, REFINED) if m in evaluation.table]
    metrics = ("plastic strain, peak", "stress, peak", "peak plastic strain", "permanent set")
    lines = [
        "Medians in per cent; in each cell: " + ", ".join(methods) + ".\n",
        "| family | " + " | ".join(metrics) + " |",
        "| --- |" + " --- |" * len(metrics),
    ]
    for family, own in evaluation.families.items():
        cells = [
            ", ".join(f"{100 * own[m][metric][0]:.3g}" if m in own and metric in own[m] else "-" for m in methods)
            for metric in metrics
        ]
        lines.append(f"| {family} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _worst(evaluation: Evaluation) -> str:
    methods = [m for m in ("local anchor", "reduced anchor + 1 enrichment", MODEL, REFINED) if m in evaluation.table]
    lines = [
        f"By the largest error of the plastic strain at the peak ({MODEL}), per cent.\n",
        "| part | " + " | ".join(methods) + " | domain check |",
        "| --- |" + " --- |" * (len(methods) + 1),
    ]
    for part in evaluation.worst:
        cells = [f"{100 * part.errors[m]:.0f}" if m in part.errors else "" for m in methods]
        lines.append(f"| {part.name} | " + " | ".join(cells) + f" | {'inside' if part.inside else 'outside'} |")
    return "\n".join(lines)


def _trust(evaluation: Evaluation) -> str:
    lines = ["| scalar | true values in their 90 % interval |", "| --- | --- |"]
    lines += [f"| {name} | {share:.1%} |" for name, share in evaluation.coverage.items()]
    text = [*lines, "", f"{evaluation.inside:.0%} of the parts are judged to be inside of the training domain."]
    if evaluation.silent is not None and evaluation.failures is not None:
        text.append(
            f"The peak plastic strain is more than 20 % off in {evaluation.failures:.1%} of the histories; "
            f"**silently so, with neither a wide interval nor a domain flag, in {evaluation.silent:.1%}**."
        )
    return "\n".join(text)


def _variants(evaluation: Evaluation) -> str:
    methods = [m for m, own in evaluation.variants.items() if len(own) >= len(evaluation.variants[MODEL])]
    lines = [
        "Each part counts by the largest plastic strain over its histories; Spearman's correlation with the solver's, "
        "over the test parts of a family that yield.\n",
        "| method | median | least | family of the least |",
        "| --- |" + " --- |" * 3,
    ]
    for method in methods:
        own = evaluation.variants[method]
        least = min(own, key=lambda family: own[family])
        lines.append(f"| {method} | {np.median(list(own.values())):.3f} | {own[least]:.3f} | {least} |")
    return "\n".join(lines)


def rivals_section(path: Path) -> str:
    """Competitors trained on the same data, from docs/rivals.json."""
    held = json.loads(path.read_text())
    named = [metric for metric in METRICS if any(m["errors"].get(metric) for m in held["methods"].values())]
    lines = [
        f"{len(held['test_parts'])} test parts, {held['histories']} histories; networks were trained on "
        f"{held['training_parts']} parts. {held['measures'].capitalize()}; per cent.\n",
        "| method | parameters | training CPU s | " + " | ".join(named) + " |",
        "| --- |" + " --- |" * (len(named) + 2),
    ]
    inputs = []
    for name, method in held["methods"].items():
        cells = [
            " / ".join(f"{100 * value:.3g}" for value in method["errors"][metric])
            if method["errors"].get(metric)
            else ""
            for metric in named
        ]
        counts = [f"{method[key]:,}" if key in method else "" for key in ("parameters", "training_cpu_seconds")]
        lines.append(f"| {name} | " + " | ".join([*counts, *cells]) + " |")
        if "inputs" in method:
            inputs.append(f"- *{name}* reads {method['inputs']}.")
    return "\n".join([*lines, "", *inputs])


def fine_tuning_section(path: Path) -> str:
    """What a few parts of a new family buy, from docs/fine_tuning.json."""
    held = json.loads(path.read_text())
    protocol, base, tuned = held["protocol"], held["base"], held["tuned"]
    lines = [
        f"Trained for {protocol['base_steps']} steps without any *{protocol['family']}*, then for "
        f"{protocol['own_steps']} steps on {protocol['own_parts']} parts of it; errors on its {held['test_parts']} "
        "test parts, per cent. Rows of the anchor tell what both start from.\n",
        "| error | before | after | after over before |",
        "| --- | --- | --- | --- |",
    ]
    for name, before in base.items():
        ratio = f"{tuned[name] / before:.2f}" if before else ""
        lines.append(f"| {name.replace('_', ' ')} | {100 * before:.2f} | {100 * tuned[name]:.2f} | {ratio} |")
    return "\n".join(lines)


def weaker_starts_section(path: Path) -> str:
    """What a few parts of a new family buy a network that starts from less, from docs/fine_tuning_tokens.json."""
    held = json.loads(path.read_text())
    lines = [
        f"Small networks on tokens: {held['steps']} steps without the family, then {held['own_steps']} on parts of it; "
        "*these alone*: as many steps in all on those parts only. Errors on its test parts, median / 90th percentile, "
        "per cent, each the median of the seeds; the ratio is that of the medians of errors, least to largest of the "
        "seeds.\n",
        "| family, start | parts: others, own, test | scalar | start alone | before | after | these alone | after over "
        "before |",
        "| --- |" + " --- |" * 7,
    ]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in held["rows"]:
        groups.setdefault((row["family"], row["start"]), []).append(row)
    for (family, start), rows in groups.items():
        counts = ", ".join(str(rows[0][name]) for name in ("other_parts", "own_parts", "test_parts"))
        for scalar in rows[0]["before"]:
            cells = [
                " / ".join(f"{100 * np.median([row[when][scalar][i] for row in rows]):.1f}" for i in (0, 1))
                for when in ("anchor", "before", "after", "alone")
            ]
            ratios = sorted(row["after"][scalar][0] / row["before"][scalar][0] for row in rows)
            told = f"{np.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            lines.append(f"| {family}, {start} | {counts} | {scalar} | " + " | ".join(cells) + f" | {told} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
