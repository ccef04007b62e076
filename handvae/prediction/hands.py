"""Hands in frames: boxes are looked for, crops of many frames predicted at once, and each hand told with what it is
from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from handvae.base import geometry
from handvae.base.errors import InputError
from handvae.base.joints import RIGHT, Skeleton
from handvae.model.checkpoints import Trained
from handvae.prediction import poses
from handvae.prediction.boxes import HandBox
from handvae.prediction.pictures import Frame
from handvae.preprocessing import depth_crops

Find = Callable[[Sequence[Frame]], list[list[HandBox]]]  # the boxes of each frame
NEAREST_PERCENT = 1.0  # of the measured pixels: the hand is taken for what is nearest to the camera


@dataclass(frozen=True)
class Hand:
    """A predicted hand, and what was taken for known."""

    skeleton: Skeleton
    joints_mm: np.ndarray  # (J, 3) relative to the palm; from depth in the camera's frame
    uv_px: np.ndarray  # (J, 2) in the picture
    spread_mm: np.ndarray  # (J,)
    box: HandBox | None  # None: from depth without one
    side: int | None  # None: not known, and the model does not ask for it
    assumed: dict[str, object]  # by name: where the side, the scale and the pixels are from


@dataclass(frozen=True)
class ColourPredictor:
    """Predicts the hands of RGB frames."""

    trained: Trained
    find: Find
    scale_bone_mm: float | None  # None: an adult's
    hand_side: int | None  # of every hand; None: as the box says

    def hands(self, frames: Sequence[Frame]) -> list[list[Hand]]:
        """The hands of each frame, as many as it has boxes.

        InputError where the model wants a side that neither box nor user tells.
        """
        boxes = [
            [self._with_side(box, frame) for box in of_frame]
            for frame, of_frame in zip(frames, self.find(frames), strict=True)
        ]
        flat = [(frame.image_u8, box) for frame, of_frame in zip(frames, boxes, strict=True) for box in of_frame]
        if not flat:
            return [[] for _ in frames]
        bone_mm = poses.ADULT_SCALE_BONE_MM if self.scale_bone_mm is None else self.scale_bone_mm
        predicted = poses.predict(self.trained, poses.colour_split(self.trained, *zip(*flat, strict=True), bone_mm))
        hands = (self._hand(predicted, number, box, bone_mm) for number, (_, box) in enumerate(flat))
        return [[next(hands) for _ in of_frame] for of_frame in boxes]

    def _with_side(self, box: HandBox, frame: Frame) -> HandBox:
        if self.hand_side is not None:
            return replace(box, hand_side=self.hand_side)
        if box.hand_side is None and self.trained.settings.experiment.hand_side_given:
            name = self.trained.settings.name
            raise InputError(
                f"{frame.name}: {name} must be told whether the hand is a left or a right one, {box.source} does not "
                "say it; give --side left or --side right"
            )
        return box

    def _hand(self, predicted: poses.Poses, number: int, box: HandBox, bone_mm: float) -> Hand:
        settings = self.trained.settings
        unit_mm, laid = settings.joint_unit_mm, "joints laid into the box by a parallel projection"
        scale = {"scale": f"learned from the training set (no division by the scale bone), unit {unit_mm} mm"}
        if unit_mm is None:
            whose = "an adult's mean; give --scale-bone-mm" if self.scale_bone_mm is None else "--scale-bone-mm"
            scale = {"scale_bone_mm": bone_mm, "scale_bone_from": whose}
        return Hand(
            settings.skeleton,
            predicted.joints_mm[number],
            poses.pixels(predicted, number, box, settings.crop_px),
            predicted.spread_mm[number],
            box,
            box.hand_side,
            {
                "side_from": box.source if self.hand_side is None else "--side",
                "side_used_by_model": settings.experiment.hand_side_given,
                **scale,
                "camera": "none",
                "pixels_from": laid if predicted.crop_uv_px is None else "2D decoder",
            },
        )


@dataclass(frozen=True)
class DepthPredictor:
    """Predicts the hand of a depth image (H, W) in mm."""

    trained: Trained
    camera: np.ndarray  # (3, 3)
    cube_mm: float
    hand_side: int | None
    find: Callable[[str, tuple[int, int]], HandBox | None]  # the box of an image by its name, height and width, if any

    def hand(self, name: str, depth_mm: np.ndarray) -> Hand:
        """InputError where nothing was measured, in the box if there is one, or the side must be told."""
        settings = self.trained.settings
        if self.hand_side is None and settings.experiment.hand_side_given:
            raise InputError(f"{name}: {settings.name} must be told the side; give --side left or --side right")
        box = self.find(name, depth_mm.shape)
        centre_mm = self._centre_mm(name, depth_mm, box)
        side = RIGHT if self.hand_side is None else self.hand_side
        split = poses.depth_split(self.trained, [depth_mm], [self.camera], [centre_mm], self.cube_mm, [side])
        predicted = poses.predict(self.trained, split)
        joints_mm = predicted.joints_mm[0]
        return Hand(
            settings.skeleton,
            joints_mm,
            geometry.project(joints_mm, self.camera),
            predicted.spread_mm[0],
            box,
            self.hand_side,
            {
                "side_from": "not known" if self.hand_side is None else "--side",
                "side_used_by_model": settings.experiment.hand_side_given,
                "cube_mm": self.cube_mm,
                "cube_centre_mm": [round(float(value), 2) for value in centre_mm],
                "camera": self.camera.tolist(),
                "pixels_from": "joints projected by the camera",
            },
        )

    def _centre_mm(self, name: str, depth_mm: np.ndarray, box: HandBox | None) -> np.ndarray:
        """The mass of what was measured in a cube around the nearest of it, in the box if there is one."""
        inside = depth_crops.measured(depth_mm)
        if box is not None:
            x0, y0, x1, y1 = (max(0, round(value)) for value in box.corners_px)
            window = np.zeros_like(inside)
            window[y0:y1, x0:x1] = True
            inside &= window
        v_px, u_px = np.nonzero(inside)
        if not len(v_px):
            where = "in the picture" if box is None else "in the box"
            low, high = depth_crops.NEAREST_MM, depth_crops.FARTHEST_MM
            raise InputError(f"{name}: expected a hand {low:g} to {high:g} mm away, found nothing measured {where}")
        z_mm = depth_mm[v_px, u_px]
        near = z_mm <= np.percentile(z_mm, NEAREST_PERCENT)
        uvd = np.array([u_px[near].mean(), v_px[near].mean(), z_mm[near].mean()])
        start_mm = geometry.back_project(uvd, self.camera)
        mass_mm = depth_crops.centre_of_mass_mm(depth_mm, self.camera, start_mm, self.cube_mm)
        return start_mm if mass_mm is None else mass_mm
