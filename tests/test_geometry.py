import json

import numpy as np
import pytest
import scipy.io

from handvae.base import geometry
from handvae.base.joints import MIDDLE_MCP

CAMERA = np.array([[300.0, 0.0, 160.0], [0.0, 300.0, 150.0], [0.0, 0.0, 1.0]])
FROM_STB = [0, 17, 18, 19, 20, 13, 14, 15, 16, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4]


def test_projection_of_a_point_by_hand():
    assert geometry.project(np.array([[10.0, -20.0, 100.0]]), CAMERA).tolist() == [[190.0, 90.0]]


def test_scale_bone_is_the_middle_mcp_to_pip_distance():
    joints = np.zeros((21, 3))
    joints[10] = [3.0, 4.0, 12.0]  # middle PIP in base-to-tip order; the MCP stays at 0
    assert geometry.scale_bone_mm(joints) == 13.0


@pytest.mark.parametrize(("shift_mm", "u"), [(0.0, 452.473), (120.054, 304.834)])
def test_the_reference_crop_of_the_real_stereo_frame(real, shift_mm, u):
    """datasets.md 7.1: frame 0 of STB B1Counting, left and right view."""
    labels_mm = scipy.io.loadmat(real / "stb/labels/B1Counting_BB.mat")["handPara"][:, FROM_STB, 0].T
    camera = np.array([[822.79041, 0, 318.47345], [0, 822.79041, 250.31296], [0, 0, 1]])
    uv = geometry.project(labels_mm - [shift_mm, 0, 0], camera)
    uv[0] = uv[13] + 2 * (uv[0] - uv[13])  # the reference sizes STB's crop with a wrist made from palm and ring MCP
    crop = geometry.reference_crop(uv, np.ones(21, bool), MIDDLE_MCP, (480, 640))
    np.testing.assert_allclose(crop.centre_px, (u, 277.702), atol=1e-3)
    np.testing.assert_allclose(crop.top_left_px, (u - 101, 176.702), atol=1e-3)
    assert crop.size_px == pytest.approx(203.755, abs=1e-3)
    assert 256 / crop.side_px == pytest.approx(1.25641, abs=1e-5)


@pytest.mark.parametrize(
    ("image", "centre", "size", "scale"),
    [
        ("00111.png", (215, 131), 98, 2.6122),
        ("01111.png", (205, 146), 90, 2.8444),
        ("11111.png", (186, 145), 70, 3.6571),
    ],
)
def test_the_reference_crops_of_the_real_rhd_images(real, image, centre, size, scale):
    """datasets.md 7.1; mmpose's pixels truncated to integers as hand3d's reader does, all joints visible."""
    tree = json.loads((real / "rhd/test_rhd.json").read_text())
    ids = {entry["file_name"].split("/")[-1]: entry["id"] for entry in tree["images"]}
    annotation = next(entry for entry in tree["annotations"] if entry["image_id"] == ids[image])
    uv = np.array(annotation["keypoints"]).reshape(21, 3)[:, :2].astype(int).astype(float)
    uv[0] = 0.5 * (uv[0] + uv[12])
    crop = geometry.reference_crop(uv, np.ones(21, bool), 12, (320, 320))  # tip-to-base order: 12 is the middle MCP
    assert tuple(crop.centre_px) == centre and crop.size_px == size
    assert 256 / crop.side_px == pytest.approx(scale, abs=1e-4)
    assert tuple(crop.top_left_px) == tuple(np.array(centre) - size // 2)


def crop_of(offset_px, visible=(0, 1)):
    """All joints at (160, 160) but one."""
    uv = np.full((21, 2), 160.0)
    uv[1] += offset_px
    return geometry.reference_crop(uv, np.isin(range(21), visible), MIDDLE_MCP, (320, 320))


def test_crop_size_is_twice_the_largest_extent_of_what_is_seen_between_its_limits():
    assert crop_of((40.0, -60.0)).size_px == 120.0
    assert crop_of((3.0, 0.0)).size_px == crop_of((3.0, 0.0)).side_px == 50.0
    assert crop_of((140.0, 0.0)).size_px == 280.0
    assert crop_of((140.0, 0.0)).side_px == 256.0  # cut, not shrunk
    assert crop_of((70.0, 0.0), visible=(0,)).size_px == 50.0
    assert crop_of((400.0, 0.0)).size_px == 320.0  # the joint at u = 560 counts as at the border, u = 320
    assert crop_of((70.0, 0.0), visible=()).size_px == 50.0  # the reference's, which never comes to its 200


def test_context_transform_puts_the_crops_corner_at_the_margin_and_keeps_the_projection():
    crop = geometry.Crop(np.array([100.0, 80.0]), 64.0, 64.0, np.array([68.0, 48.0]))
    transform = geometry.context_transform(crop, crop_px=128, context_px=192)
    corners = geometry.transform_px(np.array([[68.0, 48.0], [132.0, 112.0]]), transform)
    np.testing.assert_allclose(corners, [[32.0, 32.0], [160.0, 160.0]])
    joints = np.random.default_rng(0).uniform([-100, -100, 500], [100, 100, 700], (21, 3))
    moved = geometry.transform_px(geometry.project(joints, CAMERA), transform)
    np.testing.assert_allclose(moved, geometry.project(joints, transform @ CAMERA))


def test_handedness_changes_sign_under_mirroring_only():
    """Palm to the camera, thumb at image left, fingertips bent towards the camera: a left hand."""
    left = np.zeros((21, 3))
    for finger, x in enumerate((-60.0, -30.0, -10.0, 10.0, 30.0)):
        left[1 + 4 * finger : 5 + 4 * finger] = [[x, -80.0 - 10 * k, -15.0 * k] for k in range(4)]
    assert geometry.handedness(left) < 0 < geometry.handedness(left * [-1, 1, 1])
    cos, sin = np.cos(0.7), np.sin(0.7)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    np.testing.assert_allclose(geometry.handedness(left @ turn.T), geometry.handedness(left))
