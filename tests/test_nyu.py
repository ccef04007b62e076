from pathlib import Path

import numpy as np
import pytest
import scipy.io

from handvae.base import geometry
from handvae.base.joints import NYU36, NYU_EVALUATED, NYU_PALM, RIGHT
from handvae.datasets import nyu, png
from handvae.preprocessing import store
from handvae.preprocessing.preprocess import crop_depth_hand, size
from tests.damage import refusal

COUNTS = {"train": 3, "test": 4}


def joints_mm(count: int, seed: int = 0) -> np.ndarray:
    """(3 views, count, 36, 3), y down."""
    return np.random.default_rng(seed).uniform([-60, -60, 700], [60, 60, 800], (3, count, 36, 3))


def image(seed: int) -> np.ndarray:
    depth_mm = np.zeros(nyu.IMAGE_HW, np.float32)
    depth_mm[200:240, 300:360] = np.random.default_rng(seed).integers(0, 2500, (40, 60))
    return depth_mm


@pytest.fixture
def small(tmp_path) -> Path:
    root = tmp_path / "dataset"
    for number, (split, count) in enumerate(COUNTS.items()):
        nyu.write_labels(root, split, joints_mm(count, number))
        for index in range(1, count + 1):
            nyu.write_image(nyu.image_path(root, split, "depth", index), image(index))
    return root


def test_what_is_written_is_read_back_the_same(small):
    groups = nyu.frames(small)
    assert {split: len(frames) for split, frames in groups.items()} == COUNTS
    for number, frame in enumerate(groups["train"]):
        (sample,) = nyu.read(frame)
        np.testing.assert_allclose(sample.joints_mm, joints_mm(3)[0, number], rtol=1e-15)
        np.testing.assert_array_equal(sample.depth_mm, image(number + 1))
        np.testing.assert_allclose(geometry.project(sample.joints_mm, sample.camera), sample.uv_px)
        assert (sample.name, sample.side, sample.centre_joint) == (f"train/{number + 1:07d}", RIGHT, NYU_PALM)


def test_scipy_reads_the_labels_in_nyus_own_frame(small):
    raw = scipy.io.loadmat(small / "train/joint_data.mat")
    assert raw["joint_xyz"].shape == raw["joint_uvd"].shape == (3, 3, 36, 3)
    assert raw["joint_names"].shape == (36, 1) and raw["joint_names"][32, 0][0] == "palm_3"
    written = joints_mm(3)
    np.testing.assert_allclose(raw["joint_xyz"], written * [1, -1, 1])  # y up
    x, y, z = raw["joint_xyz"][2, 1, 7]
    u, v, d = raw["joint_uvd"][2, 1, 7]
    np.testing.assert_allclose([u, v, d], [588.036865 * x / z + 320, 240 - 587.075073 * y / z, z])


def test_depth_is_g_high_and_b_low(tmp_path):
    depth_mm = np.zeros(nyu.IMAGE_HW, np.float32)
    depth_mm[3, 5] = 1234
    nyu.write_image(tmp_path / "depth_1_0000001.png", depth_mm)
    rgb_u8 = png.read_rgb_u8(tmp_path / "depth_1_0000001.png")
    assert rgb_u8[3, 5].tolist() == [0, 4, 210]
    rgb_u8[..., 0] = 77  # R says nothing
    png.write(tmp_path / "depth_1_0000001.png", rgb_u8)
    np.testing.assert_array_equal(nyu.read_depth_mm(tmp_path / "depth_1_0000001.png"), depth_mm)


def test_the_fourteen_evaluated_joints_are_those_of_the_literature():
    names = [NYU36[joint] for joint in NYU_EVALUATED]
    fingers = [f"{finger}_{joint}" for finger in ("little", "ring", "middle", "index") for joint in ("tip", "pip")]
    assert names == [*fingers, "thumb_tip", "thumb_dip", "thumb_pip", "wrist_side_1", "wrist_side_2", "palm_3"]


def test_the_second_test_subject_comes_after_2440_frames_and_has_the_smaller_cube(small):
    assert nyu.first_subject_frames("test", 8252) == 2440 and nyu.first_subject_frames("train", 72757) == 72757
    cubes = {split: [nyu.read(frame)[0].cube_mm for frame in frames] for split, frames in nyu.frames(small).items()}
    assert cubes == {"train": [300.0] * 3, "test": [300.0] + [250.0] * 3}


def test_the_root_is_found_and_missing_labels_are_named(small):
    assert nyu.find(small) == nyu.find(small.parent) == small
    (small / "test/joint_data.mat").unlink()
    assert "joint_data.mat: expected NYU's labels, found no file" in refusal(nyu.inspect, small)
    (small / "test/depth_1_0000001.png").unlink()
    assert "expected NYU's train/joint_data.mat and test/joint_data.mat" in refusal(nyu.find, small)


def test_counts_of_labels_and_images_must_agree(small, monkeypatch):
    facts = nyu.inspect(small)
    assert not facts["published"] and {split: facts["splits"][split]["frames"] for split in COUNTS} == COUNTS
    monkeypatch.setattr(nyu, "PUBLISHED_FRAMES", COUNTS)
    assert nyu.inspect(small)["published"]
    nyu.write_image(nyu.image_path(small, "train", "depth", 4), image(4))
    assert "expected 3 images as joint_data.mat has labels, found more" in refusal(nyu.inspect, small)
    nyu.image_path(small, "train", "depth", 2).unlink()
    assert "depth_1_0000002.png: expected the image of a label, found no file" in refusal(nyu.inspect, small)


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"joint_uvd": np.ones(1)}, "numbers joint_uvd, found double of shape (1, 1)"),
        ({"joint_xyz": np.ones((3, 3, 35, 3))}, "expected joint_xyz of 3 x N x 36 x 3, found 3 x 35 x 3 in view 1"),
        ({"joint_xyz": joints_mm(3)}, "expected joint_xyz to project to joint_uvd within 1 px"),  # y down
        ({"joint_xyz": joints_mm(3) * [1, -1, -1]}, "expected joints in front of the camera"),
    ],
)
def test_labels_that_cannot_be_are_refused(small, changes, expected):
    path = small / "train/joint_data.mat"
    written = scipy.io.loadmat(path)
    scipy.io.savemat(path, {key: written[key] for key in ("joint_uvd", "joint_xyz")} | changes)
    message = refusal(nyu.inspect, small)
    assert expected in message and "joint_data.mat" in message


def test_an_image_of_another_size_is_refused(small):
    frame = nyu.frames(small)["train"][0]
    png.write(frame.image, np.zeros((240, 320, 3), np.uint8))
    assert "depth_1_0000001.png: expected 640x480 px, found 320x240" in refusal(nyu.read, frame)


def test_a_split_of_one_frame_is_stored(tmp_path):
    for split in COUNTS:
        nyu.write_labels(tmp_path, split, joints_mm(1))
        nyu.write_image(nyu.image_path(tmp_path, split, "depth", 1), np.full(nyu.IMAGE_HW, 750))
    (frame,) = nyu.frames(tmp_path)["test"]
    row, _ = crop_depth_hand(nyu.read(frame)[0], size(64, 1.5), "joint")
    assert store.write(tmp_path / "nyu.h5", {"test": [row]}, {}) == {"test": 1}
