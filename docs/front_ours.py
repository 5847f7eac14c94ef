"""The world model on the accuracy-time front: tokens alone, or with the worst histories decoded."""

import time
from dataclasses import replace

import numpy as np
from front_methods import Strains, Timed

from surrogate import Problem
from surrogate.fields import FloatArray
from surrogate.serving import screening, service


def time_ours(asked: Problem, warm: Problem, worst: int, model: str | None) -> Timed:
    """The plastic strain that the tokens tell of each history, and what it took.

    Args:
        asked: the part with all its histories.
        warm: a small problem on another held part; it has the weights read and the libraries loaded.
        worst: how many histories of the largest plastic strain are predicted in full afterwards.
        model: name or folder, None for the newest shipped one.
    """
    _screened(warm, worst, model)
    used, start = time.process_time(), time.perf_counter()
    peak = _screened(asked, worst, model)
    total = time.perf_counter() - start
    return Timed(Strains(peak), len(asked.mesh.points), 0.0, total, 0.0, time.process_time() - used)


def _screened(asked: Problem, worst: int, model: str | None) -> FloatArray:
    peak = np.array([history.peak_plastic_strain for history in screening.screen(asked, model=model)])
    if worst:
        chosen = sorted(np.argsort(-peak)[:worst].tolist())
        service.predict(replace(asked, load_histories=tuple(asked.load_histories[i] for i in chosen)), model=model)
    return peak
