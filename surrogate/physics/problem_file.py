"""Problem files: read one (TOML on disk, the same structure as JSON), build the problem, write it down again.

`build_problem` resolves every selector against the mesh, so that a wrong one fails before anything runs.
"""

import csv
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from surrogate.errors import ProblemError
from surrogate.geometry.part import load_part
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.boundary_spec import build_load, build_support, load_spec, support_spec
from surrogate.physics.material_description import described_material, material_spec
from surrogate.physics.materials import library
from surrogate.physics.problem import LoadCase, LoadHistory, Problem, ramp
from surrogate.physics.problem_schema import (
    MAX_FACTORS,
    MAX_HISTORIES,
    LoadHistorySpec,
    ProblemFile,
    ProblemSpec,
    describe_validation,
)

__all__ = [
    "ProblemFile",
    "ProblemSpec",
    "build_problem",
    "load_problem",
    "parse_problem_spec",
    "problem_spec",
    "read_histories",
    "read_problem_file",
]

MAX_FILE_BYTES = 64 * 2**20


def parse_problem_spec(data: Mapping[str, object]) -> ProblemSpec:
    """The problem in JSON or TOML tables.

    Raises:
        ProblemError: with the path of each wrong key, its value and the remedy.
    """
    try:
        return ProblemSpec.model_validate(data)
    except ValidationError as error:
        raise ProblemError(describe_validation(error)) from None


def read_problem_file(path: Path) -> ProblemFile:
    """Read a problem file (TOML, or the same structure as JSON), CSV histories included; the part is not touched.

    Raises:
        ProblemError: not readable, not TOML, or keys and values that the format does not have.
    """
    text = _read_text(path, "problem file")
    try:
        data = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise ProblemError(f"{path.name} is not valid {path.suffix.lstrip('.').upper() or 'TOML'}: {error}") from None
    except RecursionError:
        raise ProblemError(f"{path.name} is nested too deeply; a problem needs five levels") from None
    try:
        file = ProblemFile.model_validate(data)
        if file.histories is None:
            return file
        histories = read_histories(path.parent / file.histories)
        return ProblemFile.model_validate({**data, "histories": None, "load_histories": histories})
    except ValidationError as error:
        raise ProblemError(f"{path.name}: {describe_validation(error)}") from None


def load_problem(path: Path) -> Problem:
    """Read a problem file and mesh its part.

    Raises:
        InputError: the file, the part or a selector is wrong.
    """
    file = read_problem_file(path)
    part = path.parent / file.part
    mesh = load_part(part, length_unit=file.length_unit, element_size_m=file.element_size_m)
    return build_problem(file, mesh, name=part.name.split(".")[0])


def build_problem(spec: ProblemSpec, mesh: TetMesh, *, name: str = "part") -> Problem:
    """The problem of a description on a mesh; every selector is tried.

    Raises:
        InputError: a material, selector, case name or number of factors that does not fit.
    """
    supports = tuple(build_support(support, mesh, f"supports[{index}]") for index, support in enumerate(spec.supports))
    cases = tuple(
        LoadCase(
            case.name,
            tuple(build_load(load, mesh, f"load case {case.name!r}, loads[{i}]") for i, load in enumerate(case.loads)),
        )
        for case in spec.load_cases
    )
    case_names = tuple(case.name for case in cases)
    _check_factor_count(spec)
    histories = tuple(_history(history, case_names) for history in spec.load_histories) or (ramp(len(cases)),)
    return Problem(mesh, described_material(spec.material), supports, cases, histories, name)


def problem_spec(problem: Problem) -> ProblemSpec:
    """The description that builds this problem again on its mesh."""
    material = problem.material
    names = [case.name for case in problem.load_cases]
    return parse_problem_spec(
        {
            "material": material.name
            if material in library()
            else material_spec(material).model_dump(exclude_none=True),
            "supports": [support_spec(support) for support in problem.supports],
            "load_cases": [{"name": c.name, "loads": [load_spec(x) for x in c.loads]} for c in problem.load_cases],
            "load_histories": [
                {"name": h.name, "factors": dict(zip(names, h.factors.T.tolist(), strict=True))}
                for h in problem.load_histories
            ],
        }
    )


def read_histories(path: Path) -> list[dict[str, object]]:
    """Load histories of a CSV: one column a load case, one row a step, an optional `history` column.

    Returns:
        One table {name, factors} a history, in order of first appearance, as `load_histories` takes them.

    Raises:
        ProblemError: not readable, no header, or a cell that is not a number.
    """
    lines = _read_text(path, "CSV of load histories").splitlines()
    try:
        rows = [row for row in csv.reader(lines) if any(map(str.strip, row))]
    except csv.Error as error:
        raise ProblemError(f"{path.name} is not a CSV of load histories ({error}); give numbers and commas") from None
    if len(rows) < 2:
        raise ProblemError(f"{path.name} has no steps; give a header of load case names and one row a step")
    header = [cell.strip() for cell in rows[0]]
    if len(set(header)) < len(header) or not all(header):
        raise ProblemError(f"{path.name}: column names must be unique and not empty; found {', '.join(header)}")
    factors: dict[str, dict[str, list[float]]] = {}
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise ProblemError(f"{path.name}, row {number}: {len(row)} cells for {len(header)} columns; complete it")
        cells = dict(zip(header, row, strict=True))
        name = cells.pop("history", path.stem).strip()
        history = factors.setdefault(name, {case: [] for case in cells})
        for case, cell in cells.items():
            history[case].append(_csv_number(cell, f"{path.name}, row {number}, column {case!r}"))
        if len(factors) > MAX_HISTORIES:
            raise ProblemError(f"{path.name} has more than {MAX_HISTORIES} histories; split the file")
    return [{"name": name, "factors": columns} for name, columns in factors.items()]


def _read_text(path: Path, what: str) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ProblemError(f"{what} {path.name} is over {MAX_FILE_BYTES // 2**20} MiB; split it")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ProblemError(f"cannot read the {what} {path}: {error.strerror}; check the path") from None
    except UnicodeDecodeError:
        raise ProblemError(f"the {what} {path.name} is not UTF-8 text; save it as UTF-8") from None
    except ValueError as error:
        raise ProblemError(f"cannot read the {what} {str(path)!r}: {error}; check the path") from None


def _csv_number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise ProblemError(f"{where}: {cell.strip()!r} is not a number; give a load factor") from None
    if not np.isfinite(value):
        raise ProblemError(f"{where}: {cell.strip()} is not finite; give a load factor")
    return value


def _check_factor_count(spec: ProblemSpec) -> None:
    """Left-out cases are filled with zeros, so a small request could ask for a huge array."""
    steps = sum(len(next(iter(history.factors.values()))) for history in spec.load_histories)
    if steps * len(spec.load_cases) > MAX_FACTORS:
        raise ProblemError(
            f"the load histories have {steps} steps x {len(spec.load_cases)} load cases together, over "
            f"{MAX_FACTORS} factors; split them over several problems"
        )


def _history(spec: LoadHistorySpec, case_names: tuple[str, ...]) -> LoadHistory:
    unknown = [case for case in spec.factors if case not in case_names]
    if unknown:
        raise ProblemError(
            f"load history {spec.name!r} names the unknown load case {unknown[0]!r}; known: {', '.join(case_names)}"
        )
    step_count = len(next(iter(spec.factors.values())))
    factors = np.zeros((step_count, len(case_names)))
    for case, values in spec.factors.items():
        factors[:, case_names.index(case)] = values
    return LoadHistory(spec.name, factors)
