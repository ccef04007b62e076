"""Where a split's images lie: on the device, or in host memory, from which batches of them are copied when due.

Reading never holds images twice, on the host or on the device.
"""

import math
import sys

import torch

from handvae.model.parts import Part
from handvae.preprocessing import store

DTYPES = {"image_u8": torch.uint8, "depth_f16": torch.float16}
# Kept free on the device for everything but the images. At 256 px and batch 64 in bfloat16 a step keeps 3.7 GB of
# ResNet-50 for its backward pass (ResNet-18: 0.9 GB; twice that in float32), weights, gradients and Adam are 0.4 GB,
# cuDNN wants its workspace, and making a block's batches, between the steps, takes 2.5 GB at its peak.
RESERVE_BYTES = 8_000_000_000


class HostImages:
    """Images (N, ...) in host memory. Rows of them are copied to the device when they are needed.

    `send` starts a copy that runs while the device computes, `take` returns what has arrived.
    """

    def __init__(self, images: torch.Tensor, device: torch.device):
        self.images, self.device = images, device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.sent: dict[bytes, tuple[torch.Tensor, torch.cuda.Event | None]] = {}  # by their rows: images, arrival

    def send(self, rows: torch.Tensor) -> None:
        """Start to copy `rows` (M,), int64 on the CPU."""
        shape, pinned = (len(rows), *self.images.shape[1:]), self.stream is not None
        # freed when this ends; torch's allocator does not give it out again before the copy from it is done
        gathered = torch.empty(shape, dtype=self.images.dtype, pin_memory=pinned)
        torch.index_select(self.images, 0, rows, out=gathered)
        if self.stream is None:
            self.sent[rows.numpy().tobytes()] = gathered, None
            return
        with torch.cuda.stream(self.stream):
            arriving = gathered.to(self.device, non_blocking=True)
            self.sent[rows.numpy().tobytes()] = arriving, self.stream.record_event()

    def take(self, rows: torch.Tensor) -> torch.Tensor:
        """The images of `rows` (M,), int64 on the CPU, on the device: those sent before, else they are copied now."""
        key = rows.numpy().tobytes()
        if key not in self.sent:
            self.sent.clear()  # nobody came for them
            self.send(rows)
        images, arrival = self.sent.pop(key)
        if arrival is not None:
            computing = torch.cuda.current_stream(self.device)
            computing.wait_event(arrival)
            images.record_stream(computing)  # the copying stream, which owns the memory, must not reuse it before
        return images


def read_images(
    parts: list[Part], key: str, device: torch.device, resident: str
) -> tuple[torch.Tensor, HostImages | None]:
    """The column `key` of the parts' rows, one part after the other.

    On the device, where they fit or `resident` is "device"; else in host memory with a `HostImages` around them.
    """
    count = sum(int(part.rows.sum()) for part in parts)
    shape, itemsize = store.row_shape(parts[0].path, parts[0].groups[0], key)
    size = count * math.prod(shape) * itemsize
    name = "; ".join(f"{part.path.stem} {', '.join(part.groups)}" for part in parts)
    on_host = stays_on_host(name, size, device, resident)
    images = torch.empty((count, *shape), dtype=DTYPES[key], device="cpu" if on_host else device)
    filled = 0
    for part in parts:
        row = 0
        for stored in store.read_parts(part.path, part.groups, key):
            kept = stored[part.rows[row : row + len(stored)]]
            images[filled : filled + len(kept)] = torch.from_numpy(kept)
            row, filled = row + len(stored), filled + len(kept)
    return images, HostImages(images, device) if on_host else None


def stays_on_host(name: str, size_bytes: int, device: torch.device, resident: str) -> bool:
    """Whether images of that size stay in host memory; if so a line says it. `resident`: auto | device | host."""
    if resident == "device" or (resident == "auto" and device.type == "cpu"):
        return False
    why = "resident is host"
    if resident == "auto":
        free_bytes = free_device_bytes(device)
        if size_bytes <= free_bytes - RESERVE_BYTES:
            return False
        kept = f"{RESERVE_BYTES / 1e9:.1f} GB of them kept for the network"
        why = f"{free_bytes / 1e9:.1f} GB are free on the device, {kept}"
    print(f"{name}: {size_bytes / 1e9:.1f} GB of images stay in host memory: {why}", file=sys.stderr, flush=True)
    return True


def free_device_bytes(device: torch.device) -> int:
    torch.cuda.empty_cache()  # memory that torch's allocator keeps from an earlier split is free as well
    return torch.cuda.mem_get_info(device)[0]
