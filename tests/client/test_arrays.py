"""What is no file of arrays of the service is told apart from one."""

import numpy as np
import pytest
from safetensors.numpy import save

from surrogate.client import UnexpectedAnswerError
from surrogate.client.arrays import field_arrays, surface_arrays

FIELDS = {
    "steps": np.arange(2, dtype=np.uint32),
    "displacement": np.zeros((2, 3, 3), np.float32),
    "von_mises": np.zeros((2, 3), np.float32),
    "plastic_strain": np.zeros((2, 3), np.float32),
}


def test_a_solved_answer_has_no_interval() -> None:
    plain = field_arrays(save(FIELDS, {"history": "limit"}))
    assert plain.history == "limit" and plain.von_mises_interval is None
    wide = field_arrays(save({**FIELDS, "von_mises_interval": np.ones((2, 3), np.float32)}, {"history": "limit"}))
    assert wide.von_mises_interval is not None


@pytest.mark.parametrize("content", [b"", b"<html>", save(FIELDS), save({"points": np.zeros(3, np.float32)})])
def test_something_else_is_told_apart(content: bytes) -> None:
    for read in (surface_arrays, field_arrays):
        with pytest.raises(UnexpectedAnswerError, match="of this version"):
            read(content)
