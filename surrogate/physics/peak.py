"""Which step of a history decides."""

from surrogate.fields import StepScalars

# A sliver of reversed yielding while the part unloads does not make the unloaded step the one that decides.
_GROWTH = 1.05


def is_new_peak(plastic: float, stress: float, held_plastic: float, held_stress: float) -> bool:
    """Whether a step takes over from the step held as peak so far.

    Args:
        plastic: largest equivalent plastic strain of the step.
        stress: its largest von Mises stress.
        held_plastic: the same of the held step; negative for none.
        held_stress: the same of the held step; negative for none.
    """
    if plastic > 0:
        return plastic > _GROWTH * held_plastic
    return held_plastic <= 0 and stress > held_stress


def peak_step(scalars: StepScalars) -> int:
    """The step of a history at which its peak fields are taken.

    The end of the last increment that raised the largest plastic strain by more than a few per cent; where nothing
    yields, the step of largest von Mises stress.

    Args:
        scalars: of the T steps.

    Returns:
        Index in 0..T-1; 0 for a history without a step.
    """
    peak, held = 0, (-1.0, -1.0)
    steps = zip(scalars.peak_plastic_strain.tolist(), scalars.peak_von_mises_pa.tolist(), strict=True)
    for step, (plastic, stress) in enumerate(steps):
        if is_new_peak(plastic, stress, *held):
            peak, held = step, (plastic, stress)
    return peak
