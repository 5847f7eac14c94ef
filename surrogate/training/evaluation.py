"""How accurate a model is on parts it was never trained on, beside the classical competitors.

Every method answers every history of every part; errors are against the stored FEM answer. Each part's errors are kept
under a name that tells weights and code, so that an interrupted evaluation goes on.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from surrogate.data.dataset import open_dataset
from surrogate.data.splits import Split, SplitRule
from surrogate.errors import InputError
from surrogate.model.checkpoint import WEIGHTS
from surrogate.model.description import DESCRIPTION, read_description
from surrogate.serving.registry import find_model
from surrogate.training.evaluation_table import Evaluation, combine
from surrogate.training.part_evaluation import (
    CLASSICAL,
    METHODS,
    SLOW,
    SOLVED,
    MethodErrors,
    PartEvaluation,
    Trust,
    evaluate_part,
)

Argument = TypeVar("Argument")
Result = TypeVar("Result")
# Slow methods answer one part in so many.
_STRIDE = 4
# What the answers depend on beside the weights.
_CODE = ("physics", "model", "serving", "training")


def evaluate(
    model: str | None,
    data: Path,
    *,
    split: Split = "test",
    left_out_family: str | None = None,
    only_family: str | None = None,
    limit: int | None = None,
    methods: tuple[str, ...] = (),
    cache: Path | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Evaluate a model on the parts of a split.

    Args:
        model: name of a shipped model, or a folder.
        data: folder of a campaign.
        split: which parts.
        left_out_family: as in training.
        only_family: parts of this family only.
        limit: at most so many parts.
        methods: how the names of those that answer begin; all of METHODS where none is given.
        cache: where the errors of each part are kept; None keeps none.
        workers: processes.
        progress: called with parts done and in all.

    Raises:
        InputError: no parts in that split, no such method, or none of their histories yields.
    """
    entries = open_dataset(data).split(split, SplitRule(left_out_family)).entries
    entries = tuple(entry for entry in entries if only_family in (None, entry.family))
    if limit is not None and limit < len(entries):
        # Entries are sorted by family; even steps keep all families in.
        entries = tuple(entries[i * len(entries) // limit] for i in range(limit))
    if not entries:
        raise InputError(f"no {split} parts in {data.name!r}; run a larger campaign")
    chosen = chosen_methods(methods)
    folder = find_model(model)
    fitted = read_description(folder).get("local_factor", 1.0)
    assert isinstance(fitted, float)
    caches = None if cache is None else (cache / f"classical-{_digest([], fitted)}", cache / _model_key(folder))
    one = partial(_part, model=str(folder), local_factor=fitted, caches=caches)
    tasks = [
        (entry.path, tuple(m for m in chosen if m not in SLOW or not i % _STRIDE)) for i, entry in enumerate(entries)
    ]
    results: list[PartEvaluation] = []
    for result in in_processes(one, tasks, workers):
        results.append(result)
        progress(len(results), len(entries))
    return combine(results)


def chosen_methods(starts: Iterable[str]) -> tuple[str, ...]:
    """The methods whose names begin with one of some texts, in their order; all for none.

    Raises:
        InputError: no method begins like that.
    """
    starts = tuple(starts)
    for start in starts:
        if not any(name.startswith(start) for name in METHODS):
            raise InputError(f"no method begins with {start!r}; there are {', '.join(METHODS)}")
    return tuple(name for name in METHODS if not starts or name.startswith(starts))


def default_cache(data: Path) -> Path:
    """Where the errors of a campaign's parts are kept."""
    return Path.home() / ".cache" / "surrogate" / "evaluations" / data.resolve().name


def _model_key(folder: Path) -> str:
    return f"model-{_digest([folder / WEIGHTS, folder / DESCRIPTION], 0.0)}"


def _digest(files: list[Path], number: float) -> str:
    """Changes with the code that answers, with some files, and with a number."""
    package = Path(__file__).parents[1]
    sources = sorted(path for room in _CODE for path in (package / room).glob("*.py"))
    digest = hashlib.sha256(repr(number).encode())
    for path in (*sources, *files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def in_processes(
    function: Callable[[Argument], Result], arguments: Iterable[Argument], workers: int
) -> Iterator[Result]:
    """Results of a function, in the order of its arguments, on several processes."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(function, arguments)


def _part(
    task: tuple[Path, tuple[str, ...]], model: str, local_factor: float, caches: tuple[Path, Path] | None
) -> PartEvaluation:
    """One part by some methods, as far as they are not in the two caches: of the classical ones and of the model."""
    path, methods = task
    if caches is None:
        return evaluate_part(path, methods, model, local_factor)
    held = [_read(folder / f"{path.stem}.json") for folder in caches]
    known = {name: errors for part in held if part for name, errors in part.methods.items()}
    missing = tuple(name for name in methods if name not in known)
    trust = next((part.trust for part in held if part and part.trust), None)
    if not missing and held[0]:
        return PartEvaluation(held[0].name, held[0].family, _only(known, methods), trust)
    found = evaluate_part(path, missing, model, local_factor)
    both = {**known, **found.methods}
    for folder, own in zip(caches, ((SOLVED, *CLASSICAL), [m for m in METHODS if m not in CLASSICAL]), strict=True):
        kept = PartEvaluation(found.name, found.family, _only(both, own), found.trust or trust)
        _write(kept, folder / f"{path.stem}.json")
    return PartEvaluation(found.name, found.family, _only(both, methods), found.trust or trust)


def _only(methods: dict[str, MethodErrors], wanted: Iterable[str]) -> dict[str, MethodErrors]:
    return {name: methods[name] for name in (SOLVED, *wanted) if name in methods}


def _read(path: Path) -> PartEvaluation | None:
    if not path.exists():
        return None
    held = json.loads(path.read_text())
    methods = {name: MethodErrors(**values) for name, values in held["methods"].items()}
    return PartEvaluation(held["name"], held["family"], methods, Trust(**held["trust"]) if held["trust"] else None)


def _write(part: PartEvaluation, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.write_text(json.dumps(asdict(part)))
    os.replace(temporary, path)
