"""A split as stored, and batches of it by index. Augmentation is one warp on the device; joints and camera follow."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from handvae.base.joints import ROOT
from handvae.base.sections import HEATMAPS, Augmentation
from handvae.model.draws import Draw
from handvae.model.parts import Part, labelled_rows
from handvae.model.residency import HostImages, read_images
from handvae.preprocessing import store


@dataclass(kw_only=True)
class StoredHands:
    """Rows of a data file on the device. Colour and depth differ in the two classes below.

    Images that do not fit there stay in host memory. `image_rows` brings some of them to the device either way.
    """

    images: torch.Tensor | None  # (N, C, C, ...) as stored; None where no modality needs them
    joints_mm: torch.Tensor  # (N, J, 3) camera frame
    uv_px: torch.Tensor  # (N, J, 2) in the context crop
    camera: torch.Tensor  # (N, 3, 3) of the context crop
    side: torch.Tensor  # (N,) int64
    scale_mm: torch.Tensor  # (N,) the divisor of joints
    labelled: list[torch.Tensor]  # the rows (L,) of each set whose joints may be trained on, in order; on the CPU
    set_rows: list[torch.Tensor]  # the rows of each set, on the CPU
    two_sided: torch.Tensor  # (N,) bool, on the CPU: whether the set of the row has hands of both sides
    crop_px: int
    context_px: int
    host: HostImages | None  # around the images where they stay in host memory

    def __len__(self) -> int:
        return len(self.side)

    def image_rows(self, rows: torch.Tensor) -> torch.Tensor:
        """The stored images of `rows` (M,) on the device. For images in host memory `rows` should be on the CPU."""
        if self.host is not None:
            return self.host.take(rows.cpu())
        return self.images.index_select(0, rows.to(self.images.device))

    def mirrored(self, augmentation: Augmentation) -> torch.Tensor:
        """Which rows (N,) of a training split are mirrored half of the time, bool on the CPU.

        paper: "flips", for every set. "two_sided" leaves out sets of hands of one side: their mirrored hands are never
        tested, and a model without H cannot tell the two apart.
        """
        if augmentation.flip == "two_sided":
            return self.two_sided
        return torch.full_like(self.two_sided, augmentation.flip == "always")

    def warp(self, draw: Draw) -> torch.Tensor:
        """The (M, 3, 3) map from context-crop to network-crop pixels: flip, zoom, rotate about the crop's centre."""
        linear = draw.turn()[:, :2, :2] * draw.scale[:, None, None]
        from_px = (self.context_px - 1) / 2 + draw.shift * self.crop_px
        offset = (self.crop_px - 1) / 2 - (linear @ from_px[:, :, None])[:, :, 0]
        matrix = torch.zeros(len(draw.rows), 3, 3, device=linear.device)
        matrix[:, :2, :2], matrix[:, :2, 2], matrix[:, 2, 2] = linear, offset, 1.0
        return matrix

    def warped_uv_px(self, draw: Draw) -> torch.Tensor:
        """The (M, J, 2) joints in pixels of the warped crop."""
        matrix = self.warp(draw)
        return self.uv_px[draw.rows] @ matrix[:, :2, :2].transpose(1, 2) + matrix[:, None, :2, 2]

    def in_crop(self, uv_px: torch.Tensor) -> torch.Tensor:
        """Joints (M, J, 2) in pixels of the warped crop, as the networks see them where they count from its middle."""
        return (uv_px - (self.crop_px - 1) / 2) / (self.crop_px / 2)

    def warped_joints_mm(self, draw: Draw) -> torch.Tensor:
        """The (M, J, 3) joints of the warped view: mirrored, then turned about the camera's axis.

        Zoom and shift move the view, not the hand. With `warped_cameras` they project exactly onto `warped_uv_px`.
        """
        return self.joints_mm[draw.rows] @ draw.turn().transpose(1, 2)

    def warped_cameras(self, draw: Draw) -> torch.Tensor:
        """Intrinsics (M, 3, 3) of the warped crop. A plain camera where fx = fy."""
        return self.warp(draw) @ self.camera[draw.rows] @ draw.turn().transpose(1, 2)

    def warped_images(self, draw: Draw, context: torch.Tensor, mode: str) -> torch.Tensor:
        """Context crops (M, C, C', C') warped to (M, C, S, S), channels last; 0 outside them."""
        # grid_sample wants, for every output pixel, the context pixel scaled to [-1, 1]: the inverse of the warp
        to_context = torch.linalg.inv(self.warp(draw))[:, :2] * (2.0 / (self.context_px - 1))
        to_context[:, :, 2] -= 1.0
        pixels = torch.arange(self.crop_px, device=context.device, dtype=torch.float32)
        v, u = torch.meshgrid(pixels, pixels, indexing="ij")
        homogeneous = torch.stack([u.flatten(), v.flatten(), torch.ones_like(u).flatten()])  # (3, S * S)
        # one product for the whole batch, planes of u and v: several times faster than a small product a sample
        grid = (to_context.reshape(-1, 3) @ homogeneous).view(-1, 2, self.crop_px, self.crop_px).permute(0, 2, 3, 1)
        return F.grid_sample(context, grid, mode=mode, padding_mode="zeros", align_corners=True)


class ColourSplit(StoredHands):
    """RGB crops (N, C, C, 3) uint8. Joints are relative to the palm, in units of the scale bone or of one length."""

    image: ClassVar = "rgb"  # the modality
    stored: ClassVar = "image_u8"

    def inputs(self, draw: Draw) -> torch.Tensor:
        """The warped crops (M, 3, S, S) in [-0.5, 0.5], channels last; outside the context crop 0, mid-grey."""
        context = self.image_rows(draw.rows).permute(0, 3, 1, 2).float().sub_(127.5)
        warped = self.warped_images(draw.to(context.device), context, "bilinear")
        return warped.mul_(1 / 255.0).contiguous(memory_format=torch.channels_last)

    def relative_2d(self, uv_px: torch.Tensor) -> torch.Tensor:
        """Joints (M, J, 2) in pixels of the warped crop as the networks see them: relative to the palm."""
        return (uv_px - uv_px[:, ROOT : ROOT + 1]) / (self.crop_px / 2)

    def targets(self, draw: Draw) -> torch.Tensor:
        """The (M, J, 3) joints of the warped view as the networks see them."""
        joints_mm = self.warped_joints_mm(draw)
        return (joints_mm - joints_mm[:, ROOT : ROOT + 1]) / self.scale_mm[draw.rows, None, None]

    def to_mm(self, rows: torch.Tensor, normalised: torch.Tensor) -> torch.Tensor:
        """Normalised joints (M, J, 3) of unwarped rows in millimetres, palm-relative."""
        return normalised * self.scale_mm[rows, None, None]

    def true_mm(self) -> torch.Tensor:
        """The joints (N, J, 3) in the frame of `to_mm`."""
        return self.joints_mm - self.joints_mm[:, ROOT : ROOT + 1]


@dataclass(kw_only=True)
class DepthSplit(StoredHands):
    """Depth crops (N, C, C) float16 in half the cube's side, +1 background; joints, too, are relative to the cube."""

    image: ClassVar = "depth"
    stored: ClassVar = "depth_f16"

    centre_mm: torch.Tensor  # (N, 3) of the cube

    def inputs(self, draw: Draw) -> torch.Tensor:
        """The warped crops (M, 1, S, S) in [-1, 1] of the cube, background and all outside the context crop +1.

        Nearest neighbour: depth must not mix a finger with its background. A zoom shrinks the cube, so depth grows.
        """
        context = self.image_rows(draw.rows)[:, None].float()
        draw = draw.to(context.device)
        zoomed = (context * draw.scale[:, None, None, None]).clamp(-1, 1).masked_fill(context >= 1, 1.0)
        warped = self.warped_images(draw, zoomed - 1, "nearest")
        return warped.add_(1).contiguous(memory_format=torch.channels_last)

    def relative_2d(self, uv_px: torch.Tensor) -> torch.Tensor:
        """Joints (M, J, 2) in pixels of the warped crop as the networks see them: relative to the cube's middle."""
        return self.in_crop(uv_px)

    def targets(self, draw: Draw) -> torch.Tensor:
        """The (M, J, 3) joints of the warped view as the networks see them.

        The view's shift moves the cube in 3D, its zoom shrinks it, so that in the crop a point at the centre's depth
        lies at x and y times half the crop's side.
        """
        centre_mm = self.centre_mm[draw.rows].clone()
        centre_mm[:, :2] += draw.shift * 2 * self.scale_mm[draw.rows, None]
        relative_mm = (self.joints_mm[draw.rows] - centre_mm[:, None]) @ draw.turn().transpose(1, 2)
        return relative_mm * draw.scale[:, None, None] / self.scale_mm[draw.rows, None, None]

    def to_mm(self, rows: torch.Tensor, normalised: torch.Tensor) -> torch.Tensor:
        """Normalised joints (M, J, 3) of unwarped rows in millimetres of the camera's frame."""
        return normalised * self.scale_mm[rows, None, None] + self.centre_mm[rows, None]

    def true_mm(self) -> torch.Tensor:
        """The joints (N, J, 3) in the frame of `to_mm`."""
        return self.joints_mm


Split = ColourSplit | DepthSplit


def load_split(
    parts: list[Part],
    with_images: bool,
    unit_mm: float | None,
    device: torch.device,
    label_fraction: float = 1.0,
    resident: str = "auto",
) -> Split:
    """The rows of one or more sets, all colour or all depth, on the device, one set after the other.

    `unit_mm`: what joints are divided by, None for each hand's scale bone; for depth it is half the cube's side.
    `label_fraction`: the share of each set's moments whose labels may be used, see `parts.labelled_rows`. `resident`:
    where images stay, see `residency.stays_on_host`.
    """
    attributes = store.attributes(parts[0].path)
    is_depth = "cube_mm" in store.columns(parts[0].path, parts[0].groups[0])
    split = DepthSplit if is_depth else ColourSplit

    def column(key: str) -> torch.Tensor:
        return torch.from_numpy(np.concatenate([part.column(key) for part in parts])).to(device)

    images, host = read_images(parts, split.stored, device, resident) if with_images else (None, None)
    sides = [part.column("side") for part in parts]
    set_rows = torch.arange(sum(map(len, sides))).split([len(side) for side in sides])
    labelled = [labelled_rows(part.column("moment"), label_fraction) for part in parts]
    fields = {
        "images": images,
        "host": host,
        "joints_mm": column("joints_mm"),
        "uv_px": column("uv_px"),
        "camera": column("camera").float(),
        "side": column("side").long(),
        "labelled": [rows[torch.from_numpy(chosen)] for rows, chosen in zip(set_rows, labelled, strict=True)],
        "set_rows": list(set_rows),
        "two_sided": torch.cat([torch.full((len(side),), len(np.unique(side)) == 2) for side in sides]),
        "crop_px": attributes["crop_px"],
        "context_px": attributes["context_px"],
    }
    if is_depth:
        return DepthSplit(scale_mm=column("cube_mm") / 2, centre_mm=column("centre_mm"), **fields)
    bone_mm = column("scale_bone_mm")
    return ColourSplit(scale_mm=bone_mm if unit_mm is None else torch.full_like(bone_mm, unit_mm), **fields)


def batch(split: Split, draw: Draw, modalities: set[str]) -> dict[str, torch.Tensor]:
    """The samples of a draw, on the CPU or the device: each modality as the networks see it, `side_onehot` (M, 2).

    rgb (M, 3, S, S); depth (M, 1, S, S); joints_2d (M, 2 J): palm-relative pixels over half the crop's side; joints_3d
    (M, 3 J): the split's `targets`.
    """
    samples = {split.image: split.inputs(draw)} if split.image in modalities else {}
    draw = draw.to(split.side.device)
    side = split.side[draw.rows] ^ draw.flip.long()  # a mirrored left hand is a right hand
    samples["side_onehot"] = F.one_hot(side, 2).float()
    if "joints_2d" in modalities:
        samples["joints_2d"] = split.relative_2d(split.warped_uv_px(draw)).flatten(1)
    if HEATMAPS in modalities:
        samples[HEATMAPS] = split.in_crop(split.warped_uv_px(draw)).flatten(1)
    if "joints_3d" in modalities:
        samples["joints_3d"] = split.targets(draw).flatten(1)
    return samples
