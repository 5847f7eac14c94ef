"""Answers and meshes as text for a terminal."""

from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.materials import Material
from surrogate.serving.mesh_report import MeshQuality, face_text
from surrogate.serving.report_format import balance_text, hardening_text, largest, plain
from surrogate.serving.summary_schema import HistorySummary, Interval, Quantity, Summary

_ROWS = 20


def print_summary(summary: Summary, console: Console) -> None:
    """Warnings, one row a history (worst first), and where a reference is given the differences."""
    part = summary.part
    model = f" by {summary.model.name} {summary.model.version}" if summary.model else ""
    console.print(
        f"[bold]{escape(part.name)}[/]: {part.points} points, {part.cells} cells, {plain(part.mass_kg)} kg of "
        f"{escape(summary.material.name)}; {summary.method}{escape(model)}"
    )
    for warning in summary.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}")
    by_name = {history.name: history for history in summary.histories}
    ranked = [by_name[name] for name in summary.ranking[:_ROWS]]
    console.print(_results(ranked))
    if len(summary.ranking) > _ROWS:
        console.print(f"and {len(summary.ranking) - _ROWS} milder histories")
    if summary.reference is not None:
        console.print(_differences(ranked))
    if summary.domain is not None:
        place = "inside" if summary.domain.inside else "outside"
        console.print(f"training domain: {place} ({escape(summary.domain.reason)})")
    balance = balance_text(summary)
    if balance is not None:
        console.print(balance)
    console.print(", ".join(f"{stage} {spent:.2f} s" for stage, spent in summary.timings_s.items()))


def print_mesh(mesh: TetMesh, quality: MeshQuality, console: Console, *, faces: bool) -> None:
    """Size and quality of a mesh, and its faces."""
    low, middle, high = (plain(1e3 * edge) for edge in quality.edge_m)
    size = " x ".join(plain(1e3 * extent) for extent in mesh.size)
    console.print(f"points {len(mesh.points)}, ten-node tetrahedra {len(mesh.cells)}, faces {len(mesh.faces)}")
    console.print(f"size {size} mm, volume {plain(1e6 * quality.volume_m3)} cm3")
    console.print(f"cell edges {low} to {high} mm, median {middle} mm")
    console.print(
        f"cell quality (mean ratio, 1 is regular): worst {quality.smallest:.3f}, mean {quality.mean:.3f}, "
        f"{quality.poor_cells} cells below 0.1; worst Jacobian ratio {quality.jacobian_ratio:.3f}"
    )
    if faces:
        table = Table("face", "area, mm2", "centroid, mm")
        for face in mesh.faces:
            centroid = ", ".join(plain(round(1e3 * x, 3) + 0.0) for x in face.centroid)
            table.add_row(escape(face_text(face)), plain(1e6 * face.area), centroid)
        console.print(table)


def print_materials(materials: tuple[Material, ...], console: Console) -> None:
    """The library of materials."""
    table = Table("material", "E, GPa", "nu", "kg/m3", "yield, MPa", "ultimate, MPa", "hardening, MPa", "source")
    for m in materials:
        strengths = (m.yield_strength_pa / 1e6, m.ultimate_strength_pa / 1e6)
        values = (m.youngs_modulus_pa / 1e9, m.poissons_ratio, m.density_kg_m3, *strengths)
        table.add_row(
            escape(m.name), *(plain(value) for value in values), hardening_text(m.hardening), escape(m.source)
        )
    console.print(table)


def _results(histories: list[HistorySummary]) -> Table:
    table = Table("history", "peak von Mises, MPa", "plastic strain, %", "displacement, mm", "MS yield", "MS ultimate",
                  "permanent set, mm")  # fmt: skip
    for history in histories:
        ended = ""
        if history.collapse:
            step, carried = history.collapse.step + 1, history.collapse.load_factor
            ended = f" [red](collapse in step {step}, {carried:.0%} of the load)[/]"
        if not history.steps:
            table.add_row(escape(history.name) + ended)
            continue
        peaks = [step.peak_von_mises_pa for step in history.steps]
        strains = [step.peak_plastic_strain for step in history.steps]
        displacements = [step.max_displacement_m for step in history.steps]
        table.add_row(
            escape(history.name) + ended,
            _number(largest(peaks), 1e-6),
            _number(largest(strains), 100),
            _number(largest(displacements), 1e3),
            _margin(history.safety_factor_yield),
            "collapse" if history.collapse else _margin(history.safety_factor_ultimate),
            _number(history.permanent_set_m, 1e3),
        )
    return table


def _differences(histories: list[HistorySummary]) -> Table:
    table = Table("difference to solved", "step", "stress", "von Mises", "displacement", "plastic strain", "peak")
    for history in histories:
        if history.difference is None:
            continue
        for label, found in (("peak", history.difference.peak), ("last", history.difference.last)):
            values = (
                found.stress_rel_l2,
                found.von_mises_rel_l2,
                found.displacement_rel_l2,
                found.plastic_strain_rel_l2,
                found.peak_von_mises_rel,
            )
            cells = ("-" if value is None else f"{value:.2%}" for value in values)
            table.add_row(f"{escape(history.name)}, {label}", str(found.step + 1), *cells)
    return table


def _number(quantity: Quantity, factor: float) -> str:
    return _with_ends(quantity, lambda value: plain(factor * value, 3))


def _margin(safety_factor: Quantity) -> str:
    return _with_ends(safety_factor, lambda value: f"{value - 1:+.2f}")


def _with_ends(quantity: Quantity, write: Callable[[float], str]) -> str:
    if quantity.value is None:
        return "unbounded"
    text = write(quantity.value)
    if isinstance(quantity, Interval) and quantity.low is not None and quantity.high is not None:
        text += f" ({write(quantity.low)} to {write(quantity.high)})"
    return text
