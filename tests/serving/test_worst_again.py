"""Which of many answers are asked again."""

from collections.abc import Sequence

from surrogate.serving.worst_again import is_crowd, worst_again


def test_those_that_look_worst_are_asked_a_few_at_a_time_and_others_stay() -> None:
    asked: list[tuple[int, ...]] = []

    def ask(few: Sequence[int]) -> list[float]:
        asked.append(tuple(few))
        return [100.0 + place for place in few]

    told = worst_again([float(place) for place in range(40)], lambda answer: answer, ask)
    assert asked == [(39, 38, 37, 36), (35, 34, 33, 32), (31, 30, 29, 28)]
    assert told == (*map(float, range(28)), *(100.0 + place for place in range(28, 40)))


def test_where_the_worst_were_told_too_bad_those_behind_them_are_asked_as_well() -> None:
    true = [float(place) for place in range(40)]
    told = [*true[:35], 5000.0, 4000.0, 3000.0, 2000.0, 1000.0]
    known: set[int] = set()

    def ask(few: Sequence[int]) -> list[float]:
        assert not known & set(few)
        known.update(few)
        return [true[place] if place < 35 else 0.5 for place in few]

    found = worst_again(told, lambda answer: answer, ask)
    assert found[35:] == (0.5,) * 5
    # The twelve that are the worst in the end have all been asked.
    assert known >= set(range(23, 40))


def test_what_is_not_bad_is_not_asked() -> None:
    assert worst_again([0.0] * 40, lambda answer: answer, lambda few: 1 / 0) == (0.0,) * 40  # type: ignore[arg-type, return-value]


def test_a_crowd_is_more_than_share_all_points() -> None:
    assert not is_crowd(32) and is_crowd(33)
