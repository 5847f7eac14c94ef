"""Reading fields of one mesh at the points of another."""

import numpy as np
import pytest

from surrogate.fields import FloatArray
from surrogate.physics import interpolation as room
from surrogate.physics.interpolation import interpolation, locate
from tests.physics.meshes import distorted_block, quarter_tube


def _quadratic_field(x: FloatArray) -> FloatArray:
    return np.asarray(1 + x @ [2.0, -1, 3] + (x**2) @ [1.0, 4, -2] + x[:, 0] * x[:, 1] - 3 * x[:, 1] * x[:, 2])


@pytest.mark.parametrize("beyond", [0.0, 0.02])
def test_quadratic_fields_are_read_exactly_inside_and_a_little_outside(beyond: float) -> None:
    # Ten nodes span all quadratics, and straight cells carry them beyond their sides: only round-off is left.
    mesh = distorted_block((3, 3, 3))
    places = np.random.default_rng(1).uniform(-beyond, 1 + beyond, (400, 3))
    read = interpolation(mesh, locate(mesh, places)) @ _quadratic_field(mesh.points)
    assert np.abs(read - _quadratic_field(places)).max() < 1e-10


def test_every_place_lies_in_the_cell_that_is_found() -> None:
    mesh = distorted_block((4, 3, 2))
    found = locate(mesh, np.random.default_rng(2).uniform(0, 1, (500, 3)))
    assert found.barycentric.min() > -1e-6
    assert found.outside.max() < 1e-9


def test_places_in_curved_cells_read_their_own_position() -> None:
    # The position is an isoparametric field, so reading it inverts the map; Newton's method leaves 1e-6 of a cell.
    mesh = quarter_tube(2, 3, 2, 0.5, 1.0, 1.0)
    random = np.random.default_rng(3)
    radius, angle = random.uniform(0.55, 0.95, 200), random.uniform(0.1, 1.4, 200)
    places = np.stack([radius * np.cos(angle), radius * np.sin(angle), random.uniform(0.1, 0.9, 200)], axis=1)
    read = interpolation(mesh, locate(mesh, places)) @ mesh.points
    assert np.abs(read - places).max() < 1e-6


def test_a_place_beyond_a_cut_off_fillet_is_read_from_the_nearest_cell() -> None:
    mesh = distorted_block((3, 3, 3))
    found = locate(mesh, np.array([[1.05, 0.5, 0.5]]))
    assert found.outside[0] == pytest.approx(0.05, abs=1e-9)
    assert mesh.points[mesh.cells[found.cells[0], :4]][:, 0].max() == pytest.approx(1.0)


def test_places_are_located_a_bounded_number_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = distorted_block((2, 2, 2))
    places = np.random.default_rng(4).uniform(0, 1, (100, 3))
    whole, largest = locate(mesh, places), 0
    own = room._located

    def watched(*arguments: object) -> room.Located:
        nonlocal largest
        largest = max(largest, len(arguments[2]))  # type: ignore[arg-type]
        return own(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(room, "_TOGETHER", 7)
    monkeypatch.setattr(room, "_located", watched)
    parts = locate(mesh, places)
    assert largest == 7
    assert np.array_equal(parts.cells, whole.cells)
    assert np.array_equal(parts.barycentric, whole.barycentric)
