"""Several processes train one model: gradients are averaged, so all hold the same weights after every step."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from surrogate.training import distributed
from tests.model.parts import fresh_model


def test_a_single_process_is_the_first_and_keeps_its_gradients() -> None:
    assert distributed.start(torch.device("cpu")) == torch.device("cpu")  # nothing to join
    distributed.wait()
    assert distributed.rank() == 0
    model = fresh_model().requires_grad_(True)
    sum(parameter.sum() for parameter in model.parameters()).backward()  # type: ignore[union-attr]
    distributed.average_gradients(model)
    assert all(torch.equal(p.grad, torch.ones_like(p)) for p in model.parameters() if p.grad is not None)


@pytest.mark.slow
def test_two_processes_draw_apart_and_end_with_the_same_weights(campaign: Path, tmp_path: Path) -> None:
    """From a cold cache, so that both prepare the same samples at once."""
    data = tmp_path / "campaign"
    data.mkdir()
    for path in campaign.glob("*.h5"):
        (data / path.name).symlink_to(path)
    script = Path(__file__).with_name("two_processes.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([*command, str(data), str(tmp_path)], check=True, timeout=300, env=environment, capture_output=True)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    for name, tensor in first["weights"].items():
        assert torch.equal(tensor, second["weights"][name]), name
    assert first["drawn"] != second["drawn"]
    assert (tmp_path / "run" / "model" / "weights.safetensors").exists()
