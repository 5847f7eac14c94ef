"""Which parts train, validate and test: by part, never by step or load."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "validation", "test"]
TRAIN_SHARE, VALIDATION_SHARE = 0.75, 0.10


@dataclass(frozen=True)
class SplitRule:
    """How parts are split.

    Attributes:
        left_out_family: all parts of this family test, whatever their hash; None leaves none out.
    """

    left_out_family: str | None = None


def hashed_place(text: str) -> float:
    """A number in [0, 1) that depends on the text alone and spreads evenly."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def split_of(family: str, seed: int, rule: SplitRule | None = None) -> Split:
    """The split of a part: fixed by its family and seed alone, so it holds for parts that are added later too.

    With a family left out, the other families' test parts still test, and none of that family trains or validates.
    """
    if rule is not None and rule.left_out_family == family:
        return "test"
    place = hashed_place(f"{family}:{seed}")
    if place < TRAIN_SHARE:
        return "train"
    return "validation" if place < TRAIN_SHARE + VALIDATION_SHARE else "test"


def select_split(parts: Iterable[tuple[str, int]], split: Split, rule: SplitRule | None = None) -> list[int]:
    """Positions of the (family, seed) parts that belong to a split."""
    return [position for position, (family, seed) in enumerate(parts) if split_of(family, seed, rule) == split]
