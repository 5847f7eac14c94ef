"""Fit what needs no network, hold all competitors to the same test parts, and write docs/rivals.json and its table.

`python -m surrogate.training.rival_table --data DIR --out docs/rivals.json`, after
`python -m surrogate.training.rival_training train` of each network. Parts that are done are kept beside the runs.
"""

import argparse
import json
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from surrogate.data.dataset import SimulationEntry, open_dataset
from surrogate.data.simulation_file import load_simulation
from surrogate.errors import InputError
from surrogate.fields import FloatArray
from surrogate.model.anchor_path import local_path
from surrogate.physics.invariants import to_first
from surrogate.physics.plasticity import elastic_strain
from surrogate.physics.tet_element import gradients_and_volumes
from surrogate.training.baselines import fitted_factor
from surrogate.training.meshgraphnet import MeshGraphNet
from surrogate.training.notch_rules import NOTCH_RULES, notch_history
from surrogate.training.part_evaluation import METRICS, PLASTIC_SHARE
from surrogate.training.rival_evaluation import Factors, RivalErrors, evaluate_rivals
from surrogate.training.rival_scalars import (
    ANCHORED,
    LOADS,
    ScalarRivals,
    collect,
    fit_scalars,
    load_table,
    save_table,
)
from surrogate.training.rival_training import RIVALS, RUNS, Rival, RunState, run_state, trained_rival
from surrogate.training.transolver import Transolver

# Changes where kept evaluations would mean something else.
FORMAT = 1
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
class Strides:
    """Every so many parts, in the order of family and seed, so that all families are in.

    Attributes:
        test: parts that are evaluated.
        factors: training parts on which the factors of the local rules are fitted.
        scalars: training parts on which the processes are fitted.
    """

    test: int = 5
    factors: int = 40
    scalars: int = 2


@dataclass(frozen=True)
class Subset:
    """The parts that these strides take."""

    test: tuple[SimulationEntry, ...]
    factors: tuple[SimulationEntry, ...]
    scalars: tuple[SimulationEntry, ...]


def subset(data: Path, strides: Strides) -> Subset:
    """The parts of a campaign that a table is made of.

    Raises:
        InputError: no training or no test parts.
    """
    held = open_dataset(data)
    train, test = held.split("train").entries, held.split("test").entries
    if not train or not test:
        raise InputError(f"{len(train)} train and {len(test)} test parts in {data.name!r}; run a larger campaign")
    return Subset(test[:: strides.test], train[:: strides.factors], train[:: strides.scalars])


def fit_factors(entries: Sequence[SimulationEntry]) -> Factors:
    """The one factor of each local rule, on the last steps of the histories of training parts that yield."""
    truths: list[FloatArray] = []
    found: dict[str, list[FloatArray]] = {name: [] for name in ("local anchor", *NOTCH_RULES)}
    for entry in entries:
        simulation = load_simulation(entry.path)
        mesh, material = simulation.problem.mesh, simulation.problem.material
        weight = np.sqrt(gradients_and_volumes(mesh.points, mesh.cells)[1].ravel())
        stress = np.stack([to_first(case.astype(np.float64)) for case in simulation.elastic_stress], axis=-1)
        unit = material.yield_strength_pa / material.youngs_modulus_pa
        for row, history in enumerate(simulation.problem.load_histories):
            truth = np.zeros(weight.size)
            truth[simulation.yielded] = simulation.equivalent_plastic_strain[row, -1]
            if truth.max() <= PLASTIC_SHARE * unit:
                continue
            truths.append(truth * weight)
            *_, last = local_path(elastic_strain(stress, material), history.factors[None], material)
            found["local anchor"].append(last.state.equivalent[:, 0] * weight)
            for name, rule in NOTCH_RULES.items():
                state = notch_history(rule, stress, history.factors, material)
                found[name].append(state.equivalent[:, -1] * weight)
    return Factors(
        {name: fitted_factor(truths, states) for name, states in found.items()},
        {
            name: float(np.median([t.max() / max(s.max(), 1e-300) for t, s in zip(truths, states, strict=True)]))
            for name, states in found.items()
        },
    )


def scalar_rivals(entries: Sequence[SimulationEntry], runs: Path) -> tuple[ScalarRivals, float]:
    """The processes and the CPU-seconds that collecting and fitting took."""
    path, started = runs / f"scalars-{len(entries)}.npz", time.process_time()
    spent = path.with_suffix(".json")
    if not path.exists() or not spent.exists():
        save_table(collect(entries), path)
        spent.write_text(json.dumps(time.process_time() - started))
    collected, started = float(json.loads(spent.read_text())), time.process_time()
    rivals = fit_scalars(load_table(path))
    return rivals, collected + time.process_time() - started


def make_table(
    data: Path,
    runs: Path = RUNS,
    strides: Strides | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, object]:
    """Everything that docs/rivals.json says; networks that are not trained are left out.

    Methods that a part is done with are kept beside the runs, so that a network trained later adds itself alone.
    """
    torch.set_num_threads(1)
    chosen = subset(data, strides or Strides())
    runs.mkdir(parents=True, exist_ok=True)
    trained: list[Rival] = [name for name in RIVALS if (runs / name / "state.pt").exists()]
    networks: dict[str, MeshGraphNet | Transolver] = {name: trained_rival(name, runs) for name in trained}
    spent: dict[str, RunState] = {name: run_state(name, runs) for name in trained}
    processes, seconds = scalar_rivals(chosen.scalars, runs)
    factors = fit_factors(chosen.factors)
    results = []
    for number, entry in enumerate(chosen.test, start=1):
        results.append(_evaluated(entry, runs, networks, spent, processes, factors))
        progress(number, len(chosen.test))
    methods = summary(results)
    for name, network in networks.items():
        methods[name] |= {
            "inputs": _INPUTS[name],
            "parameters": sum(each.numel() for each in network.parameters()),
            "training_cpu_seconds": round(spent[name].seconds),
            "training_steps": spent[name].step,
            "settings": json.loads((runs / name / "config.json").read_text()),
        }
    for scalar in (LOADS, ANCHORED):
        methods[scalar] |= {
            "inputs": _INPUTS[scalar],
            "training_histories": processes.rows,
            "training_cpu_seconds": round(seconds),
        }
    return {
        "campaign": data.name,
        "training_parts": len(open_dataset(data).split("train").entries),
        "test_parts": [entry.path.stem for entry in chosen.test],
        "histories": sum(len(next(iter(result.values())).errors) for result in results if result),
        "measures": "relative errors, median / 90th percentile / worst over histories that yield more than 0.05 yield "
        "strains; plastic strain and stress as volume-weighted tensors; null: the method does not tell",
        "factors": {"field": factors.field, "peak": factors.peak},
        "strides": asdict(strides or Strides()),
        "not_trained": [name for name in RIVALS if name not in trained],
        "methods": methods,
    }


def _evaluated(
    entry: SimulationEntry,
    runs: Path,
    networks: Mapping[str, MeshGraphNet | Transolver],
    spent: Mapping[str, RunState],
    processes: ScalarRivals,
    factors: Factors,
) -> dict[str, RivalErrors]:
    """All methods on a part, those from its file that are still true."""
    key = zlib.crc32(json.dumps([asdict(factors), processes.rows, FORMAT]).encode())
    path = runs / f"evaluated-{key:08x}" / f"{entry.path.stem}.json"
    path.parent.mkdir(exist_ok=True)
    stamps = {name: f"{name}@{spent[name].step}" for name in networks}
    held = json.loads(path.read_text()) if path.exists() else {}
    known = {name for name in (*held, *networks) if stamps.get(name, name) in held}
    # A part in which nothing yields has an empty file.
    if not path.exists() or (held and not set(stamps.values()) <= set(held)):
        found = evaluate_rivals(entry.path, networks, processes, factors, known)
        held |= {stamps.get(name, name): asdict(value) for name, value in found.items()}
        path.write_text(json.dumps(held))
    wanted = {stamp: name for name, stamp in stamps.items()}
    return {
        wanted.get(stamp, stamp): RivalErrors(**value)
        for stamp, value in held.items()
        if stamp in wanted or "@" not in stamp
    }


def summary(results: list[dict[str, RivalErrors]]) -> dict[str, dict[str, object]]:
    """Of each method the median, 90th percentile and worst of each measure, and median seconds a part."""
    table: dict[str, dict[str, object]] = {}
    for name in next(filter(None, results), {}):
        rows = [error for result in results if result for error in result[name].errors]
        table[name] = {
            "errors": {metric: _spread([row[metric] for row in rows if metric in row]) for metric in METRICS},
            "cpu_seconds_a_part": float(np.median([result[name].seconds for result in results if result])),
        }
    return table


def _spread(values: list[float]) -> list[float] | None:
    if not values:
        return None
    return [float(np.median(values)), float(np.quantile(values, 0.9, method="higher")), max(values)]


def table_text(table: dict[str, object]) -> str:
    """The errors as Markdown, per cent, median / 90th percentile / worst."""
    lines = ["| method | " + " | ".join(METRICS) + " |", "| --- |" + " --- |" * len(METRICS)]
    methods = table["methods"]
    assert isinstance(methods, dict)
    for name, method in methods.items():
        cells = ["" if row is None else " / ".join(f"{100 * v:.3g}" for v in row) for row in method["errors"].values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m surrogate.training.rival_table", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of a campaign")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the trained networks")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    for name, value in asdict(Strides()).items():
        parser.add_argument(f"--{name}-stride", type=int, default=value, help="take every so many parts")
    given = parser.parse_args()
    strides = Strides(given.test_stride, given.factors_stride, given.scalars_stride)
    table = make_table(given.data, given.runs, strides, lambda done, total: print(f"{done}/{total}", flush=True))
    given.out.write_text(json.dumps(table, indent=1) + "\n")
    print(table_text(table))


if __name__ == "__main__":
    _main()
