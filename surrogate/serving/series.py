"""An answer for ParaView: a VTU file a stored step, and PVD files that hold them together.

`results.pvd` runs through all histories, worst first; with several there is also one PVD a history. Units are in the
names of the fields. Shape letters: N points, C cells.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import quoteattr

from surrogate.errors import ProblemError
from surrogate.fields import Fields, FloatArray, HistoryFields
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.error_norms import stored_index
from surrogate.physics.invariants import to_first, von_mises
from surrogate.physics.peak import peak_step
from surrogate.physics.problem import Problem
from surrogate.serving.fields_file import written_whole
from surrogate.serving.point_data import averaged_at_points, cell_means
from surrogate.serving.summary import rank
from surrogate.serving.vtu import write_vtu

# Hundreds of histories are ranked, not looked at one by one; the worst are written.
MAX_FILES = 200


def write_series(problem: Problem, fields: Fields, directory: Path) -> Path:
    """Write the stored steps of the histories, worst first, up to `MAX_FILES` files.

    Args:
        problem: what was asked.
        fields: the answer.
        directory: where the files go, made if needed.

    Returns:
        The path of `results.pvd`.
    """
    whole: list[tuple[float, str]] = []
    by_name = {history.name: (number, history) for number, history in enumerate(fields.histories, start=1)}
    for name in rank(fields.histories):
        number, history = by_name[name]
        if whole and len(whole) + len(history.steps) > MAX_FILES:
            break
        stem = f"{number:03d}_{_slug(name)}"
        entries = []
        for index, step in enumerate(history.steps.tolist()):
            file = f"steps/{stem}_{step + 1:04d}.vtu"
            _write(directory / file, problem.mesh, history, index, fields.quadrature_volume)
            entries.append((float(step + 1), file))
            whole.append((float(len(whole) + 1), file))
        if len(fields.histories) > 1:
            _write_pvd(directory / f"{stem}.pvd", entries)
    path = directory / "results.pvd"
    _write_pvd(path, whole)
    return path


def write_step(
    problem: Problem, fields: Fields, path: Path, *, history: str | None = None, step: int | None = None
) -> None:
    """Write one stored step as a VTU file.

    Args:
        problem: what was asked.
        fields: the answer.
        path: the file.
        history: name of the load history; None takes the worst.
        step: index of the step, the nearest stored one is taken; None takes the peak step.

    Raises:
        ProblemError: no such history, or it reached no step.
    """
    name = history if history is not None else rank(fields.histories)[0]
    for candidate in fields.histories:
        if candidate.name == name and len(candidate.steps):
            index = stored_index(candidate, peak_step(candidate.scalars) if step is None else step)
            _write(path, problem.mesh, candidate, index, fields.quadrature_volume)
            return
    raise ProblemError(f"no load history {name!r} with results; choose one of: {', '.join(rank(fields.histories))}")


def _write(path: Path, mesh: TetMesh, history: HistoryFields, index: int, volume: FloatArray) -> None:
    stress, strain = history.stress[index], history.plastic_strain[index]
    quadrature = {
        "von_mises_pa": von_mises(to_first(stress)).reshape(volume.shape),
        "equivalent_plastic_strain": history.equivalent_plastic_strain[index],
        "stress_pa": stress,
        "plastic_strain": strain,
    }
    averaged = {name: averaged_at_points(mesh, values, volume) for name, values in quadrature.items()}
    means = {name: cell_means(values, volume) for name, values in quadrature.items()}
    write_vtu(path, mesh, {"displacement_m": history.displacement[index], **averaged}, means)


def _write_pvd(path: Path, entries: Iterable[tuple[float, str]]) -> None:
    lines = "\n".join(f'<DataSet timestep="{time:g}" part="0" file={quoteattr(file)}/>' for time, file in entries)
    text = f'<?xml version="1.0"?>\n<VTKFile type="Collection" version="0.1">\n<Collection>\n{lines}\n</Collection>\n'
    with written_whole(path) as stream:
        stream.write(f"{text}</VTKFile>\n".encode())


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40] or "history"
