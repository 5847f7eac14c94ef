"""Fit what needs no network, hold all competitors to the same test parts, and write docs/rivals.json and its table.

`python -m surrogate.training.rival_table --data DIR --out docs/rivals.json`, after
`python -m surrogate.training.rival_training train` of each network. Parts that are done are kept beside the runs.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from surrogate.data.dataset import SimulationEntry, open_dataset
from surrogate.data.simulation_file import load_simulation
from surrogate.errors import InputError
from surrogate.fields import FloatArray
from surrogate.model.anchor_path import local_path
from surrogate.physics.elastic import elastic_anchor
from surrogate.training.baselines import fitted_factor
from surrogate.training.notch_rules import NOTCH_RULES, notch_history
from surrogate.training.rival_data import prepared_paths
from surrogate.training.rival_evaluation import (
    METRICS,
    PLASTIC_SHARE,
    Factors,
    RivalErrors,
    as_json,
    evaluate_rivals,
    summary,
)
from surrogate.training.rival_scalars import (
    ANCHORED,
    LOADS,
    ScalarRivals,
    collect,
    fit_scalars,
    load_table,
    save_table,
)
from surrogate.training.rival_training import RIVALS, RUNS, trained_rival

# Every so many parts, in the order of family and seed.
TEST_STRIDE, FACTOR_STRIDE, SCALAR_STRIDE = 5, 40, 2
_INPUTS = {
    "meshgraphnet": "positions, distances to support, load and surface, held directions, material, loads and their "
    "change at the points, total force and moment, its own plastic strain; no elastic answer",
    "transolver": "the same geometry and material, loads now and where largest so far, total force and moment now, "
    "at most, at least; no elastic answer",
    "transolver-anchor": "the same and the elastic stress now and where its von Mises stress was largest so far",
    LOADS: "moments of inertia, box, material, held share, total force and moment now, at most, at least",
    ANCHORED: "the same and POD coefficients of the elastic stress level over volume and steps",
}


@dataclass(frozen=True)
class Subset:
    """What a table is made of.

    Attributes:
        test: parts that are evaluated.
        factors: training parts on which the factors of the local rules are fitted.
        scalars: training parts on which the processes are fitted.
    """

    test: tuple[SimulationEntry, ...]
    factors: tuple[SimulationEntry, ...]
    scalars: tuple[SimulationEntry, ...]


def subset(data: Path) -> Subset:
    """The fixed strides of a campaign.

    Raises:
        InputError: no training or no test parts.
    """
    held = open_dataset(data)
    train, test = held.split("train").entries, held.split("test").entries
    if not train or not test:
        raise InputError(f"{len(train)} train and {len(test)} test parts in {data.name!r}; run a larger campaign")
    return Subset(test[::TEST_STRIDE], train[::FACTOR_STRIDE], train[::SCALAR_STRIDE])


def fit_factors(entries: Sequence[SimulationEntry]) -> Factors:
    """The one factor of each local rule, on the last steps of the histories of training parts that yield."""
    truths: list[FloatArray] = []
    found: dict[str, list[FloatArray]] = {name: [] for name in ("local anchor", *NOTCH_RULES)}
    for entry in entries:
        simulation = load_simulation(entry.path)
        material, anchor = simulation.problem.material, elastic_anchor(simulation.problem)
        weight = np.sqrt(anchor.system.volumes.ravel())
        unit = material.yield_strength_pa / material.youngs_modulus_pa
        for row, history in enumerate(simulation.problem.load_histories):
            truth = np.zeros(weight.size)
            truth[simulation.yielded] = simulation.equivalent_plastic_strain[row, -1]
            if truth.max() <= PLASTIC_SHARE * unit:
                continue
            truths.append(truth)
            *_, last = local_path(anchor.strain, history.factors[None], material)
            found["local anchor"].append(last.state.equivalent[:, 0])
            for name, rule in NOTCH_RULES.items():
                found[name].append(notch_history(rule, anchor.stress, history.factors, material).equivalent[:, -1])
    return Factors(
        {name: fitted_factor(truths, states) for name, states in found.items()},
        {
            name: float(np.median([t.max() / max(s.max(), 1e-12) for t, s in zip(truths, states, strict=True)]))
            for name, states in found.items()
        },
    )


def scalar_rivals(entries: Sequence[SimulationEntry], runs: Path) -> tuple[ScalarRivals, float]:
    """The processes and the CPU-seconds that collecting and fitting took."""
    started, path = time.process_time(), runs / "scalars.npz"
    spent = runs / "scalars.json"
    if not path.exists():
        save_table(collect(entries), path)
        spent.write_text(json.dumps(time.process_time() - started))
    collected = float(json.loads(spent.read_text()))
    started = time.process_time()
    rivals = fit_scalars(load_table(path))
    return rivals, collected + time.process_time() - started


def make_table(
    data: Path, runs: Path = RUNS, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, object]:
    """Everything that docs/rivals.json says."""
    torch.set_num_threads(1)
    chosen = subset(data)
    networks = {name: trained_rival(name, runs) for name in RIVALS}
    spent = {name: torch.load(runs / name / "state.pt", weights_only=True) for name in RIVALS}
    processes, seconds = scalar_rivals(chosen.scalars, runs)
    factors = fit_factors(chosen.factors)
    folder = runs / ("evaluated-" + "-".join(str(spent[name]["step"]) for name in RIVALS))
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    for number, entry in enumerate(chosen.test, start=1):
        kept = folder / f"{entry.path.stem}.json"
        if not kept.exists():
            kept.write_text(json.dumps(as_json(evaluate_rivals(entry.path, networks, processes, factors))))
        results.append({name: RivalErrors(**value) for name, value in json.loads(kept.read_text()).items()})
        progress(number, len(chosen.test))
    methods = summary(results)
    for name, network in networks.items():
        methods[name] |= {
            "inputs": _INPUTS[name],
            "parameters": sum(each.numel() for each in network.parameters()),
            "training_cpu_seconds": round(float(spent[name]["seconds"])),
            "training_steps": int(spent[name]["step"]),
            "settings": json.loads((runs / name / "config.json").read_text()),
        }
    for name in (LOADS, ANCHORED):
        methods[name] |= {
            "inputs": _INPUTS[name],
            "training_histories": processes.rows,
            "training_cpu_seconds": round(seconds),
        }
    first = [result for result in results if result]
    return {
        "campaign": data.name,
        "training_parts": len(prepared_paths(open_dataset(data).split("train").entries, runs)),
        "test_parts": [entry.path.stem for entry in chosen.test],
        "histories": sum(len(next(iter(result.values())).errors) for result in first),
        "measures": "relative errors, median / 90th percentile / worst over histories that yield more than 0.05 yield "
        "strains; plastic strain and stress as volume-weighted tensors; null: the method does not tell",
        "factors": {"field": factors.field, "peak": factors.peak},
        "methods": methods,
    }


def table_text(table: dict[str, object]) -> str:
    """The errors as Markdown, per cent, median / 90th percentile / worst."""
    lines = ["| method | " + " | ".join(METRICS) + " |", "| --- |" + " --- |" * len(METRICS)]
    methods = table["methods"]
    assert isinstance(methods, dict)
    for name, method in methods.items():
        cells = ["" if row is None else " / ".join(f"{100 * v:.3g}" for v in row) for row in method["errors"].values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\\n".join(lines)


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m surrogate.training.rival_table", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of a campaign")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the trained networks")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    given = parser.parse_args()
    table = make_table(given.data, given.runs, lambda done, total: print(f"{done}/{total}", flush=True))
    given.out.write_text(json.dumps(table, indent=1) + "\\n")
    print(table_text(table))


if __name__ == "__main__":
    _main()
