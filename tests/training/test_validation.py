"""Validation tells the error of the model beside that of the local anchor, and changes nothing."""

from dataclasses import replace

import pytest
import torch

from surrogate.errors import InputError
from surrogate.model.decoder import PlasticField
from surrogate.training.losses import relative_field_error
from surrogate.training.validation import validate
from tests.model.parts import lively_model
from tests.training.wedges import HISTORIES, PARTS, STEPS, sample

# The part that yields most comes first, so that one alone can be judged.
SAMPLES = sorted((sample(*part) for part in PARTS["validation"]), key=lambda held: -float(held.equivalent.max()))


def test_the_numbers_are_those_of_the_fields() -> None:
    numbers, report = validate(lively_model(), SAMPLES)
    assert set(numbers) == {
        f"{name}_{level}"
        for name in ("plastic_rel_l2", "local_rel_l2", "peak", "local_peak")
        for level in ("median", "p90")
    }
    errors = []
    for held in SAMPLES:
        wanted = torch.tensor([[h, t] for h in range(HISTORIES) for t in (STEPS // 2, STEPS - 1)])
        true = held.strain[wanted[:, 0], wanted[:, 1]].float(), held.equivalent[wanted[:, 0], wanted[:, 1]].float()
        local = held.local(wanted)
        found = relative_field_error(PlasticField(local.strain, local.equivalent), *true, held.graph.volume)[0]
        errors.append(found[true[1].flatten(1).amax(1) > 0.05])
    assert numbers["local_rel_l2_median"] == pytest.approx(float(torch.cat(errors).median()), rel=1e-5)
    assert numbers["local_rel_l2_p90"] >= numbers["local_rel_l2_median"]
    assert torch.isfinite(torch.tensor(list(report.as_json().values()))).all()


def test_a_model_is_judged_in_evaluation_mode_twice_alike() -> None:
    model = lively_model(replace(lively_model().config, dropout=0.5)).train()
    first, again = validate(model, SAMPLES), validate(model, SAMPLES)
    assert first == again and not model.training


def test_no_more_parts_are_judged_than_asked() -> None:
    one, both = validate(lively_model(), SAMPLES, parts=1), validate(lively_model(), SAMPLES)
    assert one == validate(lively_model(), SAMPLES[:1]) and one != both


def test_parts_in_which_nothing_yields_are_refused() -> None:
    held = SAMPLES[0]
    elastic = replace(held, equivalent=torch.zeros_like(held.equivalent), strain=torch.zeros_like(held.strain))
    with pytest.raises(InputError, match="nothing yields in the 1 validation parts"):
        validate(lively_model(), [elastic])
