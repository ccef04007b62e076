import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from handvae.base.errors import InputError
from handvae.base.geometry import project
from handvae.base.joints import LEFT, MIDDLE_MCP, ROOT
from handvae.datasets import stb
from handvae.datasets.sample import DepthSample, Sample
from handvae.preprocessing import preprocess, store
from stages.preprocess import has_published_test

CROPS = preprocess.size(64, 1.5)
CAMERA = np.array([[300.0, 0.0, 160.0], [0.0, 300.0, 160.0], [0.0, 0.0, 1.0]])


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """No workers: they have tests of their own, and take seconds to start."""
    monkeypatch.setattr(preprocess.workers, "in_order", lambda function, items, processes: map(function, items))
    monkeypatch.setattr(preprocess, "_keep_freed_memory", lambda: None)


def labels(joints, number):
    uv = project(joints, CAMERA)
    names = {"subject": "P1", "sequence": "TIP", "frame": number, "moment": f"TIP/{number}", "trainable": number != 3}
    return {"joints_mm": joints, "uv_px": uv, "camera": CAMERA, "side": LEFT, "name": f"hand {number}", **names}


def sample(seed=0, centre_mm=(0.0, 0.0)):
    """A hand with a bright spot drawn on three joints, so that joints and pixels can be compared after cropping."""
    rng = np.random.default_rng(seed)
    common = labels(rng.uniform([-60, -60, 580], [60, 60, 620], (21, 3)) + [*centre_mm, 0], seed)
    uv = common["uv_px"]
    v, u = np.mgrid[:320, :320]
    spots = sum(np.exp(-((u - uv[j, 0]) ** 2 + (v - uv[j, 1]) ** 2) / (2 * 1.5**2)) for j in (4, 9, 20))
    image_u8 = np.repeat((200 * spots.clip(0, 1))[..., None], 3, axis=2).astype(np.uint8)
    return Sample(image_u8=image_u8, image_hw=(320, 320), visible=np.ones(21, bool), sizing_uv_px=uv, **common)


def depth_sample(number=0, measured=True):
    """A hand of 16 joints in a plane at 400 mm, 80 mm wide, 30 mm to the right of its joint 2."""
    joints = np.random.default_rng(number).uniform([-60, -60, 380], [60, 60, 420], (16, 3))
    depth_mm = np.zeros((320, 320), np.float32)
    if measured:
        joints[2] = (-30, 0, 400)
        depth_mm[130:191, 130:191] = 400  # 300 px a radian: 0.75 px a mm
    return DepthSample(depth_mm=depth_mm, cube_mm=200.0, centre_joint=2, **labels(joints, number))


@pytest.mark.parametrize("seed", range(3))
def test_joints_of_a_crop_are_where_its_camera_projects_them_and_its_pixels_show_them(seed):
    hand = preprocess.crop_hand(sample(seed), CROPS)
    np.testing.assert_allclose(project(hand["joints_mm"], hand["camera"]), hand["uv_px"], atol=1e-3)
    assert np.abs(hand["uv_px"][MIDDLE_MCP] - CROPS.context_px / 2).max() < 1.0
    v, u = np.mgrid[: CROPS.context_px, : CROPS.context_px]
    spots = hand["uv_px"][[4, 9, 20]]
    for spot in spots:
        weight = hand["image_u8"][..., 0] * ((abs(u - spot[0]) < 4) & (abs(v - spot[1]) < 4))
        middle = np.array([(weight * u).sum(), (weight * v).sum()]) / weight.sum()
        if np.sort(np.linalg.norm(spots - spot, axis=1))[1] > 12:  # no other spot is near
            assert np.linalg.norm(middle - spot) < 0.35


def test_outside_the_image_the_crop_is_grey():
    hand = preprocess.crop_hand(sample(centre_mm=(-250.0, -250.0)), CROPS)
    assert (hand["image_u8"][0, 0] == preprocess.GREY).all() and (hand["image_u8"][-1, -1] == 0).all()


def test_a_linear_ramp_stays_linear_under_zoom():
    image = np.repeat(np.tile(np.arange(0, 240, 2, dtype=np.uint8), (120, 1))[..., None], 3, axis=2)  # value 2 u
    for zoom in (0.5, 1.0, 2.3):
        cut = preprocess.resample(image, np.array([[zoom, 0, -zoom * 30], [0, zoom, -zoom * 30], [0, 0, 1.0]]), 20)
        assert np.abs(cut[10, :, 0].astype(float) - 2 * (30 + np.arange(20) / zoom)).max() <= 1.0


def test_the_crop_is_sized_by_the_pixels_that_the_protocol_names():
    near = sample()
    wide_uv = near.uv_px.copy()
    wide_uv[ROOT] = near.uv_px[MIDDLE_MCP] + [0, 60]
    wide = preprocess.crop_hand(dataclasses.replace(near, sizing_uv_px=wide_uv), CROPS)
    assert wide["camera"][0, 0] / CAMERA[0, 0] == pytest.approx(CROPS.crop_px / 120)  # twice the 60 px
    np.testing.assert_allclose(project(wide["joints_mm"], wide["camera"]), wide["uv_px"], atol=1e-3)


def test_a_depth_crop_is_centred_on_its_joint_or_on_the_mass_around_it():
    joint, joint_seen = preprocess.crop_depth_hand(depth_sample(), CROPS, "joint")
    mass, mass_seen = preprocess.crop_depth_hand(depth_sample(), CROPS, "mass")
    np.testing.assert_allclose(joint["centre_mm"], (-30, 0, 400))
    np.testing.assert_allclose(mass["centre_mm"], (0, 0, 400), atol=1e-4)
    assert joint_seen and mass_seen and joint["trainable"] and mass["trainable"]
    for hand in (joint, mass):
        np.testing.assert_allclose(project(hand["joints_mm"], hand["camera"]), hand["uv_px"], atol=1e-3)
        np.testing.assert_allclose(project(hand["centre_mm"], hand["camera"]), (47.5, 47.5), atol=1e-4)
        # 61 px of the plane, 1 px is 4/3 mm, 200 mm are 64 px of the crop
        assert (hand["depth_f16"] == 0).sum() == pytest.approx((61 * 4 / 3 / 200 * 64) ** 2, rel=0.1)
        assert set(np.unique(hand["depth_f16"])) == {0, 1}


@pytest.mark.parametrize("centre", ["joint", "mass"])
def test_where_nothing_was_measured_the_joint_is_the_centre_and_nothing_is_learned(tmp_path, capsys, centre):
    def read(number):
        return [depth_sample(number, measured=number not in (3, 20, 21, 22, 23, 24))]

    store.write(tmp_path / "set.h5", {"P1": preprocess.hands(range(40), read, CROPS, "msra P1", centre)}, {})
    columns = store.read(tmp_path / "set.h5", ["P1"], ["name", "trainable", "cube_mm", "centre_mm", "depth_f16"])
    assert columns["name"].tolist() == [f"hand {number}" for number in range(40)]
    assert np.flatnonzero(~columns["trainable"]).tolist() == [3, 20, 21, 22, 23, 24]
    np.testing.assert_allclose(columns["centre_mm"][20], depth_sample(20, measured=False).joints_mm[2], rtol=1e-6)
    assert (columns["depth_f16"][20] == 1).all() and (columns["cube_mm"] == 200).all()
    assert capsys.readouterr().out == (
        "msra P1: nothing was measured in the cube around the joint of 6 hands, which are tested on but not trained "
        "on: hand 3, hand 20, hand 21, hand 22, hand 23, ...\n"
    )


def test_frames_may_show_two_hands_or_none_and_those_without_are_named(capsys):
    def read(number):
        again = dataclasses.replace(depth_sample(number), name=f"hand {number} again")
        return [] if number in (2, 18) else [depth_sample(number), again]

    rows = preprocess.hands(range(20), read, CROPS, "made up")
    with_hands = [number for number in range(20) if number not in (2, 18)]
    assert [row["name"] for row in rows] == [f"hand {number}{more}" for number in with_hands for more in ("", " again")]
    assert capsys.readouterr().out == "made up: no joint of any hand is visible in 2 images, left out: 2, 18\n"


def test_hands_without_a_visible_joint_are_refused_together_unless_they_are_listed(capsys):
    visible = np.ones((4, 21), bool)
    visible[2] = False
    hidden = preprocess.without_visible_joint({"frame": np.array([5, 6, 9, 12]), "visible": visible})
    assert hidden == [9]
    preprocess.check_visible({"training": hidden}, {"training": [9, 10]}, "here")
    assert capsys.readouterr().out == "training: no joint of 1 hands is visible, which the protocol allows: 9\n"
    without_joint, allowed = {"training": [1, 2], "evaluation": [1, 4]}, {"training": [2], "evaluation": []}
    refusal = (
        r"^here: expected a visible .* found none in frames of training 1; evaluation 1, 4; "
        r"if that is right, list them in data\.rhd\.protocol\.without_visible_joint$"
    )
    with pytest.raises(InputError, match=refusal):
        preprocess.check_visible(without_joint, allowed, "here")


def test_a_test_split_is_the_published_one_by_its_sequences_and_not_by_its_size_alone():
    def chosen(*sequences):
        return {"test": [SimpleNamespace(sequence=name) for name in sequences for _ in range(3000)]}

    published, others = chosen("B1Counting", "B1Random"), chosen("B2Counting", "B2Random")
    assert has_published_test(stb, published, published) and not has_published_test(stb, others, others)
    assert not has_published_test(stb, {"test": published["test"][:-1]}, published)
