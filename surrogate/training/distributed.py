"""Data-parallel training with `torchrun`: every process draws its own parts, gradients are averaged."""

import os

import torch
import torch.distributed as dist
from torch import nn


def start(device: torch.device) -> torch.device:
    """Join the processes that `torchrun` started, and take a GPU of one's own; nothing to do for a single process.

    Args:
        device: the kind that this process is to train on.

    Returns:
        The device itself.
    """
    if "RANK" not in os.environ:
        return device
    on_gpu = device.type == "cuda"
    if on_gpu and device.index is None:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    if on_gpu:
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        # The exchange follows the device that is trained on: gloo takes what lies on the CPU, also beside a GPU.
        dist.init_process_group("nccl" if on_gpu else "gloo")
    return device


def rank() -> int:
    """This process's number, 0 for a single one."""
    return dist.get_rank() if dist.is_initialized() else 0


def average_gradients(model: nn.Module) -> None:
    """Replace each gradient by its mean over the processes, in one exchange."""
    if not dist.is_initialized():
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    first = 0
    for gradient in gradients:
        gradient.copy_(flat[first : first + gradient.numel()].view_as(gradient))
        first += gradient.numel()


def wait() -> None:
    """Wait until every process has come here."""
    if dist.is_initialized():
        dist.barrier()


def finish() -> None:
    """Wait for the others and leave them; nothing to do for a single process."""
    if dist.is_initialized():
        wait()
        dist.destroy_process_group()
