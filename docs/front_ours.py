"""The world model on the accuracy-time front: tokens alone, or with the worst histories decoded."""

import time
from dataclasses import replace

import numpy as np
from front_methods import Strains, Timed

from surrogate import Problem
from surrogate.serving import service


def time_ours(asked: Problem, warm: Problem, worst: int) -> Timed:
    """The plastic strain that the tokens tell of each history, and what it took.

    Args:
        asked: the part with all its histories.
        warm: a small problem on another held part; it has the weights read and the libraries loaded.
        worst: how many histories of the largest plastic strain are predicted in full afterwards.
    """
    _screened(warm, worst)
    used, start = time.process_time(), time.perf_counter()
    peak = _screened(asked, worst)
    total = time.perf_counter() - start
    return Timed(Strains(peak), len(asked.mesh.points), 0.0, total, time.process_time() - used)


def _screened(asked: Problem, worst: int) -> np.ndarray:
    peak = np.array([history.peak_plastic_strain for history in service.screen(asked)])
    if worst:
        chosen = sorted(np.argsort(-peak)[:worst].tolist())
        service.predict(replace(asked, load_histories=tuple(asked.load_histories[i] for i in chosen)))
    return peak
