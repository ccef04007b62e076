"""Weights in half precision as the bytes of a safetensors file: half the size, and the same bytes each time."""

import json

import safetensors.torch
import torch


def file_bytes(weights: dict[str, torch.Tensor], metadata: dict[str, str]) -> bytes:
    """Floating-point tensors as float16, others as they are."""
    halves = {
        key: (value.half() if value.is_floating_point() else value).cpu().contiguous() for key, value in weights.items()
    }
    return _sorted(safetensors.torch.save(halves, metadata))


def _sorted(content: bytes) -> bytes:
    """A safetensors file with its metadata in order: safetensors writes them in another one each time."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + content[8 + size :]
