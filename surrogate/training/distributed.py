"""Data-parallel training with `torchrun`: every process draws its own parts, gradients are averaged."""

import os

import torch
import torch.distributed as dist
from torch import nn


def start() -> None:
    """Join the processes that `torchrun` started; nothing to do for a single one."""
    if "RANK" in os.environ and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


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
