"""Measures the accuracy-time front: `make front` writes docs/front.json and docs/images/front.png.

The question is the peak plastic strain of 200 load histories of 20 steps on one part; each method answers it in a
process of its own, on two threads where the wall clock is told, from mesh and problem in memory to the numbers: the
anchor's factor and the encoding are within the seconds, imports and the reading of weights are not. The classical
methods of one size start from one anchor, timed once, each in a fork of the process that made it. What is measured is
kept in docs/front.json; a row that is there is not run again, so an interrupted run goes on where it stopped.
`--again TEXT` drops the rows whose key holds the text first, `--only TEXT` measures only those, `--truth` solves what
the rows are held against, `--picture` draws what is measured.
"""

import argparse
import json
import multiprocessing
import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from front_hottest import fitted_factors, jumping
from front_methods import Strains, Timed, full_local, hottest_cells, passes, reduced, reduced_everywhere, solved
from front_ours import time_ours
from front_page import CORRECTED, DECODED, OURS, WORST, Judged, Measured, Row, draw, front_section
from front_problem import HISTORIES, SIZES, YIELDS, Truth, chosen, factors_drawn, kept_indices, problem, spread, truth

from surrogate import Problem
from surrogate.fields import FloatArray, IntArray
from surrogate.physics.elastic import ElasticAnchor, build_elastic_system, solve_load_cases

__all__ = ["front_section"]

ROOT = Path(__file__).parent.parent
MEASURED, PICTURE = ROOT / "docs" / "front.json", ROOT / "docs" / "images" / "front.png"
CAMPAIGN, FITTED_ON = Path.home() / ".cache" / "surrogate" / "campaigns" / "second", 60
PATIENCE_S = 900.0
# A thread that waits for another takes processor seconds.
THREADS = {"wall": 2, "processor": 1}
# Histories that a method runs at each size, where it does not run all.
SOME = {"5k": 200, "20k": 16, "80k": 6}
FEW = {"5k": 48, "20k": 8, "80k": 3}
Classical = Callable[[ElasticAnchor, FloatArray, FloatArray], Strains]


@dataclass(frozen=True)
class Method:
    """A classical method: an anchor, the factors of all histories and of those that are run, to their plastic strain.

    Attributes:
        run: the method.
        counts: histories that it runs by size, None for all; a size that is not named is left out.
        single: whether it is also asked for one history.
    """

    run: Classical
    counts: dict[str, int] | None = None
    single: bool = False


def _hottest(rule: str, factor: float, anchor: ElasticAnchor, every: FloatArray, some: FloatArray) -> Strains:
    return hottest_cells(anchor, some, rule, factor)


def _reduced(enrichments: int, jump: bool, anchor: ElasticAnchor, every: FloatArray, some: FloatArray) -> Strains:
    return reduced(anchor, jumping(some) if jump else list(some), enrichments)


def _everywhere(anchor: ElasticAnchor, every: FloatArray, some: FloatArray) -> Strains:
    return reduced_everywhere(anchor, every, list(some), 1)


def _passes(count: int, jump: bool, anchor: ElasticAnchor, every: FloatArray, some: FloatArray) -> Strains:
    return passes(anchor, jumping(some) if jump else list(some), count)


def _settled(anchor: ElasticAnchor, every: FloatArray, some: FloatArray) -> Strains:
    return passes(anchor, jumping(some), 20, 1e-2)


def methods(factors: dict[str, float]) -> dict[str, Method]:
    """The classical methods by name, cheap ones first."""
    found = {}
    for rule, factor in factors.items():
        found[f"{rule}, hottest cells, fitted factor"] = Method(partial(_hottest, rule, factor), single=rule == "local")
    found["local, every point"] = Method(lambda anchor, every, some: full_local(anchor, some), SOME)
    for enrichments in (0, 1, 2):
        found[f"reduced, {enrichments} enrichments"] = Method(
            partial(_reduced, enrichments, False), single=enrichments == 1
        )
    found["reduced, 1 enrichments, jump"] = Method(partial(_reduced, 1, True))
    found["reduced, 1 enrichments, every point"] = Method(_everywhere, {"5k": HISTORIES})
    for count in (1, 2, 3, 5):
        found[f"jump, {count} passes"] = Method(partial(_passes, count, True), SOME, single=count == 3)
    found["jump, iterated to 1 %"] = Method(_settled, SOME)
    for count in (1, 2, 3):
        found[f"local + {count} passes"] = Method(partial(_passes, count, False), FEW, single=count == 3)
    found["solved"] = Method(lambda anchor, every, some: solved(anchor, some), FEW, single=True)
    return found


def keys(factors: dict[str, float]) -> list[str]:
    """Every row, "size | method | histories", the small part first."""
    found, classical = [], methods(factors)
    for size in SIZES:
        many = [name for name, method in classical.items() if method.counts is None or size in method.counts]
        found += [f"{size} | {name} | {HISTORIES}" for name in (OURS, DECODED, CORRECTED, *many)]
        single = [name for name in many if classical[name].single]
        found += [f"{size} | {name} | 1" for name in (OURS, DECODED, *single)]
    return found


def histories_of(size: str, counts: dict[str, int] | None, asked: int) -> IntArray:
    """The histories that a row runs."""
    if asked == 1:
        return middle_history(size)
    if counts is None or counts[size] >= HISTORIES:
        return kept_indices()
    return spread(chosen(size), counts[size])


def middle_history(size: str) -> IntArray:
    """The history of median plastic strain among those that yield and have a truth [1]."""
    known = truth(size)
    peak = known.peak[:, -1]
    yields = np.flatnonzero(~known.collapsed & (peak > YIELDS))
    return known.indices[yields[np.argsort(peak[yields])[len(yields) // 2]]][None]


def run_ours(key: str, model: str | None) -> Row:
    """One row of the model, in this process."""
    size, name, count = key.split(" | ")
    run = histories_of(size, None, int(count))
    timed = time_ours(problem(size, run), warm_problem(), name != CORRECTED, WORST if name == DECODED else 0, model)
    return _row(size, int(count), run, timed)


def run_classical(chosen_keys: list[str], factors: dict[str, float]) -> Iterator[tuple[str, Row]]:
    """The rows of one size from one anchor, each in a fork of this process; one that fails is left out."""
    size = chosen_keys[0].split(" | ")[0]
    _anchored(warm_problem())  # loads the libraries
    asked = problem(size, kept_indices())
    used, start = time.process_time(), time.perf_counter()
    anchor = _anchored(asked)
    seconds, cpu = time.perf_counter() - start, time.process_time() - used
    forks = multiprocessing.get_context("fork")
    for key in chosen_keys:
        receiver, sender = forks.Pipe(duplex=False)
        child = forks.Process(target=_send_row, args=(sender, key, anchor, (seconds, cpu), factors))
        child.start()
        sender.close()
        try:
            if not receiver.poll(PATIENCE_S):
                raise EOFError(f"over {PATIENCE_S:.0f} s")
            yield key, receiver.recv()
        except EOFError as error:
            print(f"left out: {key}: {error}", file=sys.stderr, flush=True)
            child.kill()
        child.join()


def _send_row(
    sender: Connection, key: str, anchor: ElasticAnchor, spent: tuple[float, float], factors: dict[str, float]
) -> None:
    """In a fork: run a method from the anchor, which took so many wall and processor seconds."""
    size, name, count = key.split(" | ")
    method, asked = methods(factors)[name], int(count)
    run = histories_of(size, method.counts, asked)
    every = factors_drawn()[1][run if asked == 1 else kept_indices()]
    some = factors_drawn()[1][run]
    used, start = time.process_time(), time.perf_counter()
    found = method.run(anchor, every, some)
    rest, cpu = time.perf_counter() - start - found.once_s, time.process_time() - used
    points = len(anchor.system.mesh.points)
    sender.send(_row(size, asked, run, Timed(found, points, spent[0] + found.once_s, rest, spent[1], cpu)))


def _row(size: str, asked: int, run: IntArray, timed: Timed) -> Row:
    scale = 1.0 if asked == 1 else HISTORIES / len(run)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    seconds, judged = timed.once_s + scale * timed.rest_s, held_against(truth(size), run, timed.found)
    cpu = timed.once_cpu_s + scale * timed.rest_cpu_s
    return Row(timed.points, seconds, timed.once_s, len(run), cpu, peak_gb, **asdict(judged))


def warm_problem() -> Problem:
    """A few histories on the coarsest mesh, of a material by another name, so that no cache holds its anchor later."""
    asked = problem("5k", kept_indices()[:8])
    return replace(asked, material=replace(asked.material, name="warm-up"))


def _anchored(asked: Problem) -> ElasticAnchor:
    """The anchor, nothing taken from a cache."""
    return solve_load_cases(asked, build_elastic_system(asked.mesh, asked.material, asked.supports))


def held_against(known: Truth, indices: IntArray, found: Strains) -> Judged:
    """How far some histories' strains are from the truth, of those that yield and have one."""
    place = {int(index): row for row, index in enumerate(known.indices) if not known.collapsed[row]}
    rows = np.array([place.get(int(index), -1) for index in indices])
    judged = (rows >= 0) & (known.peak[rows, -1] > YIELDS)
    true = known.peak[rows[judged], -1]
    median, p90 = np.quantile(np.abs(found.peak[judged] / true - 1), (0.5, 0.9)).tolist()
    worst = None
    if len(true) >= HISTORIES // 2:
        worst = len(set(np.argsort(-true)[:WORST].tolist()) & set(np.argsort(-found.peak[judged])[:WORST].tolist()))
    wide = judged & (known.p999[rows] > YIELDS)
    if found.p999 is None or not wide.any():
        return Judged(int(judged.sum()), median, p90, None, None, worst)
    p999 = np.quantile(np.abs(found.p999[wide] / known.p999[rows[wide]] - 1), (0.5, 0.9)).tolist()
    return Judged(int(judged.sum()), median, p90, *p999, worst)


def measure(wanted: list[str], measured: Measured, model: str | None) -> Iterator[tuple[str, Row]]:
    """Rows from processes of their own: those of the model one by one, the classical ones of a size from one anchor."""
    factors, count = measured["factors"], THREADS[measured["clock"]]
    threads = {name: str(count) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    threads["KMP_BLOCKTIME"] = "0"  # a thread that waits takes no processor seconds
    groups = [[key] for key in wanted if " | ours" in key]
    groups += [[key for key in wanted if key.startswith(f"{size} |") and " | ours" not in key] for size in SIZES]
    for group in filter(None, groups):
        command = [sys.executable, __file__, "--rows", json.dumps(group), "--factors", json.dumps(factors)]
        command += [] if model is None else ["--model", model]
        with subprocess.Popen(command, env={**os.environ, **threads}, stdout=subprocess.PIPE, text=True) as child:
            for line in child.stdout or ():
                key, row = json.loads(line)
                yield key, Row(**row)
        if child.returncode:
            print(f"left out, exit {child.returncode}: {group}", flush=True)


def run_rows(wanted: list[str], factors: dict[str, float], model: str | None) -> None:
    """In a process of its own: run rows, print each as a line."""
    ours = " | ours" in wanted[0]
    for key, row in ((key, run_ours(key, model)) for key in wanted) if ours else run_classical(wanted, factors):
        print(json.dumps([key, asdict(row)]), flush=True)


def machine() -> str:
    """What the figures were taken on."""
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return names[0] if names else platform.machine()


def opened() -> Measured:
    """What is measured so far."""
    if MEASURED.exists():
        found: Measured = json.loads(MEASURED.read_text())
        return found
    return {
        "machine": machine(),
        "factors": fitted_factors(CAMPAIGN, FITTED_ON),
        "fitted_on": FITTED_ON,
        "clock": "wall",
        "rows": {},
    }


def main() -> None:
    """Measure what is missing, then draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=json.loads, help="run these rows in this process")
    parser.add_argument("--factors", type=json.loads, help="the fitted factors, for --rows")
    parser.add_argument("--model", help="name or folder of the model; the newest shipped one without it")
    parser.add_argument("--clock", choices=("wall", "processor"), help="seconds that are told, kept until changed")
    parser.add_argument("--only", default="", help="measure only the rows whose key holds this text")
    parser.add_argument("--again", help="forget the rows whose key holds this text first")
    parser.add_argument("--truth", action="store_true", help="solve what the rows are held against, measure nothing")
    parser.add_argument("--picture", action="store_true", help="draw what is measured, measure nothing")
    asked = parser.parse_args()
    if asked.rows:
        run_rows(asked.rows, asked.factors, asked.model)
        return
    for size in SIZES:
        truth(size)
    if asked.truth:
        return
    measured = opened()
    measured["clock"] = asked.clock or measured["clock"]
    if asked.again is not None:
        measured["rows"] = {key: row for key, row in measured["rows"].items() if asked.again not in key}
    missing = [key for key in keys(measured["factors"]) if key not in measured["rows"] and asked.only in key]
    for key, row in measure([] if asked.picture else missing, measured, asked.model):
        measured["rows"][key] = asdict(row)
        MEASURED.write_text(json.dumps(measured, indent=1) + "\n")
        print(f"{key}: {row.seconds:.2f} s, {row.peak_median:.1%} / {row.peak_p90:.1%}", flush=True)
    MEASURED.write_text(json.dumps(measured, indent=1) + "\n")
    draw(measured, PICTURE)


if __name__ == "__main__":
    main()
