"""Several processes train one model: gradients are averaged, so all hold the same weights after every step."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from surrogate.training import distributed
from tests.model.parts import fresh_model
from tests.training.two_processes import joint_run

CPU = torch.device("cpu")


def test_a_single_process_is_the_first_and_keeps_its_gradients() -> None:
    assert distributed.start(CPU) == CPU  # nothing to join
    distributed.wait()
    distributed.finish()
    assert distributed.rank() == 0
    model = fresh_model().requires_grad_(True)
    sum(parameter.sum() for parameter in model.parameters()).backward()  # type: ignore[union-attr]
    distributed.average_gradients(model)
    assert all(torch.equal(p.grad, torch.ones_like(p)) for p in model.parameters() if p.grad is not None)


def in_two_processes(kind: str, data: Path, out: Path) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """What both processes of a run found, see two_processes.py."""
    script = Path(__file__).with_name("two_processes.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([*command, kind, str(data), str(out)], check=True, timeout=600, env=environment, capture_output=True)
    first, second = (torch.load(out / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    return first, second


def tensors(found: Mapping[str, object], name: str) -> Mapping[str, Tensor]:
    held = found[name]
    assert isinstance(held, dict)
    return held


@pytest.mark.slow
def test_two_processes_draw_apart_and_end_with_the_same_weights(campaign: Path, tmp_path: Path) -> None:
    """From a cold cache, so that both prepare the same samples at once."""
    data = tmp_path / "campaign"
    data.mkdir()
    for path in campaign.glob("*.h5"):
        (data / path.name).symlink_to(path)
    first, second = in_two_processes("drawn", data, tmp_path)
    for name, tensor in tensors(first, "weights").items():
        assert torch.equal(tensor, tensors(second, "weights")[name]), name
    assert first["drawn"] != second["drawn"]
    assert (tmp_path / "run" / "model" / "weights.safetensors").exists()


@pytest.mark.slow
def test_two_processes_learn_from_half_a_batch_each_what_one_learns_from_the_whole(
    campaign: Path, tmp_path: Path
) -> None:
    """For all terms that are means over parts, which VICReg's is not; dropout is drawn by each process for itself."""
    first, second = in_two_processes("joint", campaign, tmp_path)
    alone = joint_run(campaign, tmp_path / "alone")
    largest = max(float(tensor.abs().max()) for tensor in tensors(alone, "gradients").values())
    assert largest > 1e-3
    for name, tensor in tensors(alone, "gradients").items():
        found = tensors(first, "gradients")[name]
        assert torch.equal(found, tensors(second, "gradients")[name]), name
        # Sums of single-precision numbers in another order; a wrong share would be half or twice as much.
        assert (found - tensor).abs().max() <= 1e-5 * largest, name
    start = fresh_model().state_dict()
    moved = {name: tensor - start[name] for name, tensor in tensors(alone, "weights").items()}
    apart = {name: tensor - tensors(first, "weights")[name] for name, tensor in tensors(alone, "weights").items()}
    # AdamW divides by the size of the gradient: where that is rounding alone a weight may go anywhere; the norm tells.
    assert size(moved) > 1e-3 and size(apart) <= 0.01 * size(moved)


def size(found: Mapping[str, Tensor]) -> float:
    return float(torch.cat([tensor.reshape(-1) for tensor in found.values()]).norm())
