"""How numbers are written in the report: engineering units, three to four digits, intervals beside them."""

from collections.abc import Callable, Mapping

from markupsafe import Markup, escape

from surrogate.physics.hardening import Hardening, LinearHardening, TabulatedHardening, VoceHardening
from surrogate.serving.summary_schema import Interval, Quantity, Summary


def plain(value: float, digits: int = 4) -> str:
    """A number with some digits, without an exponent as long as it is readable."""
    if 10**digits <= abs(value) < 1e7:
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def hardening_text(law: Hardening) -> str:
    """A hardening law in a few words, stresses in MPa."""
    match law:
        case LinearHardening():
            return f"linear {plain(law.modulus_pa / 1e6)}" if law.modulus_pa else "none"
        case VoceHardening():
            return f"Voce {plain(law.saturation_pa / 1e6)}, rate {plain(law.rate)}"
        case TabulatedHardening():
            strain, stress = law.points[-1]
            return f"table of {len(law.points)} rows to {plain(stress / 1e6)} at {plain(100 * strain)} %"


def scaled(quantity: Quantity, factor: float, digits: int = 4) -> Markup:
    """A number, with its interval on a line of its own where predicted."""
    if quantity.value is None:
        return Markup("unbounded")
    ends = (quantity.low, quantity.high) if isinstance(quantity, Interval) else None
    return _with_band(plain(factor * quantity.value, digits), ends, lambda end: plain(factor * end, 3))


def _with_band(text: str, ends: tuple[float | None, float | None] | None, write: Callable[[float], str]) -> Markup:
    if ends is None:
        return Markup(escape(text))
    low, high = ("unbounded" if end is None else write(end) for end in ends)
    return Markup(f'{escape(text)} <span class="band">{escape(low)} to {escape(high)}</span>')


def mpa(quantity: Quantity) -> Markup:
    """A stress in MPa."""
    return scaled(quantity, 1e-6)


def mega(value: float | None) -> str:
    """A stress in MPa, without its interval."""
    return "unbounded" if value is None else plain(1e-6 * value)


def mm(quantity: Quantity) -> Markup:
    """A length in mm."""
    return scaled(quantity, 1e3, 3)


def percent(quantity: Quantity) -> Markup:
    """A share in per cent."""
    return scaled(quantity, 100.0, 3)


def margin(safety_factor: Quantity) -> Markup:
    """Margin of safety, allowable over actual less one, with sign."""
    if safety_factor.value is None:
        return Markup("unbounded")
    ends = (safety_factor.low, safety_factor.high) if isinstance(safety_factor, Interval) else None
    return _with_band(f"{safety_factor.value - 1:+.2f}", ends, lambda end: f"{end - 1:+.2f}")


def negative(safety_factor: Quantity) -> bool:
    """Whether the margin of safety, or the lower end of its interval, is below zero."""
    low = safety_factor.low if isinstance(safety_factor, Interval) else safety_factor.value
    return low is not None and low < 1


def relative(value: float | None) -> str:
    """A relative difference in per cent."""
    return "reference is zero" if value is None else f"{100 * value:.2g} %"


def largest(quantities: list[Quantity]) -> Quantity:
    """The quantity of largest value."""
    return max(quantities, key=lambda quantity: quantity.value or 0.0)


def balance_text(summary: Summary) -> str | None:
    """The worst balance of the solved histories, of the reference where the answer itself is predicted."""
    solved = [h.balance for s in (summary, summary.reference) if s is not None for h in s.histories if h.balance]
    if not solved:
        return None
    energy, reactions = (
        _worst([getattr(balance, name) for balance in solved]) for name in ("energy_imbalance", "reaction_imbalance")
    )
    return f"energy balance {energy}, reactions {reactions}"


def _worst(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{max(known):.0e}" if len(known) == len(values) else "not a number"


def vector(values: tuple[float, float, float], factor: float = 1.0) -> str:
    """Three numbers."""
    return ", ".join(plain(factor * value) for value in values)


def seconds(value: float) -> str:
    """A duration."""
    return f"{value:.2f} s" if value < 100 else f"{value:.0f} s"


FILTERS: Mapping[str, Callable[..., object]] = {
    "largest": largest,
    "margin": margin,
    "mega": mega,
    "mm": mm,
    "mpa": mpa,
    "negative": negative,
    "percent": percent,
    "relative": relative,
    "seconds": seconds,
    "vector": vector,
}
