"""From crops to poses: joints in millimetres by the evaluation's own path, their pixels, and how sure the model is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from handvae.base import geometry
from handvae.base.errors import InputError
from handvae.base.joints import MIDDLE_MCP, RIGHT
from handvae.base.sections import TARGET
from handvae.model import batches
from handvae.model.batches import ColourSplit, DepthSplit, Split
from handvae.model.checkpoints import Trained
from handvae.model.draws import unaugmented
from handvae.model.vae import CrossModalVAE, sample
from handvae.prediction.boxes import HandBox
from handvae.preprocessing import depth_crops
from handvae.preprocessing.preprocess import resample, size

# An adult's middle finger from MCP to PIP, the length of its proximal phalanx: Buryanov and Kotiuk, "Proportions of
# hand segments", International Journal of Morphology 2010, table of means.
ADULT_SCALE_BONE_MM = 44.6
CONTEXT = 1.5  # of params.yaml's profiles: cut with the same margin as for training, a crop has the same bytes
SAMPLES = 32  # of the posterior, for the spread
BATCH = 256


@dataclass(frozen=True)
class Poses:
    """Of M hands. Joints of colour models are relative to the palm, of depth models in the camera's frame."""

    joints_mm: np.ndarray  # (M, J, 3) decoded from the posterior's mean
    spread_mm: np.ndarray  # (M, J) standard deviation of each joint's position over samples of the posterior
    crop_uv_px: np.ndarray | None  # (M, J, 2) of the 2D decoder, in crop pixels; None for a model without one


def check_input(trained: Trained, wanted: str, where: object) -> None:
    """InputError where the model's input is not `wanted`, rgb or depth."""
    name, given = trained.settings.name, trained.settings.experiment.input
    if not trained.settings.is_vae:
        raise InputError(f"{where}: {name} is the rival [38], expected one of our variants; name one by --model")
    if given == wanted:
        if (wanted, TARGET) not in trained.settings.pairs:
            raise InputError(f"{where}: {name} was not trained from {wanted} to 3D joints; name another --model")
        return
    if given == "joints_2d":
        raise InputError(f"{where}: {name} takes 2D joints, expected a model that takes pictures; name one by --model")
    hint = "give its --camera" if given == "depth" else "leave --camera out"
    raise InputError(f"{where}: {name} takes {given} pictures, asked for {wanted}; name another --model, or {hint}")


def colour_split(
    trained: Trained, pictures: Sequence[np.ndarray], boxes: Sequence[HandBox], scale_bone_mm: float | np.ndarray
) -> ColourSplit:
    """The crops of boxes, each in its picture (H, W, 3), as a split. `scale_bone_mm`: of all hands, or of each (M,).

    A side that is not known counts as right.
    """
    crops, unit_mm = size(trained.settings.crop_px, CONTEXT), trained.settings.joint_unit_mm
    images_u8 = [
        resample(image_u8, box.to_crop(crops.crop_px, crops.context_px), crops.context_px)
        for image_u8, box in zip(pictures, boxes, strict=True)
    ]
    sides = [RIGHT if box.hand_side is None else box.hand_side for box in boxes]
    scale_mm = np.full(len(boxes), scale_bone_mm if unit_mm is None else unit_mm, np.float32)
    images, scale_mm = (torch.from_numpy(array) for array in (np.stack(images_u8), scale_mm))
    return ColourSplit(images=images, scale_mm=scale_mm, **_fields(trained, sides, crops.context_px))


def depth_split(
    trained: Trained,
    depths_mm: Sequence[np.ndarray],
    cameras: Sequence[np.ndarray],
    centres_mm: Sequence[np.ndarray],
    cube_mm: float,
    sides: Sequence[int],
) -> DepthSplit:
    """The cubes around `centres_mm` (3,), each cut out of its depth image (H, W), as a split."""
    crop_px = trained.settings.crop_px
    crops = [
        depth_crops.crop(depth_mm, camera, centre_mm, cube_mm, crop_px, crop_px)[0]
        for depth_mm, camera, centre_mm in zip(depths_mm, cameras, centres_mm, strict=True)
    ]
    return DepthSplit(
        images=torch.from_numpy(np.stack(crops)),
        scale_mm=torch.full((len(crops),), cube_mm / 2),
        centre_mm=torch.from_numpy(np.float32(centres_mm)),
        **_fields(trained, sides, crop_px),
    )


def _fields(trained: Trained, sides: Sequence[int], context_px: int) -> dict[str, object]:
    """What both splits have; joints and cameras, which are not known, are zeros and are not looked at."""
    count, joints = len(sides), len(trained.settings.skeleton)
    return {
        "joints_mm": torch.zeros(count, joints, 3),
        "uv_px": torch.zeros(count, joints, 2),
        "camera": torch.zeros(count, 3, 3),
        "side": torch.tensor(sides, dtype=torch.int64),
        "labelled": [],
        "set_rows": [],
        "two_sided": torch.zeros(count, dtype=torch.bool),
        "crop_px": trained.settings.crop_px,
        "context_px": context_px,
        "host": None,
    }


@torch.inference_mode()
def predict(trained: Trained, split: Split) -> Poses:
    """The poses of a split's rows."""
    model, source = trained.model, split.image
    noise = torch.randn(SAMPLES, 1, 30, generator=torch.Generator().manual_seed(0))
    joints_mm, spread_mm, crop_uv_px = [], [], []
    for rows in torch.arange(len(split)).split(BATCH):
        inputs = batches.batch(split, unaugmented(rows), {source})
        mu, log_var = model.encode(source, inputs[source], inputs["side_onehot"])
        joints_mm.append(_decoded_mm(model, split, rows, mu))
        samples_mm = torch.stack([_decoded_mm(model, split, rows, sample(mu, log_var, z)) for z in noise])
        spread_mm.append(samples_mm.var(dim=0).sum(dim=2).sqrt())
        if "joints_2d" in model.decoders:
            relative_px = model.decode("joints_2d", mu).view(len(rows), -1, 2) * split.crop_px / 2
            # laid as the reference cuts a crop: the middle finger's MCP in its middle
            crop_uv_px.append(relative_px - relative_px[:, MIDDLE_MCP, None] + (split.crop_px - 1) / 2)
    joints_mm, spread_mm = torch.cat(joints_mm).numpy(), torch.cat(spread_mm).numpy()
    return Poses(joints_mm, spread_mm, torch.cat(crop_uv_px).numpy() if crop_uv_px else None)


def _decoded_mm(model: CrossModalVAE, split: Split, rows: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    return split.to_mm(rows, model.decode(TARGET, z).view(len(rows), -1, 3))


def pixels(poses: Poses, hand: int, box: HandBox, crop_px: int) -> np.ndarray:
    """Where the joints (J, 2) of a colour model's hand lie in its picture.

    By the 2D decoder if there is one. Else the 3D joints in a parallel projection, laid as the reference cuts a crop:
    the middle finger's MCP in its middle, the joint that is farthest from it on its border.
    """
    if poses.crop_uv_px is not None:
        return geometry.transform_px(poses.crop_uv_px[hand], np.linalg.inv(box.to_crop(crop_px)))
    relative_mm = poses.joints_mm[hand, :, :2] - poses.joints_mm[hand, MIDDLE_MCP, :2]
    middle_px = np.array([box.left_px, box.top_px]) + box.side_px / 2
    return middle_px + relative_mm * (box.side_px / 2 / np.abs(relative_mm).max())
