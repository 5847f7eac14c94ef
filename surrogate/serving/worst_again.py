"""The worst of many histories, answered once more with few others.

Many histories share one span of modes, which near collapse is too narrow for some of them. In a span that few share a
history is told as well as alone, so those that look worst are asked again, a few at a time; where that moves them,
others come among the worst, and are asked as well.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from surrogate.physics.reduced_span import ReducedSettings

Answer = TypeVar("Answer")
# The worst that are asked again, histories of one question, and how often others may follow.
_WORST, _FEW, _TIMES = 12, 4, 3


def is_crowd(histories: int) -> bool:
    """Whether so many histories share the span of a crowd."""
    return histories > ReducedSettings().whole_histories


def worst_again(
    answers: Sequence[Answer],
    badness: Callable[[Answer], float],
    ask: Callable[[Sequence[int]], Sequence[Answer]],
) -> tuple[Answer, ...]:
    """The answers, those of the worst histories as they are with few others.

    Args:
        answers: one of each history.
        badness: how bad an answer is; what is not above zero is not asked again.
        ask: answers few histories, told by their places among all.
    """
    found, known = list(answers), set[int]()
    for _ in range(_TIMES):
        worst = sorted(range(len(found)), key=lambda place: -badness(found[place]))[:_WORST]
        asked = [place for place in worst if place not in known and badness(found[place]) > 0]
        for few in (asked[first : first + _FEW] for first in range(0, len(asked), _FEW)):
            for place, answer in zip(few, ask(few), strict=True):
                found[place] = answer
        known.update(asked)
    return tuple(found)
