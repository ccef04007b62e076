"""A split as stored; batches by index; augmentation as one warp on the device, joints and camera follow.

Everything random about a step is drawn on the CPU from (seed, block of steps), so that a resumed run, and a run on
another device, sees the same samples, warps and noise.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from handvae.base.joints import ROOT
from handvae.base.sections import Augmentation
from handvae.model.networks import LATENT
from handvae.model.parts import Part, labelled_rows
from handvae.model.residency import HostImages, read_images
from handvae.preprocessing import store

BLOCK = 8  # steps whose batches are made, and whose terms are checked and recorded, together: shares small costs
ROW_STREAMS = (2, 5)  # of an experiment's random numbers: the order of the rows, of each of two sets


@dataclass
class Split:
    """Rows of a data file on the device. The image is None where no modality needs it, or of the other kind.

    Images that do not fit there lie in host memory: `image_rows` gives some of them on the device either way.
    """

    image_u8: torch.Tensor | None  # (N, C, C, 3)
    depth_f16: torch.Tensor | None  # (N, C, C) in half the cube's side, +1 background
    joints_mm: torch.Tensor  # (N, J, 3) camera frame
    uv_px: torch.Tensor  # (N, J, 2) in the context crop
    camera: torch.Tensor  # (N, 3, 3) of the context crop
    side: torch.Tensor  # (N,) int64
    centre_mm: torch.Tensor | None  # (N, 3) of the depth's cube; None: joints are taken relative to the palm
    scale_mm: torch.Tensor  # (N,) what joints are divided by: the scale bone, a unit, or half the cube's side
    labelled: list[torch.Tensor]  # of each set, on the CPU: the rows (L,) whose joints may be trained on, in order
    set_rows: list[torch.Tensor]  # of each set, on the CPU: its rows
    two_sided: torch.Tensor  # (N,) bool, on the CPU: whether the row's set has hands of both sides
    crop_px: int
    context_px: int
    host: HostImages | None = None  # around the images where they lie in host memory

    def __len__(self) -> int:
        return len(self.side)

    def image_rows(self, rows: torch.Tensor) -> torch.Tensor:
        """The stored images of `rows` (M,) on the device; rows of images in host memory had better be on the CPU."""
        if self.host is not None:
            return self.host.take(rows.cpu())
        images = self.depth_f16 if self.image_u8 is None else self.image_u8
        return images.index_select(0, rows.to(images.device))


def load_split(
    parts: list[Part],
    images: bool,
    unit_mm: float | None,
    device: torch.device,
    label_fraction: float = 1.0,
    resident: str = "auto",
) -> Split:
    """Read rows of one or more sets of one kind onto the device, one after the other; images as `resident` says.

    `unit_mm`: what joints are divided by, None for each hand's scale bone; of depth it is half the cube's side.
    `label_fraction`: of each set's moments; see `parts.labelled_rows`.
    """
    attributes = store.attributes(parts[0].path)
    depth = "cube_mm" in store.columns(parts[0].path, parts[0].groups[0])
    keys = ["joints_mm", "uv_px", "camera", "side", *(["cube_mm", "centre_mm"] if depth else ["scale_bone_mm"])]
    read = [
        {key: values[part.rows] for key, values in store.read(part.path, part.groups, keys).items()} for part in parts
    ]
    columns = {key: torch.from_numpy(np.concatenate([of_part[key] for of_part in read])).to(device) for key in keys}
    host = None
    if images:
        image = "depth_f16" if depth else "image_u8"
        columns[image], host = read_images(parts, image, device, resident)
    sizes = [len(of_part["side"]) for of_part in read]
    firsts = np.cumsum([0, *sizes[:-1]])
    labelled = [
        first + labelled_rows(part.column("moment"), label_fraction) for first, part in zip(firsts, parts, strict=True)
    ]
    two_sided = [np.full(len(of_part["side"]), len(np.unique(of_part["side"])) == 2) for of_part in read]
    scale_mm = columns["cube_mm"] / 2 if depth else columns["scale_bone_mm"]
    return Split(
        image_u8=columns.get("image_u8"),
        depth_f16=columns.get("depth_f16"),
        joints_mm=columns["joints_mm"],
        uv_px=columns["uv_px"],
        camera=columns["camera"].float(),
        side=columns["side"].long(),
        centre_mm=columns.get("centre_mm"),
        scale_mm=scale_mm if depth or unit_mm is None else torch.full_like(scale_mm, unit_mm),
        labelled=[torch.from_numpy(rows) for rows in labelled],
        two_sided=torch.from_numpy(np.concatenate(two_sided)),
        set_rows=[torch.arange(size) + int(first) for first, size in zip(firsts, sizes, strict=True)],
        crop_px=attributes["crop_px"],
        context_px=attributes["context_px"],
        host=host,
    )


@dataclass
class Draw:
    """The random part of some samples: which rows, how warped. All on one device, first dimension M."""

    rows: torch.Tensor  # (M,) int64
    rotation_rad: torch.Tensor  # (M,) clockwise in the image
    shift: torch.Tensor  # (M, 2) of the crop's side
    scale: torch.Tensor  # (M,) > 1 enlarges
    flip: torch.Tensor  # (M,) bool

    def to(self, device: torch.device) -> "Draw":
        return Draw(*(getattr(self, field).to(device, non_blocking=True) for field in self.__dataclass_fields__))

    def __getitem__(self, part: slice) -> "Draw":
        return Draw(*(getattr(self, field)[part] for field in self.__dataclass_fields__))


def unaugmented(rows: torch.Tensor) -> Draw:
    zeros = torch.zeros(len(rows), device=rows.device)
    return Draw(rows, zeros, torch.stack([zeros, zeros], 1), zeros + 1.0, zeros.bool())


def mirrors(split: Split, augmentation: Augmentation) -> torch.Tensor:
    """Which rows (N,) of a training split are mirrored half of the times, on the CPU.

    paper: "flips", of every set; "two_sided" leaves out sets of hands of one side, where a mirrored hand is none that
    is ever tested, and a model without H cannot know which of the two it sees.
    """
    if augmentation.flip == "two_sided":
        return split.two_sided
    return torch.full_like(split.two_sided, augmentation.flip == "always")


def draw_block(
    seed: int,
    block: int,
    batch_size: int,
    pools: list[torch.Tensor],
    pairs: int,
    augmentation: Augmentation,
    mirrored: torch.Tensor,
) -> tuple[Draw, torch.Tensor]:
    """The draw of one block of steps, BLOCK * batch_size samples, and its noise (BLOCK, pairs, batch_size, 30).

    Each of the `pools` of rows gives an equal share of every batch, in epochs: each a permutation of the pool; batches
    run on over the end of an epoch. `mirrored` (N,): see `mirrors`.
    """
    generator = torch.Generator().manual_seed(_mix(seed, 1, block))
    samples = BLOCK * batch_size
    uniform = torch.rand(5, samples, generator=generator)
    noise = torch.randn(BLOCK, pairs, batch_size, LATENT, generator=generator)
    low, high = augmentation.scale
    share = samples // len(pools)
    of_pools = [
        pool[_rows_of_block(seed, stream, block * share, share, len(pool))]
        for stream, pool in zip(ROW_STREAMS, pools, strict=False)
    ]
    rows = torch.stack(of_pools, dim=1).flatten()  # of two pools one row each in turn
    draw = Draw(
        rows=rows,
        rotation_rad=(2 * uniform[0] - 1) * math.radians(augmentation.rotation_deg),
        shift=((2 * uniform[1:3] - 1) * augmentation.shift).T.contiguous(),
        scale=low + (high - low) * uniform[3],
        flip=(uniform[4] < 0.5) & mirrored[rows],
    )
    return draw, noise


def _rows_of_block(seed: int, stream: int, first: int, count: int, rows: int) -> torch.Tensor:
    epochs = range(first // rows, (first + count - 1) // rows + 1)
    generators = (torch.Generator().manual_seed(_mix(seed, stream, epoch)) for epoch in epochs)
    start = first - epochs[0] * rows
    return torch.cat([torch.randperm(rows, generator=generator) for generator in generators])[start : start + count]


def _mix(seed: int, stream: int, number: int) -> int:
    """One seed from three numbers: hashed, since torch's CPU generator looks at the lowest 32 bits of a seed alone."""
    return int(np.random.SeedSequence([seed, stream, number]).generate_state(1)[0])


def warp(split: Split, draw: Draw) -> torch.Tensor:
    """The (M, 3, 3) map from context-crop pixels to network-crop pixels: flip, zoom, rotate about the crop's centre."""
    cos, sin = torch.cos(draw.rotation_rad) * draw.scale, torch.sin(draw.rotation_rad) * draw.scale
    mirror = 1.0 - 2.0 * draw.flip.float()
    linear = torch.stack([torch.stack([cos * mirror, -sin], 1), torch.stack([sin * mirror, cos], 1)], 1)  # (M, 2, 2)
    from_px = (split.context_px - 1) / 2 + draw.shift * split.crop_px
    offset = (split.crop_px - 1) / 2 - (linear @ from_px[:, :, None])[:, :, 0]
    matrix = torch.zeros(len(draw.rows), 3, 3, device=linear.device)
    matrix[:, :2, :2], matrix[:, :2, 2], matrix[:, 2, 2] = linear, offset, 1.0
    return matrix


def images(split: Split, draw: Draw) -> torch.Tensor:
    """The warped crops (M, 3, S, S) in [-0.5, 0.5], channels last; outside the context crop 0, mid-grey."""
    context = split.image_rows(draw.rows).permute(0, 3, 1, 2).float().sub_(127.5)
    draw = draw.to(context.device)
    return _warped(split, draw, context, "bilinear").mul_(1 / 255.0).contiguous(memory_format=torch.channels_last)


def depths(split: Split, draw: Draw) -> torch.Tensor:
    """The warped crops (M, 1, S, S) in [-1, 1] of the cube, background and all outside the context crop +1.

    Nearest neighbour: between a finger and what is behind it lies nothing. A zoom shrinks the cube, so depth grows.
    """
    context = split.image_rows(draw.rows)[:, None].float()
    draw = draw.to(context.device)
    zoomed = (context * draw.scale[:, None, None, None]).clamp(-1, 1).masked_fill(context >= 1, 1.0)
    return _warped(split, draw, zoomed - 1, "nearest").add_(1).contiguous(memory_format=torch.channels_last)


def _warped(split: Split, draw: Draw, context: torch.Tensor, mode: str) -> torch.Tensor:
    """(M, C, S, S) of context crops (M, C, C', C'); 0 outside them."""
    # grid_sample wants, for every output pixel, the context pixel scaled to [-1, 1]: the inverse of the warp
    to_context = torch.linalg.inv(warp(split, draw))[:, :2] * (2.0 / (split.context_px - 1))
    to_context[:, :, 2] -= 1.0
    pixels = torch.arange(split.crop_px, device=context.device, dtype=torch.float32)
    v, u = torch.meshgrid(pixels, pixels, indexing="ij")
    homogeneous = torch.stack([u.flatten(), v.flatten(), torch.ones_like(u).flatten()])  # (3, S * S)
    # one product for the whole batch, planes of u and v: several times faster than a small product a sample
    grid = (to_context.reshape(-1, 3) @ homogeneous).view(-1, 2, split.crop_px, split.crop_px).permute(0, 2, 3, 1)
    return F.grid_sample(context, grid, mode=mode, padding_mode="zeros", align_corners=True)


def joints_mm(split: Split, draw: Draw) -> torch.Tensor:
    """The (M, 21, 3) joints of the warped view: mirrored, then turned about the camera's axis.

    Zoom and shift move the view, not the hand. With `cameras` they project exactly onto `uv_px`.
    """
    return split.joints_mm[draw.rows] @ _turn(draw).transpose(1, 2)


def _turn(draw: Draw) -> torch.Tensor:
    cos, sin = torch.cos(draw.rotation_rad), torch.sin(draw.rotation_rad)
    mirror = 1.0 - 2.0 * draw.flip.float()
    turn = torch.zeros(len(draw.rows), 3, 3, device=cos.device)
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1] = cos * mirror, -sin, sin * mirror, cos
    turn[:, 2, 2] = 1.0
    return turn


def uv_px(split: Split, draw: Draw, matrix: torch.Tensor) -> torch.Tensor:
    """The (M, 21, 2) joints in pixels of the warped crop."""
    return split.uv_px[draw.rows] @ matrix[:, :2, :2].transpose(1, 2) + matrix[:, None, :2, 2]


def cameras(split: Split, draw: Draw, matrix: torch.Tensor) -> torch.Tensor:
    """Intrinsics (M, 3, 3) of the warped crop: uv_px ~ camera @ joints_mm. A plain camera where fx = fy."""
    return matrix @ split.camera[draw.rows] @ _turn(draw).transpose(1, 2)


def normalised_joints(split: Split, draw: Draw) -> torch.Tensor:
    """The (M, J, 3) joints of the warped view as the networks see them, in units of scale_mm.

    Colour: relative to the palm. Depth: relative to the cube's centre; the view's shift moves the cube in 3D, its zoom
    shrinks it, so that in the crop a point at the centre's depth lies at x and y times half the crop's side.
    """
    scale_mm = split.scale_mm[draw.rows, None, None]
    if split.centre_mm is None:
        joints = joints_mm(split, draw)
        return (joints - joints[:, ROOT : ROOT + 1]) / scale_mm
    centre_mm = split.centre_mm[draw.rows].clone()
    centre_mm[:, :2] += draw.shift * 2 * split.scale_mm[draw.rows, None]
    relative_mm = (split.joints_mm[draw.rows] - centre_mm[:, None]) @ _turn(draw).transpose(1, 2)
    return relative_mm * draw.scale[:, None, None] / scale_mm


def to_mm(split: Split, rows: torch.Tensor, normalised: torch.Tensor) -> torch.Tensor:
    """Normalised joints (M, J, 3) of unwarped rows in millimetres: palm-relative, or absolute where there is a cube."""
    joints = normalised * split.scale_mm[rows, None, None]
    return joints if split.centre_mm is None else joints + split.centre_mm[rows, None]


def batch(split: Split, draw: Draw, modalities: set[str]) -> dict[str, torch.Tensor]:
    """The samples of a draw, on the CPU or the device: each modality as the networks see it, `side_onehot` (M, 2).

    rgb (M, 3, S, S); depth (M, 1, S, S); joints_2d (M, 2 J): palm-relative pixels over half the crop's side; joints_3d
    (M, 3 J): see `normalised_joints`.
    """
    result = {}
    if "rgb" in modalities:
        result["rgb"] = images(split, draw)
    if "depth" in modalities:
        result["depth"] = depths(split, draw)
    draw = draw.to(split.side.device)
    side = split.side[draw.rows] ^ draw.flip.long()  # a mirrored left hand is a right hand
    result["side_onehot"] = F.one_hot(side, 2).float()
    if "joints_2d" in modalities:
        uv = uv_px(split, draw, warp(split, draw))
        result["joints_2d"] = ((uv - uv[:, ROOT : ROOT + 1]) / (split.crop_px / 2)).flatten(1)
    if "joints_3d" in modalities:
        result["joints_3d"] = normalised_joints(split, draw).flatten(1)
    return result
