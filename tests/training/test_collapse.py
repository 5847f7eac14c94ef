"""The monitors know a latent space that lives from one that has died."""

import pytest
import torch
from torch import Tensor

from surrogate.training.collapse import CollapseReport, monitor, participation_ratio, rank_me
from tests.training.test_losses import whitened

B, H, T, M, D = 3, 4, 5, 8, 16


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_ranks_of_known_cases() -> None:
    white, line = whitened(200, D), random(1, 200, 1) @ random(2, 1, D)
    # Singular values in double precision of numbers in single precision.
    assert participation_ratio(white) == pytest.approx(D, rel=1e-4)
    assert rank_me(white) == pytest.approx(D, rel=1e-4)
    assert participation_ratio(line) == pytest.approx(1.0, abs=1e-4)
    assert rank_me(line) == pytest.approx(1.0, abs=1e-4)
    half = white * (torch.arange(D) < D // 2)
    assert participation_ratio(half) == pytest.approx(D / 2, rel=1e-4)
    assert rank_me(half) == pytest.approx(D / 2, rel=1e-4)


def test_ranks_do_not_see_the_scale_and_one_sees_no_offset() -> None:
    samples = random(0, 100, D)
    assert participation_ratio(1e-3 * samples) == pytest.approx(participation_ratio(samples), rel=1e-4)
    assert participation_ratio(samples + 7) == pytest.approx(participation_ratio(samples), rel=1e-3)
    assert rank_me(1e3 * samples) == pytest.approx(rank_me(samples), rel=1e-4)
    assert participation_ratio(torch.ones(10, D)) == 0.0


def alive(seed: int = 0) -> dict[str, Tensor]:
    """Tokens that move with the steps, of a predictor that is nearly right."""
    virgin = random(seed, B, 1, 1, M, D)
    encoded = virgin + random(seed + 1, B, H, T, M, D).cumsum(dim=2)
    noise = 0.1 * random(seed + 2, B, H, T, M, D)
    return {
        "virgin": virgin,
        "encoded": encoded,
        "one_step": encoded + noise,
        "shuffled": encoded + 10 * noise,
        "rolled": encoded + 2 * noise,
    }


def test_a_space_that_lives_raises_no_alarm() -> None:
    report = monitor(**alive())
    assert report.alarms() == ()
    assert report.copy_ratio > 0.5 and report.shuffled_ratio == pytest.approx(100, rel=1e-3)
    assert report.participation_ratio > 5 and report.rank_me > 5
    assert set(report.as_json()) == set(CollapseReport.__dataclass_fields__)


def alarms(**changes: Tensor) -> str:
    return " | ".join(monitor(**{**alive(), **changes}).alarms())


def test_constant_tokens_raise_the_alarm() -> None:
    constant = {name: torch.ones_like(tensor) for name, tensor in alive().items()}
    found = " | ".join(monitor(**constant).alarms())
    for words in ("rank within a part", "dynamic share", "shuffled actions"):
        assert words in found


def test_tokens_that_differ_between_parts_only_raise_the_alarm() -> None:
    virgin = alive()["virgin"]
    still = virgin.expand(B, H, T, M, D) + 1e-4 * random(5, B, H, T, M, D)
    found = alarms(encoded=still, one_step=still, shuffled=still, rolled=still)
    assert "dynamic share 0.00" in found and "shuffled actions" in found
    assert monitor(virgin, still, still, still, still).participation_ratio > 1  # parts do differ


def test_tokens_that_move_along_one_line_raise_the_alarm() -> None:
    line = random(7, B, H, T, 1, 1) * random(8, D)
    assert "rank within a part 1.00" in alarms(encoded=alive()["virgin"] + line)


def test_a_predictor_that_does_not_read_the_action_raises_the_alarm() -> None:
    one_step = alive()["one_step"]
    assert "shuffled actions cost 1.00 times" in alarms(one_step=one_step, shuffled=one_step)


def test_a_rollout_that_drifts_away_raises_the_alarm() -> None:
    assert "drift" in alarms(rolled=alive()["encoded"] + 20)


def test_a_predictor_that_copies_is_seen() -> None:
    parts = alive()
    encoded, virgin = parts["encoded"], parts["virgin"]
    before = torch.cat([virgin.expand_as(encoded[:, :, :1]), encoded[:, :, :-1]], dim=2)
    assert monitor(virgin, encoded, before, parts["shuffled"], parts["rolled"]).copy_ratio == 0.0
