"""Pictures: they show the part where they should, and fail readably where nothing can draw."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surrogate.errors import InfrastructureError, ProblemError
from surrogate.serving import render
from surrogate.serving.render import deformation_scale, render_comparison, render_pictures
from surrogate.serving.surface import surface_of
from tests.serving.answers import beam, beam_predicted, beam_solved


def read(paths: tuple[Path, ...]) -> dict[str, np.ndarray]:
    return {path.stem: np.asarray(Image.open(path).convert("RGB")).astype(int) for path in paths}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Pictures as RGB arrays."""
    try:
        return read(render_pictures(beam(), beam_solved(), tmp_path_factory.mktemp("p"), fields=("setup", "von_mises")))
    except InfrastructureError as error:
        pytest.skip(f"no OpenGL here: {error}")


def coloured(picture: np.ndarray) -> np.ndarray:
    """Pixels that are neither white, grey nor black."""
    return np.ptp(picture, axis=2) > 60


def test_every_picture_is_drawn(drawn: dict[str, np.ndarray]) -> None:
    assert set(drawn) == {"setup", "von_mises"}


def test_the_background_is_white(drawn: dict[str, np.ndarray]) -> None:
    for picture in drawn.values():
        assert (picture[-1] == 255).all()


def test_the_part_fills_the_picture(drawn: dict[str, np.ndarray]) -> None:
    """The beam is long and seen from a corner: a fifth of the picture is a safe lower bound for a tight frame."""
    assert coloured(drawn["von_mises"]).mean() > 0.2


def test_stress_runs_from_the_clamp_to_the_free_end(drawn: dict[str, np.ndarray]) -> None:
    """A cantilever is red where it is held and blue where it ends, whichever side is seen."""
    picture = drawn["von_mises"][:, : int(0.8 * drawn["von_mises"].shape[1])]
    red = (picture[..., 0] > 140) & (picture[..., 2] < 60)
    blue = (picture[..., 2] > 140) & (picture[..., 0] < 110)
    assert red.sum() > 500 and blue.sum() > 500
    assert abs(np.nonzero(red)[1].mean() - np.nonzero(blue)[1].mean()) > 0.15 * picture.shape[1]


def test_supports_and_loads_are_in_the_setup(drawn: dict[str, np.ndarray]) -> None:
    picture = drawn["setup"]
    blue = (picture[..., 2] - picture[..., 0] > 60) & (picture[..., 2] > 90)
    red = (picture[..., 0] - picture[..., 2] > 70) & (picture[..., 0] - picture[..., 1] > 90)
    assert blue.sum() > 1000 and red.sum() > 300


@pytest.mark.slow
def test_the_comparison_has_three_panels(tmp_path: Path, drawn: dict[str, np.ndarray]) -> None:
    pictures = read(render_comparison(beam(), beam_predicted(), beam_solved(), tmp_path, fields=("von_mises",)))
    thirds = np.array_split(coloured(pictures["comparison_von_mises"]), 3, axis=1)
    assert all(third.mean() > 0.03 for third in thirds)


def test_without_a_library_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "_BACKENDS", ("none",))
    monkeypatch.setitem(render.__dict__, "_TIMEOUT_S", 60.0)
    with pytest.raises(InfrastructureError, match="apt-get install libegl1"):
        render_pictures(beam(), beam_solved(), tmp_path, fields=("von_mises",))


def test_a_step_or_history_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="has steps 0 to 1, not 7"):
        render_pictures(beam(), beam_solved(), tmp_path, history="mild", step=7)
    with pytest.raises(ProblemError, match="choose one of: mild, bend & unload"):
        render_pictures(beam(), beam_solved(), tmp_path, history="calm")


@pytest.mark.parametrize(
    ("displacement", "scale"), [(1e-6, 5000.0), (3e-5, 100.0), (0.004, 1.0), (0.02, 1.0), (0.0, 1.0)]
)
def test_the_deformation_scale_is_a_round_number(displacement: float, scale: float) -> None:
    """The diagonal is 85 mm and 6 % of it is drawn: 5.1 mm over the displacement, rounded down to 1, 2 or 5."""
    moved = np.zeros_like(beam().mesh.points)
    moved[3, 1] = displacement
    assert deformation_scale(moved, beam().mesh) == pytest.approx(scale)


def test_the_surface_is_closed_and_its_lines_are_where_faces_meet() -> None:
    surface = surface_of(beam().mesh)
    corners = surface.points[surface.triangles]
    signed = np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    # The divergence theorem on a closed surface of a box.
    assert signed == pytest.approx(0.08 * 0.02 * 0.02, rel=1e-12)
    ends = surface.points[surface.edges]
    length = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1).sum()
    assert length == pytest.approx(4 * (0.08 + 0.02 + 0.02), rel=1e-12)
