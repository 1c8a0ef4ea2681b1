"""Where PyTorch works: what `--device` said."""

import os

import torch

torch.backends.cudnn.allow_tf32 = False  # float32 as ours; products have it off by themselves
DEVICE = torch.device(os.environ.get("BENCHMARKS_DEVICE", "cpu"))


def synchronize() -> None:
    """Waits for the device."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
