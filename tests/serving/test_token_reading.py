"""Only of restless histories is the network asked, and that changes nothing of what is told."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from surrogate.model.decoder import TokenScalars
from surrogate.model.jepa import GraphJepa
from surrogate.model.rollout import roll_out
from surrogate.physics.problem import Problem
from surrogate.serving.prepared import LoadedModel, Prepared, loaded_model, prepare
from surrogate.serving.token_reading import read_tokens
from tests.model.parts import CLIMB, MILD, SWING, lively_model, save_model, wedge_problem


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return loaded_model(save_model(tmp_path_factory.mktemp("model") / "lively", lively_model()), "cpu")


def made(problem: Problem, model: LoadedModel, threshold: float, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """A prepared problem whose histories count as restless where a round moved them by more."""
    monkeypatch.setattr("surrogate.serving.prepared.RESTLESS", threshold)
    return prepare(problem, model, lambda stage, done: None)


def assert_same(found: TokenScalars, expected: TokenScalars) -> None:
    for field in fields(TokenScalars):
        mine, other = getattr(found, field.name), getattr(expected, field.name)
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6, msg=field.name)


def test_what_is_told_is_as_if_the_network_were_asked_of_every_history(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = (
        (wedge_problem((CLIMB, MILD, SWING)), 0.0, (True, False, True)),
        (wedge_problem((SWING, CLIMB)), np.inf, (False, False)),
        (wedge_problem((MILD, CLIMB)), 0.0, (False, True)),
    )
    items = [made(problem, model, threshold, monkeypatch) for problem, threshold, _ in several]
    assert [tuple(item.restless) for item in items] == [expected for *_, expected in several]
    whole = roll_out(model.network, [item.request for item in items], model.device)
    for item, reading, rolled in zip(items, read_tokens(items, model), whole, strict=True):
        assert_same(reading.scalars, rolled.scalars)
        assert (reading.rolled is None) == (not item.restless.any())
        if reading.rolled is not None:
            torch.testing.assert_close(reading.rolled.tokens, rolled.tokens[item.restless], rtol=1e-4, atol=1e-5)
    # So that the law says something: of a restless history the network has another opinion than the anchor.
    assert not np.allclose(whole[0].scalars.plastic[0], torch.expm1(items[0].request.actions[0, ..., 5]), rtol=1e-3)


def test_a_part_at_rest_asks_nothing_of_the_network(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network is asked")

    item = made(wedge_problem((CLIMB, SWING)), model, np.inf, monkeypatch)
    monkeypatch.setattr(GraphJepa, "roll", refuse)
    assert read_tokens([item], model)[0].rolled is None
    assert read_tokens([], model) == []
