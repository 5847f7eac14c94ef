"""How well a method finds the worst histories is told by whom it picks."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from surrogate.errors import InputError
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.problem import Problem
from surrogate.serving import screening
from surrogate.training.baselines import local_anchor
from surrogate.training.part_evaluation import TOKENS
from surrogate.training.ranking_evaluation import (
    LOCAL,
    QUICKLY,
    compared,
    largest_plastic_strain,
    load_ranking,
    rank,
    ranking_text,
)
from tests.model.parts import CLIMB, SWING, wedge_problem


def test_who_orders_rightly_ranks_perfectly_however_far_off_the_values_are() -> None:
    true = np.linspace(0.0, 0.02, 40)
    found = compared(3 * true**2, true, least=1e-4)
    assert (found.recall, found.spearman, found.loss) == (1.0, pytest.approx(1.0), 0.0)
    assert found.median_error > 0.9


def test_a_method_that_misses_two_of_the_five_worst_and_picks_the_third_is_told_so() -> None:
    true = np.arange(1.0, 41.0)
    values = true.copy()
    values[[39, 38]] = 0.0  # the two worst are thought harmless
    found = compared(values, true, least=0.5)
    assert found.recall == pytest.approx(3 / 5)
    assert found.loss == pytest.approx(1 - 38 / 40)
    assert found.median_error == 0.0 and found.p90_error == 0.0


def test_errors_are_those_of_histories_that_yield() -> None:
    found = compared(np.array([5.0, 1.1, 2.2]), np.array([0.0, 1.0, 2.0]), least=0.1)
    assert found.median_error == pytest.approx(0.1) and found.p90_error == pytest.approx(0.1)


def test_the_local_anchor_ranks_by_what_it_says_of_the_whole_part() -> None:
    problem = wedge_problem((CLIMB, SWING))
    whole = [h.scalars.peak_plastic_strain.max() for h in local_anchor(elastic_anchor(problem), problem)]
    assert min(whole) > 0
    # Points far below yield are left out, which changes no digit of the largest value but by rounding.
    np.testing.assert_allclose(largest_plastic_strain(LOCAL, problem, None), whole, rtol=1e-12)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(InputError, match="no method 'guess'; there are local anchor, reduced anchor"):
        largest_plastic_strain("guess", wedge_problem(), None)


def test_a_campaign_is_ranked_by_every_method(campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[bool, int]] = []

    def screen(problem: Problem, *, quick: bool, solved: int, model: str | None) -> list[SimpleNamespace]:
        asked.append((quick, solved))
        return [SimpleNamespace(peak_plastic_strain=v) for v in largest_plastic_strain(LOCAL, problem, None)]

    monkeypatch.setattr(screening, "screen", screen)
    seen: list[tuple[int, int]] = []
    found = rank(None, campaign, limit=1, truth=tmp_path, histories=12, progress=lambda *done: seen.append(done))
    assert seen == [(1, 1)] and found.histories == 12
    (own,) = found.parts.values()
    assert own[TOKENS].spearman == own[QUICKLY].spearman == own[LOCAL].spearman and asked == [
        (True, 0),
        (True, 12),
        (False, 0),
    ]
    # Each round of modes brings the plastic strain nearer to the solver's.
    errors = [own[name].median_error for name in (LOCAL, "reduced anchor", "reduced anchor + 2 enrichments")]
    assert errors == sorted(errors, reverse=True)
    assert own["reduced anchor + 2 enrichments"].spearman > 0.95
    assert load_ranking(found.as_json()) == found
    assert len(ranking_text(found).splitlines()) == 4 + len(own)
    only = rank(None, campaign, limit=1, methods=("reduced anchor + 1",), truth=tmp_path, histories=12)
    assert only.methods() == ("reduced anchor + 1 enrichment",)
