"""Where PyTorch works: what `--device` said."""

import os

import torch

DEVICE = torch.device(os.environ.get("BENCHMARKS_DEVICE", "cpu"))


def synchronize() -> None:
    """Waits for the device."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
