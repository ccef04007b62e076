import numpy as np
import pytest

from handvae import preprocess
from handvae.datasets import rhd
from handvae.datasets.sample import Sample
from handvae.errors import InputError
from handvae.geometry import project
from handvae.joints import LEFT, MIDDLE_MCP, ROOT

CROPS = preprocess.size(64, 1.5)
CAMERA = np.array([[300.0, 0.0, 160.0], [0.0, 300.0, 160.0], [0.0, 0.0, 1.0]])


def sample(seed=0, centre_mm=(0.0, 0.0), background=0):
    """A hand with a bright spot drawn on three joints, so that joints and pixels can be compared after cropping."""
    rng = np.random.default_rng(seed)
    joints = rng.uniform([-60, -60, 580], [60, 60, 620], (21, 3)) + [*centre_mm, 0]
    uv = project(joints, CAMERA)
    v, u = np.mgrid[:320, :320]
    spots = sum(np.exp(-((u - uv[j, 0]) ** 2 + (v - uv[j, 1]) ** 2) / (2 * 1.5**2)) for j in (4, 9, 20))
    image = np.repeat((background + 200 * spots.clip(0, 1))[..., None], 3, axis=2).astype(np.uint8)
    return Sample("made up", image, joints, uv, np.ones(21, bool), CAMERA, LEFT, "")


def test_context_crop_has_the_networks_crop_in_its_middle():
    assert preprocess.size(64, 1.5) == preprocess.Size(64, 96)
    for context in (1.0, 1.3, 1.61):
        crops = preprocess.size(64, context)
        assert (crops.context_px - crops.crop_px) % 2 == 0
        assert crops.context_px / 64 == pytest.approx(context, abs=1 / 64)


def test_joints_of_a_crop_are_where_its_camera_projects_them():
    hand = preprocess.crop_hand(sample(), CROPS)
    np.testing.assert_allclose(project(hand.joints_mm, hand.camera), hand.uv_px, atol=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_a_spot_on_a_joint_is_on_that_joint_in_the_crop(seed):
    hand = preprocess.crop_hand(sample(seed), CROPS)
    v, u = np.mgrid[: CROPS.context_px, : CROPS.context_px]
    for joint in (4, 9, 20):
        centre = hand.uv_px[joint]
        near = (abs(u - centre[0]) < 4) & (abs(v - centre[1]) < 4)
        weight = hand.image_u8[..., 0] * near
        found = np.array([(weight * u).sum(), (weight * v).sum()]) / weight.sum()
        if (np.delete(np.linalg.norm(hand.uv_px[[4, 9, 20]] - centre, axis=1), [4, 9, 20].index(joint)) > 12).all():
            assert np.linalg.norm(found - centre) < 0.35


def test_the_middle_mcp_is_the_centre_of_the_crop():
    hand = preprocess.crop_hand(sample(), CROPS)
    assert np.abs(hand.uv_px[MIDDLE_MCP] - CROPS.context_px / 2).max() < 1.0


def test_outside_the_image_the_crop_is_grey():
    hand = preprocess.crop_hand(sample(centre_mm=(-250.0, -250.0)), CROPS)
    assert (hand.image_u8[0, 0] == preprocess.GREY).all() and (hand.image_u8[-1, -1] == 0).all()


def test_without_a_zoom_the_pixels_are_copied():
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    shift = np.array([[1.0, 0, -7.0], [0, 1.0, -3.0], [0, 0, 1.0]])
    np.testing.assert_array_equal(preprocess.resample(image, shift, 20), image[3:23, 7:27])


def test_a_linear_ramp_stays_linear_under_zoom():
    image = np.repeat(np.tile(np.arange(0, 240, 2, dtype=np.uint8), (120, 1))[..., None], 3, axis=2)  # value 2 u
    for zoom in (0.5, 2.3):
        cut = preprocess.resample(image, np.array([[zoom, 0, -zoom * 30], [0, zoom, -zoom * 30], [0, 0, 1.0]]), 20)
        expected = 2 * (30 + np.arange(20) / zoom)
        assert np.abs(cut[10, :, 0].astype(float) - expected).max() <= 1.0


def test_real_photographs_are_cropped_in_order_with_joints_on_the_hand(real):
    hands = list(preprocess.rhd_hands(real / "photos", "evaluation", "dominant", [], CROPS))
    assert [hand.name for hand in hands] == [f"evaluation/{number:05d} left" for number in range(57)]
    for hand in hands:
        assert hand.side == LEFT
        projected = project(hand.joints_mm, hand.camera)
        np.testing.assert_allclose(projected[1:], hand.uv_px[1:], atol=0.05)
        # the reference takes the palm as a midpoint in pixels and in space; perspective parts the two a little
        np.testing.assert_allclose(projected[ROOT], hand.uv_px[ROOT], atol=1.5)


def write_set(root, visible):
    """Three frames; the right hand of frame 1 is visible or not."""
    xyz = np.random.default_rng(0).uniform([-0.05, -0.05, 0.5], [0.05, 0.05, 0.6], (3, 42, 3))
    uv = np.stack([project(joints, CAMERA / [[5], [5], [1]]) for joints in xyz])
    flags = np.ones((3, 42, 1))
    flags[:, :21] = 0
    flags[1, 21:] = visible
    for index in range(3):
        mask = np.full((64, 64), 20, np.uint8)
        rhd.write_frame(root / "training", index, np.zeros((64, 64, 3), np.uint8), mask, np.ones((64, 64)))
    rhd.write_annotations(
        root / "training", np.concatenate([uv, flags], axis=2), xyz, np.tile(CAMERA / [[5], [5], [1]], (3, 1, 1))
    )


def test_hands_without_a_visible_joint_are_refused_together_unless_they_are_listed(tmp_path):
    write_set(tmp_path, visible=0)
    with pytest.raises(InputError, match=r"found none in 1 frames: 1; if that is right, list them in data.rhd"):
        list(preprocess.rhd_hands(tmp_path, "training", "dominant", [], CROPS))
    hands = list(preprocess.rhd_hands(tmp_path, "training", "dominant", [1], CROPS))
    assert [bool(hand.visible.any()) for hand in hands] == [True, False, True]
    write_set(tmp_path, visible=1)
    assert len(list(preprocess.rhd_hands(tmp_path, "training", "dominant", [], CROPS))) == 3


def test_a_broken_image_stops_the_stream_and_is_named(tmp_path):
    write_set(tmp_path, visible=1)
    path = tmp_path / "training" / "color" / "00002.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=r"color/00002.png"):
        list(preprocess.rhd_hands(tmp_path, "training", "dominant", [], CROPS))
