"""The domain check lets in what is like the training parts, and names what is strange about the rest."""

import json

import numpy as np
import pytest

from surrogate.fields import FloatArray
from surrogate.physics.problem import LoadHistory
from surrogate.serving.domain import FEATURES, Domain, domain_features, fit_domain
from tests.model.parts import CLIMB, enlarged, wedge_mesh, wedge_problem
from tests.model.test_graph import GRAPH, graph_of

# Only more than in training is strange of these: load, share that may yield, plastic strain, yield violation.
ONE_SIDED = (0, 1, 7, 8)
RANDOM = np.random.default_rng(0)
TRAINING = RANDOM.normal(size=(400, len(FEATURES))) * np.arange(1, len(FEATURES) + 1) + 5
DOMAIN = fit_domain(TRAINING)


def middle() -> FloatArray:
    return 0.5 * (np.array(DOMAIN.low) + np.array(DOMAIN.high))


def test_training_parts_are_inside_but_for_the_outermost() -> None:
    inside = [DOMAIN.verdict(features).inside for features in TRAINING]
    # A half per cent at either end of nine features, less what the tolerance takes in.
    assert np.mean(inside) > 1 - 0.01 * len(FEATURES)
    verdict = DOMAIN.verdict(middle())
    assert verdict.inside and verdict.score < 1 and "within the range" in verdict.reason


@pytest.mark.parametrize("feature", range(len(FEATURES)))
def test_an_outlier_is_outside_and_its_feature_is_named(feature: int) -> None:
    for side, word in ((1.0, "above"), (-1.0, "below")):
        features = middle()
        half = 0.5 * (DOMAIN.high[feature] - DOMAIN.low[feature])
        features[feature] += side * 1.5 * half
        verdict = DOMAIN.verdict(features)
        if word == "below" and feature in ONE_SIDED:
            assert verdict.inside  # easier, not stranger
            continue
        assert not verdict.inside
        assert verdict.score == pytest.approx(1.5)
        assert verdict.reason == f"{FEATURES[feature]} is {word} the range of the training parts"


def test_the_strangest_feature_is_the_one_that_is_named() -> None:
    features = middle()
    for feature, times in ((3, 2.0), (5, 3.0)):
        features[feature] += times * 0.5 * (DOMAIN.high[feature] - DOMAIN.low[feature])
    verdict = DOMAIN.verdict(features)
    assert verdict.score == pytest.approx(3.0) and FEATURES[5] in verdict.reason


def test_a_little_outside_is_still_inside() -> None:
    features = middle()
    features[5] += 1.05 * 0.5 * (DOMAIN.high[5] - DOMAIN.low[5])
    assert DOMAIN.verdict(features).inside


def test_a_feature_that_never_varied_in_training_may_not_vary_at_all() -> None:
    fixed = TRAINING.copy()
    fixed[:, 4] = 0.3
    domain = fit_domain(fixed)
    features = middle()
    features[4] = 0.3
    assert domain.verdict(features).inside
    features[4] = 0.31
    assert not domain.verdict(features).inside and FEATURES[4] in domain.verdict(features).reason


def test_a_feature_that_is_no_number_is_outside() -> None:
    features = middle()
    features[8] = np.nan
    assert not DOMAIN.verdict(features).inside


def test_a_domain_survives_its_json() -> None:
    assert Domain.from_json(json.loads(json.dumps(DOMAIN.as_json()))) == DOMAIN


def test_features_are_dimensionless_and_follow_load_mesh_and_material() -> None:
    features = domain_features(GRAPH, 2.0, 3.0, 0.05)
    assert features.shape == (len(FEATURES),) and np.isfinite(features).all()
    larger = domain_features(graph_of(enlarged(wedge_problem(), 1000.0)), 2.0, 3.0, 0.05)
    np.testing.assert_allclose(larger, features, atol=1e-5)  # single precision
    doubled = wedge_problem((LoadHistory("twice", 2 * CLIMB.factors), CLIMB))
    named = dict(zip(FEATURES, domain_features(graph_of(doubled), 2.0, 3.0, 0.05), strict=True))
    before = dict(zip(FEATURES, features, strict=True))
    assert named["largest elastic stress over yield"] > before["largest elastic stress over yield"]
    finer = dict(
        zip(FEATURES, domain_features(graph_of(wedge_problem(mesh=wedge_mesh((6, 3, 3)))), 2, 3, 0), strict=True)
    )
    assert finer["mesh fineness (cells)"] == pytest.approx(np.log10(6 * 54))
    assert named["Poisson's ratio"] == pytest.approx(0.3) and named["yield strain"] == pytest.approx(0.125)


def test_an_elastic_answer_without_violation_has_finite_features() -> None:
    assert np.isfinite(domain_features(GRAPH, 2.0, 0.0, 0.0)).all()
