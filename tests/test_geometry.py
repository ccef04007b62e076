import json

import numpy as np
import pytest

from handvae.base import geometry
from handvae.base.joints import MIDDLE_MCP, ROOT

RNG = np.random.default_rng(0)
CAMERA = np.array([[300.0, 0.0, 160.0], [0.0, 300.0, 150.0], [0.0, 0.0, 1.0]])


def random_joints_mm(count=1):
    return RNG.uniform([-100, -100, 500], [100, 100, 700], (count, 21, 3))


def test_projection_of_a_point_by_hand():
    assert geometry.project(np.array([[10.0, -20.0, 100.0]]), CAMERA).tolist() == [[190.0, 90.0]]


def test_projection_does_not_change_when_the_scene_is_scaled():
    joints = random_joints_mm()
    np.testing.assert_allclose(geometry.project(3.7 * joints, CAMERA), geometry.project(joints, CAMERA))


def test_palm_relative_pose_does_not_change_with_position_and_has_its_root_at_zero():
    joints = random_joints_mm(4)
    moved = geometry.palm_relative(joints + [30.0, -7.0, 250.0])
    np.testing.assert_allclose(moved, geometry.palm_relative(joints), atol=1e-10)
    assert not moved[:, ROOT].any()


def test_scale_bone_is_the_middle_mcp_to_pip_distance():
    joints = np.zeros((21, 3))
    joints[10] = [3.0, 4.0, 12.0]  # middle PIP in base-to-tip order; the MCP stays at 0
    assert geometry.scale_bone_mm(joints) == 13.0


def test_pose_over_scale_bone_does_not_change_with_the_hands_size():
    joints = random_joints_mm(3)
    normalised = [
        geometry.palm_relative(hands) / geometry.scale_bone_mm(hands)[:, None, None] for hands in (joints, 0.6 * joints)
    ]
    np.testing.assert_allclose(*normalised)


def test_the_reference_crop_of_the_real_stereo_frame(real):
    """datasets.md 7.1: the labels of frame 0 of STB B1Counting, left and right view."""
    scipy_io = pytest.importorskip("scipy.io")
    labels = scipy_io.loadmat(real / "stb/labels/B1Counting_BB.mat")["handPara"][:, :, 0].T  # (21, 3) mm, STB order
    camera = np.array([[822.79041, 0, 318.47345], [0, 822.79041, 250.31296], [0, 0, 1]])
    order = [0, 17, 18, 19, 20, 13, 14, 15, 16, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4]
    for shift_mm, u in [(0.0, 452.473), (120.054, 304.834)]:
        uv = geometry.project(labels - [shift_mm, 0, 0], camera)[order]
        wrist = uv[13] + 2 * (uv[0] - uv[13])  # the reference sizes STB's crop with a wrist made from palm and ring MCP
        uv[0] = wrist
        crop = geometry.reference_crop(uv, np.ones(21, bool), MIDDLE_MCP, (480, 640))
        np.testing.assert_allclose(crop.centre_px, (u, 277.702), atol=1e-3)
        np.testing.assert_allclose(crop.top_left_px, (u - 101, 176.702), atol=1e-3)
        assert crop.size_px == pytest.approx(203.755, abs=1e-3)
        assert 256 / crop.side_px == pytest.approx(1.25641, abs=1e-5)


@pytest.mark.parametrize(
    "image, centre, size, scale, top_left",
    [
        ("00111.png", (215, 131), 98, 2.6122, (166, 82)),
        ("01111.png", (205, 146), 90, 2.8444, None),
        ("11111.png", (186, 145), 70, 3.6571, None),
    ],
)
def test_the_reference_crops_of_the_real_rhd_images(real, image, centre, size, scale, top_left):
    """datasets.md 7.1; mmpose's pixels truncated to integers as hand3d's reader does, all joints visible."""
    tree = json.loads((real / "rhd/test_rhd.json").read_text())
    ids = {entry["file_name"].split("/")[-1]: entry["id"] for entry in tree["images"]}
    annotation = next(entry for entry in tree["annotations"] if entry["image_id"] == ids[image])
    uv = np.array(annotation["keypoints"]).reshape(21, 3)[:, :2].astype(int).astype(float)
    uv[0] = 0.5 * (uv[0] + uv[12])
    crop = geometry.reference_crop(uv, np.ones(21, bool), 12, (320, 320))  # tip-to-base order: 12 is the middle MCP
    assert tuple(crop.centre_px) == centre and crop.size_px == size
    assert 256 / crop.side_px == pytest.approx(scale, abs=1e-4)
    if top_left:
        assert tuple(crop.top_left_px) == top_left


def crop_of(offset_px, centre=(160.0, 160.0), visible=(0, 1)):
    uv = np.tile(np.asarray(centre, float), (21, 1))
    uv[1] += offset_px
    mask = np.zeros(21, bool)
    mask[list(visible)] = True
    return geometry.reference_crop(uv, mask, MIDDLE_MCP, (320, 320))


def test_crop_size_is_twice_the_largest_extent_between_its_limits():
    assert crop_of((40.0, -60.0)).size_px == 120.0
    assert crop_of((3.0, 0.0)).size_px == 50.0
    assert crop_of((140.0, 0.0)).size_px == 280.0
    assert crop_of((140.0, 0.0)).side_px == 256.0  # cut, not shrunk
    assert crop_of((3.0, 0.0)).side_px == 50.0


def test_crop_ignores_invisible_joints_and_the_part_of_the_hand_outside_the_image():
    assert crop_of((70.0, 0.0), visible=(0,)).size_px == 50.0
    assert crop_of((400.0, 0.0)).size_px == 320.0  # the joint at u = 560 counts as at the border, u = 320


def test_crop_without_a_visible_joint_has_the_references_size():
    assert crop_of((70.0, 0.0), visible=()).size_px == 200.0


def test_context_transform_puts_the_crops_corner_at_the_margin_and_keeps_the_projection():
    crop = geometry.Crop(np.array([100.0, 80.0]), 64.0, 64.0, np.array([68.0, 48.0]))
    transform = geometry.context_transform(crop, crop_px=128, context_px=192)
    np.testing.assert_allclose(geometry.transform_px(np.array([[68.0, 48.0]]), transform), [[32.0, 32.0]])
    np.testing.assert_allclose(geometry.transform_px(np.array([[132.0, 112.0]]), transform), [[160.0, 160.0]])
    joints = random_joints_mm()[0]
    moved = geometry.transform_px(geometry.project(joints, CAMERA), transform)
    np.testing.assert_allclose(moved, geometry.project(joints, transform @ CAMERA))


def curled_left_hand():
    """Palm to the camera, thumb at image left, fingertips bent towards the camera: a left hand."""
    joints = np.zeros((21, 3))
    for finger, x in enumerate((-60.0, -30.0, -10.0, 10.0, 30.0)):
        joints[1 + 4 * finger : 5 + 4 * finger] = [[x, -80.0 - 10 * k, -15.0 * k] for k in range(4)]
    return joints


def test_handedness_changes_sign_under_mirroring_only():
    left = curled_left_hand()
    assert geometry.handedness(left) < 0 < geometry.handedness(left * [-1, 1, 1])
    angle = 0.7
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    np.testing.assert_allclose(geometry.handedness(left @ turn.T), geometry.handedness(left))


def test_every_real_stb_label_is_a_left_hand(real):
    scipy_io = pytest.importorskip("scipy.io")
    labels = scipy_io.loadmat(real / "stb/labels/B1Counting_BB.mat")["handPara"].transpose(2, 1, 0)
    order = [0, 17, 18, 19, 20, 13, 14, 15, 16, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4]
    signs = geometry.handedness(labels[:, order])
    assert len(signs) == 1500 and (signs < 0).all()
