"""Pictures of an answer as PNG files, drawn off screen in a process of their own.

VTK aborts the process where there is no OpenGL library, so it never runs in the caller's. Shape letters: N points of
the mesh, C cells, Q quadrature points a cell, P surface points.
"""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from surrogate.errors import InfrastructureError, ProblemError
from surrogate.fields import Fields, FloatArray, HistoryFields, IntArray
from surrogate.geometry.isolation import run_isolated
from surrogate.geometry.tet_mesh import TetMesh, Vector
from surrogate.physics.error_norms import stored_index
from surrogate.physics.invariants import to_first, von_mises
from surrogate.physics.problem import Problem
from surrogate.physics.tet_element import QUADRATURE_BARYCENTRIC, shape_functions
from surrogate.serving.picture import Marker, Order, Panel, Picture, save_order
from surrogate.serving.point_data import averaged_at_points
from surrogate.serving.setup_picture import setup_arrays, setup_picture
from surrogate.serving.summary import rank
from surrogate.serving.surface import Surface, surface_of

PictureField = Literal["von_mises", "displacement", "plastic_strain", "setup"]
FIELDS: tuple[PictureField, ...] = ("von_mises", "displacement", "plastic_strain")
_BAR_TITLE = {
    "von_mises": "von Mises stress, MPa",
    "displacement": "displacement, mm",
    "plastic_strain": "equivalent plastic strain, %",
}
_FACTOR = {"von_mises": 1e-6, "displacement": 1e3, "plastic_strain": 100.0}
# The single-point peak of the stress creeps up in reversed yielding; the percentile follows the load.
_LARGEST = {
    "von_mises": "p999_von_mises_pa",
    "displacement": "max_displacement_m",
    "plastic_strain": "peak_plastic_strain",
    "setup": "p999_von_mises_pa",
}
# Pale where nothing yields.
_COLOURS = {"von_mises": "turbo", "displacement": "turbo", "plastic_strain": "YlOrRd"}
# Largest displacement as drawn, over the part's diagonal: seen at a glance, and the part still looks like itself.
_DRAWN_DISPLACEMENT = 0.06
_TIMEOUT_S = 180.0
# Software OpenGL maps far more than it uses.
_MEMORY_BYTES = 16 * 2**30
_BACKENDS = ("egl", "osmesa")


def render_pictures(
    problem: Problem,
    answer: Fields,
    directory: Path,
    *,
    history: str | None = None,
    step: int | None = None,
    fields: Sequence[PictureField] = FIELDS,
) -> tuple[Path, ...]:
    """Draw fields on the surface of the part, one PNG each, all seen from the side where the peak is visible.

    Args:
        problem: what was asked.
        answer: from `solve` or `predict`.
        directory: where the pictures go, made if needed.
        history: name of the load history; None takes the worst.
        step: index of the step, the nearest stored one is drawn; None draws each field where it is largest.
        fields: what to draw; "setup" is the mesh with supports and loads.

    Raises:
        ProblemError: no such history, or no step of it was reached.
        InfrastructureError: no OpenGL library, or the drawing process died.
    """
    chosen = history_named(answer, history)
    surface = surface_of(problem.mesh)
    arrays: dict[str, NDArray[np.generic]] = {}
    pictures = []
    for name in fields:
        if name == "setup":
            arrays |= setup_arrays(problem)
            pictures.append(setup_picture(problem))
        else:
            index = _shown(chosen, chosen.steps, name, step)
            title = _title(problem, chosen, int(chosen.steps[index]))
            values, panel = _field_panel(problem, answer, chosen, index, name, title)
            arrays["motion"] = chosen.displacement[_shown(chosen, chosen.steps, "displacement", step)][
                surface.point_ids
            ]
            arrays[name] = values[surface.point_ids]
            pictures.append(Picture(f"{name}.png", (panel,)))
    place = _peak_place(problem.mesh, chosen, _shown(chosen, chosen.steps, "von_mises", step))
    _draw(Order(tuple(pictures), place), surface, arrays, directory)
    return tuple(directory / picture.file for picture in pictures)


def render_comparison(
    problem: Problem,
    predicted: Fields,
    solved: Fields,
    directory: Path,
    *,
    history: str | None = None,
    step: int | None = None,
    fields: Sequence[PictureField] = ("von_mises", "plastic_strain"),
) -> tuple[Path, ...]:
    """Draw predicted, solved and their difference side by side, one PNG a field (`comparison_<field>.png`).

    Args:
        problem: what was asked.
        predicted: the answer that is judged.
        solved: the reference.
        directory: where the pictures go.
        history: name of the load history; None takes the reference's worst.
        step: index of the step, the nearest that both store is drawn; None draws each field where the reference's is
            largest.
        fields: what to draw, "setup" excepted.

    Raises:
        ProblemError: no such history, or no step that both answers store.
        InfrastructureError: as `render_pictures`.
    """
    theirs = history_named(solved, history)
    mine = history_named(predicted, theirs.name)
    common = np.intersect1d(mine.steps, theirs.steps)
    if common.size == 0:
        raise ProblemError(f"history {theirs.name!r}: the two answers share no stored step; nothing to compare")
    surface = surface_of(problem.mesh)
    arrays: dict[str, NDArray[np.generic]] = {}
    pictures = []
    for name in fields:
        shown = int(common[_shown(theirs, common, name, step)])
        panels = []
        values = {}
        for label, answer, chosen in (("predicted", predicted, mine), ("solved", solved, theirs)):
            index = stored_index(chosen, shown)
            values[label], panel = _field_panel(problem, answer, chosen, index, name, label)
            key = f"{name}_{label}"
            arrays[key] = values[label][surface.point_ids]
            arrays[f"motion_{label}"] = chosen.displacement[index][surface.point_ids]
            deformed = f"motion_{label}" if panel.displacement else None
            panels.append(replace(panel, scalars=key, displacement=deformed, caption=""))
        high = max(panel.high for panel in panels)
        difference = values["predicted"] - values["solved"]
        arrays[f"{name}_difference"] = difference[surface.point_ids]
        bound = max(float(np.abs(difference).max()), 1e-3 * high)
        scale = panels[1].scale
        panels = [replace(panel, high=high, scale=scale) for panel in panels]
        panels[0] = replace(panels[0], caption=_title(problem, theirs, shown))
        panels.append(
            Panel(
                "predicted - solved",
                scalars=f"{name}_difference",
                bar_title=_BAR_TITLE[name],
                low=-bound,
                high=bound,
                colours="RdBu_r",
            )
        )
        pictures.append(Picture(f"comparison_{name}.png", tuple(panels), width=2100, height=800))
    hottest = int(common[_shown(theirs, common, "von_mises", step)])
    place = _peak_place(problem.mesh, theirs, stored_index(theirs, hottest))
    _draw(Order(tuple(pictures), place), surface, arrays, directory)
    return tuple(directory / picture.file for picture in pictures)


def history_named(fields: Fields, name: str | None) -> HistoryFields:
    """The history of this name; None gives the worst of those that reached a step.

    Raises:
        ProblemError: no such history, or no step was reached.
    """
    reached = [history for history in fields.histories if len(history.steps)]
    if not reached:
        raise ProblemError("no history reached a step, so there are no fields; lower the first step's factors")
    wanted = name if name is not None else rank(reached)[0]
    for history in reached:
        if history.name == wanted:
            return history
    raise ProblemError(f"no load history {wanted!r} with results; choose one of: {', '.join(h.name for h in reached)}")


def deformation_scale(displacement: FloatArray, mesh: TetMesh) -> float:
    """Factor on the displacement for a picture: 1, 2 or 5 times a power of ten; 1 where it shows by itself.

    Args:
        displacement: [N, 3], m.
        mesh: the part.
    """
    largest = float(np.sqrt((displacement**2).sum(axis=-1).max()))
    wanted = _DRAWN_DISPLACEMENT * math.hypot(*mesh.size)
    if largest * 1.5 >= wanted or largest <= 1e-12 * wanted:
        return 1.0
    power = 10 ** math.floor(math.log10(wanted / largest))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= wanted / largest)


def _title(problem: Problem, history: HistoryFields, step: int) -> str:
    asked = {wanted.name: len(wanted.factors) for wanted in problem.load_histories}
    return f"{problem.name}: {history.name}, step {step + 1} of {asked.get(history.name, len(history.factors))}"


def _shown(history: HistoryFields, steps: IntArray, name: PictureField, step: int | None) -> int:
    """Index into some stored steps of the one to draw: the nearest to a step, or where the field is largest."""
    if step is not None:
        if not 0 <= step < len(history.factors):
            raise ProblemError(f"history {history.name!r} has steps 0 to {len(history.factors) - 1}, not {step}")
        return int(np.argmin(np.abs(steps - step)))
    return int(np.argmax(getattr(history.scalars, _LARGEST[name])[steps]))


def _quadrature_values(history: HistoryFields, index: int, name: PictureField) -> FloatArray:
    if name == "von_mises":
        stress = history.stress[index]
        return von_mises(to_first(stress)).reshape(stress.shape[:2])
    return history.equivalent_plastic_strain[index]


def _field_panel(
    problem: Problem, fields: Fields, history: HistoryFields, index: int, name: PictureField, title: str
) -> tuple[FloatArray, Panel]:
    """Point values [N] in the picture's unit and the panel that shows them."""
    mesh, factor = problem.mesh, _FACTOR[name]
    displacement = history.displacement[index]
    scale = deformation_scale(displacement, mesh)
    if name == "displacement":
        values = factor * np.linalg.norm(displacement, axis=1)
        hottest = int(values.argmax())
        place, peak = mesh.points[hottest] + scale * displacement[hottest], float(values[hottest])
        caption = f"displacement of the {fields.method} answer, deformation drawn x {scale:g}"
    else:
        raw = _quadrature_values(history, index, name)
        values = factor * averaged_at_points(mesh, raw, fields.quadrature_volume)
        cell, point = np.unravel_index(int(raw.argmax()), raw.shape)
        place, peak = _quadrature_place(mesh, int(cell), int(point)), factor * float(raw.max())
        caption = (
            f"{_BAR_TITLE[name].split(',')[0]} of the {fields.method} answer, averaged at the points; "
            "the peak is over the quadrature points"
        )
    if name == "plastic_strain" and peak == 0:
        caption, marker = "no plastic strain: elastic up to this step", None
    else:
        marker = Marker(_vector(place), f"peak {peak:.3g} {_BAR_TITLE[name].split(', ')[1]}")
    panel = Panel(
        title=title,
        caption=caption,
        scalars=name,
        bar_title=_BAR_TITLE[name],
        high=float(values.max()) or 1.0,
        colours=_COLOURS[name],
        displacement="motion" if name == "displacement" else None,
        scale=scale,
        marker=marker,
    )
    return values, panel


def _peak_place(mesh: TetMesh, history: HistoryFields, index: int) -> Vector:
    stress = _quadrature_values(history, index, "von_mises")
    cell, point = np.unravel_index(int(stress.argmax()), stress.shape)
    return _vector(_quadrature_place(mesh, int(cell), int(point)))


def _quadrature_place(mesh: TetMesh, cell: int, point: int) -> FloatArray:
    return np.asarray(shape_functions(QUADRATURE_BARYCENTRIC)[point] @ mesh.points[mesh.cells[cell]])


def _vector(point: FloatArray) -> Vector:
    x, y, z = point.tolist()
    return x, y, z


def _draw(order: Order, surface: Surface, arrays: Mapping[str, NDArray[np.generic]], directory: Path) -> None:
    """Run the drawing process with the first OpenGL library that works."""
    directory.mkdir(parents=True, exist_ok=True)
    reasons = []
    with tempfile.TemporaryDirectory(prefix="pictures-") as scratch:
        path = Path(scratch) / "order.npz"
        save_order(path, order, {**surface.arrays(), **arrays})
        for backend in _BACKENDS:
            try:
                run_isolated(
                    "surrogate.serving.render_child",
                    [str(path), str(directory), backend],
                    timeout_s=_TIMEOUT_S,
                    memory_bytes=_MEMORY_BYTES,
                    subject="pictures",
                    # It reads this program's own arrays, and draws with whatever graphics the machine has.
                    confined=False,
                )
                return
            except InfrastructureError as error:
                reasons.append(f"{backend}: {error}")
    raise InfrastructureError(
        f"the pictures cannot be drawn ({'; '.join(reasons)}); install OpenGL in software: "
        "apt-get install libegl1 libgl1-mesa-dri, or libosmesa6"
    )
