"""The service keeps to its OpenAPI document: a thousand requests here, five thousand by `make schemathesis`."""

from pathlib import Path

import pytest

from tests.api.contract_fuzz import run

CASES = 1000


@pytest.mark.slow
def test_every_answer_is_as_documented(tmp_path: Path) -> None:
    """No 5xx, no status, content type, header or body that the document does not have; nothing fails unseen either."""
    contract = run(CASES, 0, tmp_path)
    assert not contract.failures, contract.text
    assert not contract.server_errors
    assert contract.complete and contract.cases >= CASES
    # Requests that are all refused would test the refusal only.
    refusing = {name for name, accepted in contract.accepted.items() if accepted == 0}
    assert refusing <= REFUSING, refusing


# What needs an object in a state that requests made at random do not bring about.
REFUSING = {
    "POST /v1/predictions/{prediction_id}/cancel",
    "DELETE /v1/predictions/{prediction_id}",
    "DELETE /v1/meshes/{mesh_id}",
}
