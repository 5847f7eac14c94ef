"""Validation tells the error of the model beside that of the reduced anchor, and changes nothing."""

from dataclasses import replace

import pytest
import torch

from surrogate.errors import InputError
from surrogate.model.decoder import PlasticField
from surrogate.training.losses import relative_field_error
from surrogate.training.samples import STATES_KEPT
from surrogate.training.validation import validate
from tests.model.parts import fresh_model, lively_model
from tests.training.wedges import HISTORIES, PARTS, sample

# The part that yields most comes first, so that one alone can be judged.
SAMPLES = sorted((sample(*part) for part in PARTS["validation"]), key=lambda held: -float(held.equivalent.max()))


def test_the_numbers_are_those_of_the_fields() -> None:
    numbers, report = validate(lively_model(), SAMPLES)
    assert set(numbers) == {
        f"{name}_{level}"
        for name in (
            "plastic_rel_l2", "anchor_rel_l2", "peak", "anchor_peak", "von_mises", "anchor_von_mises", "set",
            "anchor_set",
        )
        for level in ("median", "p90")
    }  # fmt: skip
    errors = []
    for held in SAMPLES:
        every = torch.tensor([[h, k] for h in range(HISTORIES) for k in range(STATES_KEPT)])
        strain, equivalent = (part.flatten(0, 1).float() for part in (held.strain, held.equivalent))
        anchor = held.anchor(every)
        field = PlasticField(anchor.strain, anchor.equivalent)
        found = relative_field_error(field, strain, equivalent, held.graph.volume)[0]
        errors.append(found[equivalent.flatten(1).amax(1) > 0.05])
    assert numbers["anchor_rel_l2_median"] == pytest.approx(float(torch.cat(errors).median()), rel=1e-5)
    assert numbers["anchor_rel_l2_p90"] >= numbers["anchor_rel_l2_median"]
    assert torch.isfinite(torch.tensor(list(report.as_json().values()))).all()


def test_an_untrained_model_has_the_errors_of_its_anchor() -> None:
    numbers, _ = validate(fresh_model(), SAMPLES)
    for mine, anchor in (("plastic_rel_l2", "anchor_rel_l2"), ("peak", "anchor_peak"), ("set", "anchor_set")):
        # Where the physics doubts itself a fresh head adds a fraction of a hundredth of the yield strain.
        assert numbers[f"{mine}_median"] == pytest.approx(numbers[f"{anchor}_median"], abs=0.02), mine
    assert numbers["von_mises_p90"] == pytest.approx(numbers["anchor_von_mises_p90"], abs=1e-3)


def test_a_model_is_judged_in_evaluation_mode_twice_alike() -> None:
    model = lively_model(replace(lively_model().config, dropout=0.5)).train()
    first, again = validate(model, SAMPLES), validate(model, SAMPLES)
    assert first == again and not model.training


def test_no_more_parts_are_judged_than_asked() -> None:
    one, both = validate(lively_model(), SAMPLES, parts=1), validate(lively_model(), SAMPLES)
    assert one == validate(lively_model(), SAMPLES[:1]) and one != both


def test_parts_in_which_nothing_yields_are_refused() -> None:
    held = SAMPLES[0]
    nothing = {name: torch.zeros_like(getattr(held, name)) for name in ("equivalent", "strain", "token_plastic")}
    elastic = replace(held, **nothing)
    with pytest.raises(InputError, match="nothing yields in the 1 validation parts"):
        validate(lively_model(), [elastic])
