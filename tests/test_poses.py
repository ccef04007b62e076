"""Poses by `stages.predict`'s path: with the true boxes those of the evaluation, and what is known of their pixels."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from handvae.base import geometry
from handvae.base.errors import InputError
from handvae.base.joints import LEFT, MIDDLE_MCP, RIGHT
from handvae.datasets.sample import Sample
from handvae.detection import frames
from handvae.evaluation.predict import predict_joints_mm
from handvae.model import batches
from handvae.model.checkpoints import Trained
from handvae.model.parts import whole
from handvae.model.vae import CrossModalVAE
from handvae.prediction import boxes, poses
from handvae.prediction.boxes import HandBox
from handvae.preprocessing import preprocess, store
from tests.test_training import CPU, settings

ATTRIBUTES = {"dataset": "rhd", "skeleton": "HAND21", "source": "", "synthetic": True, "published": False}
BOX = HandBox(40.0, 20.0, 128.0, LEFT)


def fresh(name: str) -> Trained:
    """An untrained model of the grid, its BatchNorm statistics as after some training."""
    chosen = settings(name)
    model = CrossModalVAE(chosen.architecture, 0)
    generator = torch.Generator().manual_seed(1)
    for key, value in model.state_dict().items():
        if key.endswith("running_var"):
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return Trained(model.eval(), chosen, "digest")


def samples(count: int) -> list[Sample]:
    """Hands in pictures of noise, at real-valued pixels, some partly outside."""
    random = np.random.default_rng(0)
    camera = np.array([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]])
    result = []
    for number in range(count):
        joints_mm = random.normal(0, 40, (21, 3)) + [random.uniform(-120, 120), random.uniform(-90, 90), 500]
        uv_px = geometry.project(joints_mm, camera)
        labels = dict(subject="", sequence="", frame=number, moment=str(number), trainable=True, sizing_uv_px=uv_px)
        labels |= dict(name=str(number), joints_mm=joints_mm, uv_px=uv_px, camera=camera, side=number % 2)
        image_u8 = random.integers(0, 256, (240, 320, 3), np.uint8)
        result.append(Sample(**labels, image_u8=image_u8, image_hw=(240, 320), visible=np.ones(21, bool)))
    return result


@pytest.mark.parametrize("name", ["rhd-rgb-v1", "rhd-rgb-v1-th"])
def test_with_the_true_boxes_the_joints_are_the_evaluations(name, tmp_path):
    trained, hands = fresh(name), samples(12)
    crops = preprocess.size(trained.settings.crop_px, 1.5)
    rows = [preprocess.crop_hand(hand, crops) for hand in hands]
    store.write(tmp_path / "rhd.h5", {"test": rows}, ATTRIBUTES | vars(crops))
    split = batches.load_split([whole(tmp_path / "rhd.h5", ["test"])], True, trained.settings.joint_unit_mm, CPU)
    evaluated_mm = predict_joints_mm(trained.model, "rgb", split)

    def predicted(shift_px: float) -> poses.Poses:
        squares = []
        for hand in hands:
            crop = frames.hand_square(hand)
            corners_px = (*crop.top_left_px, *(crop.top_left_px + crop.side_px))
            square = boxes.square(corners_px, hand.image_hw, "", hand_side=hand.side)
            squares.append(replace(square, left_px=square.left_px + shift_px))
        bone_mm = np.array([geometry.scale_bone_mm(hand.joints_mm) for hand in hands])
        return poses.predict(trained, poses.colour_split(trained, [hand.image_u8 for hand in hands], squares, bone_mm))

    exact = predicted(0)
    assert np.abs(exact.joints_mm - evaluated_mm).max() < 1e-3
    assert (exact.spread_mm > 0).all() and exact.crop_uv_px is None
    assert np.abs(predicted(1).joints_mm - evaluated_mm).max() > 0.01  # negative control


def test_pixels_of_a_parallel_projection_fill_the_box_and_keep_the_shape():
    joints_mm = samples(1)[0].joints_mm[None]
    uv_px = poses.pixels(poses.Poses(joints_mm, joints_mm[..., 0], None), 0, HandBox(40.0, 20.0, 100.0), 64)
    assert np.allclose(uv_px[MIDDLE_MCP], (90, 70))
    assert np.abs(uv_px - (90, 70)).max() == pytest.approx(50)
    ratio = (uv_px[1:] - uv_px[0]) / (joints_mm[0, 1:, :2] - joints_mm[0, 0, :2])
    assert np.allclose(ratio, ratio[0, 0])


def test_pixels_of_the_2d_decoder_lie_in_the_box_as_they_do_in_the_crop():
    trained, crop_px = fresh("stb-cross"), fresh("stb-cross").settings.crop_px
    predicted = poses.predict(trained, poses.colour_split(trained, [samples(1)[0].image_u8], [BOX], 44.6))
    in_crop = geometry.transform_px(poses.pixels(predicted, 0, BOX, crop_px), BOX.to_crop(crop_px))
    assert np.allclose(in_crop, predicted.crop_uv_px[0])
    assert np.allclose(in_crop[MIDDLE_MCP], (crop_px - 1) / 2)


@pytest.mark.parametrize(("name", "matters"), [("rhd-rgb-v1", True), ("rhd-rgb-v1-ts", False)])
def test_a_side_matters_only_where_the_model_is_told_it(name, matters):
    trained, of_sides = fresh(name), [BOX, replace(BOX, hand_side=RIGHT)]
    split = poses.colour_split(trained, [samples(1)[0].image_u8] * 2, of_sides, 44.6)
    left_mm, right_mm = poses.predict(trained, split).joints_mm
    assert (np.abs(left_mm - right_mm).max() > 1e-3) == matters


@pytest.mark.parametrize(
    ("name", "wanted", "reason"),
    [
        ("rhd-rgb-v1", "rgb", None),
        ("stb-cross", "rgb", None),
        ("icvl-resnet18", "depth", None),
        ("stb-separate", "rgb", "stb-separate was not trained from rgb to 3D joints; name another --model"),
        ("rhd-2d-v1", "rgb", "takes 2D joints, expected a model that takes pictures"),
        ("icvl-resnet18", "rgb", "takes depth pictures, asked for rgb; name another --model, or give its --camera"),
        ("rhd-rgb-v1", "depth", "or leave --camera out"),
        ("rhd-rgb-zb17", "rgb", "is the rival [38]"),
    ],
)
def test_a_model_that_does_not_say_3d_joints_of_such_pictures_is_refused(name, wanted, reason):
    trained = Trained(None, settings(name), "digest")
    if reason is None:
        poses.check_input(trained, wanted, "hand.jpg")
        return
    with pytest.raises(InputError, match=f"^hand.jpg: .*{re.escape(reason)}"):
        poses.check_input(trained, wanted, "hand.jpg")
