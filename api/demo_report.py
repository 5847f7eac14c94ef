"""A summary as text for a terminal: one line a load history, numbers with their intervals."""

from collections.abc import Sequence

from surrogate import Summary

Row = Sequence[str]


def _number(quantity: object, scale: float, digits: int) -> str:
    """A value with its 90 % interval where it has one, `unbounded` for the safety of an unloaded part."""
    value = getattr(quantity, "value", None)
    if value is None:
        return "unbounded"
    text = f"{value * scale:.{digits}f}"
    low, high = getattr(quantity, "low", None), getattr(quantity, "high", None)
    if low is None or high is None:
        return text
    return f"{text} [{low * scale:.{digits}f}, {high * scale:.{digits}f}]"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _table(rows: Sequence[Row]) -> str:
    """Columns padded to their widest cell, the first to the left and the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(f"    {line}" for line in lines)


def report_text(summary: Summary) -> str:
    """The part, one line a load history (worst first) and what the reader must know."""
    part = summary.part
    by = f" by {summary.model.name} {summary.model.version}" if summary.model else ""
    size = " x ".join(f"{1e3 * length:.0f}" for length in part.size_m)
    rows: list[Row] = [
        (
            "history, worst first",
            "peak von Mises MPa",
            "safety yield",
            "safety ultimate",
            "permanent set mm",
            "yielded %",
        )
    ]
    histories = {history.name: history for history in summary.histories}
    for name in summary.ranking:
        history = histories[name]
        peak = history.steps[history.peak_step] if history.peak_step is not None else None
        rows.append(
            (
                name,
                _number(peak.peak_von_mises_pa, 1e-6, 1) if peak else "-",
                _number(history.safety_factor_yield, 1, 2),
                _number(history.safety_factor_ultimate, 1, 2),
                _number(history.permanent_set_m, 1e3, 4),
                _number(peak.yielded_volume_fraction, 100, 2) if peak else "-",
            )
        )
    lines = [
        "",
        f"    {part.name}: {size} mm, {part.mass_kg:.3f} kg of {summary.material.name}, {summary.method}{by}",
        "",
        _table(rows),
        "",
    ]
    lines += [
        f"    {history.name}: plastic collapse in step {history.collapse.step + 1}: {history.collapse.reason}"
        for history in summary.histories
        if history.collapse
    ]
    if summary.domain:
        place = "inside" if summary.domain.inside else "OUTSIDE"
        lines.append(f"    {place} the model's training domain: {summary.domain.reason}")
    lines += [f"    note: {warning}" for warning in summary.warnings]
    lines.append("    seconds: " + ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in summary.timings_s.items()))
    return "\n".join([*lines, ""])


def comparison_text(predicted: Summary, verified: Summary) -> str:
    """How far the prediction is from the FEM solution, one line a load history, at its peak step."""
    rows: list[Row] = [("history", "stress", "von Mises", "displacement", "plastic strain", "peak von Mises")]
    for history in verified.histories:
        if history.difference is None:
            continue
        peak = history.difference.peak
        rows.append(
            (
                history.name,
                _percent(peak.stress_rel_l2),
                _percent(peak.von_mises_rel_l2),
                _percent(peak.displacement_rel_l2),
                _percent(peak.plastic_strain_rel_l2),
                _percent(peak.peak_von_mises_rel),
            )
        )
    seconds = [summary.timings_s.get("total") for summary in (predicted, verified)]
    shown = ["?" if second is None else f"{second:.1f} s" for second in seconds]
    return "\n".join(
        [
            "",
            "    difference to the FEM solution at the peak step (relative L2 over the volume)",
            "",
            _table(rows),
            "",
            f"    predicted in {shown[0]}, solved in {shown[1]}",
            "",
        ]
    )
