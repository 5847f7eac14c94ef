"""How numbers are written in the report: engineering units, three to four digits, intervals beside them."""

from collections.abc import Callable, Mapping

from surrogate.serving.summary_schema import Interval, Quantity

_DASH = "\N{EN DASH}"


def scaled(quantity: Quantity, factor: float, digits: int = 4) -> str:
    """A number, with its interval where predicted: `312 (298 to 331)`."""
    if quantity.value is None:
        return "unbounded"
    text = f"{factor * quantity.value:.{digits}g}"
    if isinstance(quantity, Interval):
        text += f" ({_number(quantity.low, factor)} to {_number(quantity.high, factor)})"
    return text


def mpa(quantity: Quantity) -> str:
    """A stress in MPa."""
    return scaled(quantity, 1e-6)


def mm(quantity: Quantity) -> str:
    """A length in mm."""
    return scaled(quantity, 1e3, 3)


def percent(quantity: Quantity) -> str:
    """A share in per cent."""
    return scaled(quantity, 100.0, 3)


def margin(safety_factor: Quantity) -> str:
    """Margin of safety, allowable over actual less one, with sign."""
    if safety_factor.value is None:
        return "unbounded"
    text = f"{safety_factor.value - 1:+.2f}"
    if isinstance(safety_factor, Interval):
        ends = (safety_factor.low, safety_factor.high)
        text += " ({} to {})".format(*("unbounded" if end is None else f"{end - 1:+.2f}" for end in ends))
    return text


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


def vector(values: tuple[float, float, float], factor: float = 1.0) -> str:
    """Three numbers."""
    return ", ".join(f"{factor * value:.4g}" for value in values)


def seconds(value: float) -> str:
    """A duration."""
    return f"{value:.2f} s" if value < 100 else f"{value:.0f} s"


def _number(value: float | None, factor: float) -> str:
    return _DASH if value is None else f"{factor * value:.3g}"


FILTERS: Mapping[str, Callable[..., object]] = {
    "largest": largest,
    "margin": margin,
    "mm": mm,
    "mpa": mpa,
    "negative": negative,
    "percent": percent,
    "relative": relative,
    "seconds": seconds,
    "vector": vector,
}
