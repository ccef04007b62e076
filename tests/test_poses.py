"""Poses by `stages.predict`'s path: with the true boxes those of the evaluation, and what is known of their pixels."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handvae.base import geometry
from handvae.base.errors import InputError
from handvae.base.joints import LEFT, MIDDLE_MCP, RIGHT
from handvae.datasets.sample import Sample
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


def fresh(name: str, **changes) -> Trained:
    """An untrained model of the grid, its BatchNorm statistics as after some training."""
    chosen = settings(name, **changes)
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
    path, facts = tmp_path / "rhd.h5", ATTRIBUTES | {"crop_px": crops.crop_px, "context_px": crops.context_px}
    store.write(path, {"test": [preprocess.crop_hand(hand, crops) for hand in hands]}, facts)
    split = batches.load_split([whole(path, ["test"])], True, trained.settings.joint_unit_mm, CPU)
    evaluated_mm = predict_joints_mm(trained.model, "rgb", split)
    squares = []
    for hand in hands:
        crop = geometry.reference_crop(hand.sizing_uv_px, hand.visible, MIDDLE_MCP, hand.image_hw)
        corners = (*crop.top_left_px, *(crop.top_left_px + crop.side_px))
        squares.append(boxes.square(corners, hand.image_hw, "", hand_side=hand.side, confidence=None, source=""))
    bone_mm = np.array([geometry.scale_bone_mm(hand.joints_mm) for hand in hands])
    pictures = [hand.image_u8 for hand in hands]
    predicted = poses.predict(trained, poses.colour_split(trained, pictures, squares, bone_mm))
    assert np.abs(predicted.joints_mm - evaluated_mm).max() < 1e-3
    moved = [replace(square, left_px=square.left_px + 1) for square in squares]  # negative control
    other = poses.predict(trained, poses.colour_split(trained, pictures, moved, bone_mm))
    assert np.abs(other.joints_mm - evaluated_mm).max() > 0.01
    assert (predicted.spread_mm > 0).all() and predicted.crop_uv_px is None


def test_pixels_of_a_parallel_projection_fill_the_box_and_keep_the_shape():
    joints_mm = samples(1)[0].joints_mm[None]
    box = HandBox(40.0, 20.0, 100.0, RIGHT, None, "")
    uv_px = poses.pixels(poses.Poses(joints_mm, joints_mm[..., 0], None), 0, box, 64)
    assert np.allclose(uv_px[MIDDLE_MCP], (90, 70))
    assert np.abs(uv_px - (90, 70)).max() == pytest.approx(50)
    ratio = (uv_px[1:] - uv_px[0]) / (joints_mm[0, 1:, :2] - joints_mm[0, 0, :2])
    assert np.allclose(ratio, ratio[0, 0])


def test_pixels_of_the_2d_decoder_lie_in_the_box_as_they_do_in_the_crop():
    trained = fresh("stb-cross")
    picture, box = samples(1)[0].image_u8, HandBox(40.0, 20.0, 128.0, LEFT, None, "")
    predicted = poses.predict(trained, poses.colour_split(trained, [picture], [box], 44.6))
    uv_px = poses.pixels(predicted, 0, box, trained.settings.crop_px)
    in_crop = geometry.transform_px(uv_px, box.to_crop(trained.settings.crop_px))
    assert np.allclose(in_crop, predicted.crop_uv_px[0])
    assert np.allclose(in_crop[MIDDLE_MCP], (trained.settings.crop_px - 1) / 2)


def test_a_side_matters_only_where_the_model_is_told_it():
    picture = samples(1)[0].image_u8
    for name, matters in (("rhd-rgb-v1", True), ("rhd-rgb-v1-ts", False)):
        trained = fresh(name)
        of_sides = [HandBox(40.0, 20.0, 128.0, side, None, "") for side in (LEFT, RIGHT)]
        joints_mm = poses.predict(trained, poses.colour_split(trained, [picture] * 2, of_sides, 44.6)).joints_mm
        assert (np.abs(joints_mm[0] - joints_mm[1]).max() > 1e-3) == matters


@pytest.mark.parametrize(
    ("name", "wanted", "said"),
    [
        ("rhd-2d-v3", "rgb", "takes 2D joints"),
        ("icvl-resnet18", "rgb", "give its --camera"),
        ("rhd-rgb-v1", "depth", "leave --camera out"),
    ],
)
def test_a_model_of_another_modality_is_refused(name, wanted, said):
    with pytest.raises(InputError, match=said):
        poses.check_input(fresh(name), wanted, "hand.jpg")
