"""Weights and inputs of the golden files: a formula that the Rust tests compute, too."""

import math
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent


def fill(name: str, *shape: int) -> torch.Tensor:
    """Numbers in [0, 1): splitmix64 over (FNV-1a of the name) + index, its upper 24 bits."""
    key = 0xCBF29CE484222325
    for byte in name.encode():
        key = ((key ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        z = np.arange(math.prod(shape), dtype=np.uint64) + np.uint64(key)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return torch.from_numpy(((z >> np.uint64(40)).astype(np.float64) / 2**24)).reshape(shape)


def centred(name: str, *shape: int, scale: float = 1.0) -> torch.Tensor:
    return ((fill(name, *shape) * 2 - 1) * scale).float()


def fill_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A network whose activations neither vanish nor explode."""
    filled = {}
    for name, tensor in state.items():
        shape = tuple(tensor.shape)
        if name.endswith("num_batches_tracked"):
            filled[name] = tensor
        elif name in ("gem.p", "bn_neck.bias"):
            filled[name] = tensor
        elif tensor.ndim > 1:
            fan_in = math.prod(shape[1:])
            filled[name] = centred(name, *shape, scale=math.sqrt(6 / fan_in))
        elif name.endswith("running_var") or (name.endswith("weight") and "fc" not in name) or name == "fc.1.weight":
            # Small on the residual branch, or the batch statistics of fifty layers amplify the last bit of fp32.
            last = name.endswith(("bn2.weight", "bn3.weight"))
            filled[name] = ((fill(name, *shape) + 0.5) * (0.25 if last else 1.0)).float()
        else:
            filled[name] = centred(name, *shape, scale=0.1)
    return filled
