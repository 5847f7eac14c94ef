"""Which step of a history decides."""

import numpy as np

from surrogate.fields import StepScalars


def peak_step(scalars: StepScalars) -> int:
    """The step of a history at which its peak fields are taken.

    The first step at which the peak plastic strain reaches its maximum (accumulated plastic strain never falls, so that
    is the end of the last plastic increment of the worst point); where nothing yields, the step of largest von Mises.

    Args:
        scalars: of the T steps.

    Returns:
        Index in 0..T-1; 0 for a history without a step.
    """
    strain = scalars.peak_plastic_strain
    if len(strain) == 0:
        return 0
    largest = float(strain.max())
    if largest > 0:
        return int(np.argmax(strain >= largest * (1 - 1e-12)))
    return int(np.argmax(scalars.peak_von_mises_pa))
