"""Screening on the accuracy-time front: quick, with the worst corrected, or with the worst decoded."""

import time
from dataclasses import replace

import numpy as np
from front_methods import Strains, Timed

from surrogate import Problem
from surrogate.fields import FloatArray
from surrogate.serving import screening, service


def time_ours(asked: Problem, warm: Problem, quick: bool, worst: int, model: str | None) -> Timed:
    """The plastic strain that screening tells of each history, and what it took.

    Args:
        asked: the part with all its histories.
        warm: a small problem on another held part; it has the weights read and the libraries loaded.
        quick: leave the correction of the worst and the network out.
        worst: how many histories of the largest plastic strain are predicted in full afterwards.
        model: name or folder, None for the newest shipped one.
    """
    _screened(warm, quick, worst, model)
    used, start = time.process_time(), time.perf_counter()
    peak = _screened(asked, quick, worst, model)
    total = time.perf_counter() - start
    return Timed(Strains(peak), len(asked.mesh.points), 0.0, total, 0.0, time.process_time() - used)


def _screened(asked: Problem, quick: bool, worst: int, model: str | None) -> FloatArray:
    told = screening.screen(asked, quick=quick, model=model)
    peak = np.array([history.peak_plastic_strain for history in told])
    if worst:
        chosen = sorted(np.argsort(-peak)[:worst].tolist())
        service.predict(replace(asked, load_histories=tuple(asked.load_histories[i] for i in chosen)), model=model)
    return peak
