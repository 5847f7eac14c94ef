"""Every error raised on purpose has a status, and what was not keeps its text to itself."""

import pytest

import surrogate
from api.away import DatabaseAwayError, StorageFullError
from api.errors import ConflictError, NotFoundError, describe
from surrogate import SurrogateError


def tree(top: type[SurrogateError]) -> list[type[SurrogateError]]:
    return [top, *(each for child in top.__subclasses__() for each in tree(child))]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (surrogate.TooLargeError, 413),
        (surrogate.UnsupportedFormatError, 415),
        (surrogate.GeometryError, 422),
        (surrogate.SelectorError, 422),
        (surrogate.RigidBodyError, 422),
        (surrogate.ConvergenceError, 422),
        (surrogate.CheckpointError, 503),
        (surrogate.InfrastructureError, 503),
        (NotFoundError, 404),
        (ConflictError, 409),
        (StorageFullError, 507),
        (DatabaseAwayError, 503),
    ],
)
def test_the_error_tree_has_statuses(error: type[SurrogateError], status: int) -> None:
    described = describe(error("the text"))
    assert described.status == status
    assert described.detail == "the text"


def test_each_error_is_a_type_of_its_own() -> None:
    """Clients tell errors apart by their type, so no two may share one."""
    errors = [error for error in tree(SurrogateError) if error.__module__ == "surrogate.errors"]
    assert len({describe(error("x")).type for error in errors}) == len(errors) > 10


def test_an_unforeseen_error_tells_nothing() -> None:
    assert "secret" not in describe(RuntimeError("secret")).model_dump_json()
    assert describe(RuntimeError("secret")).status == 500
