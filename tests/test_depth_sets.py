from pathlib import Path

import numpy as np
import pytest

from handvae.base import geometry
from handvae.datasets import icvl, msra, nyu
from handvae.synthetic import depth_sets
from handvae.synthetic.generate import generate

SIZES = {"icvl": {"training": 24, "evaluation": 8}, "nyu": {"training": 8, "evaluation": 12}, "msra": {"gesture": 1}}
SETS = {"icvl": icvl, "nyu": nyu, "msra": msra}
FLESH_MM = 30.0  # from a joint to the surface before it, at most about a thumb's or palm's thickness


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("depth")
    for name, sizes in SIZES.items():
        generate(name, folder / name, sizes, seed=3, processes=2)
    return {name: folder / name for name in SIZES}


def samples(roots, name: str) -> list:
    frames = SETS[name].frames_with_images(roots[name])
    return [sample for frame in frames[:: max(1, len(frames) // 40)] for sample in SETS[name].read(frame)]


@pytest.mark.parametrize("name", SIZES)
def test_what_is_measured_at_a_joint_is_flesh_before_it_or_something_nearer(roots, name):
    """Joints lie inside the hand: never nearer than what is measured there, and mostly a finger's thickness behind."""
    gaps_mm = []
    for sample in samples(roots, name):
        u, v = sample.uv_px.round().astype(int).T
        inside = (u >= 0) & (v >= 0) & (u < sample.depth_mm.shape[1]) & (v < sample.depth_mm.shape[0])
        measured = np.zeros(len(u))
        measured[inside] = sample.depth_mm[v[inside], u[inside]]
        gaps_mm.append((sample.joints_mm[:, 2] - measured)[measured > 0])
    gaps_mm = np.concatenate(gaps_mm)
    assert len(gaps_mm) > 200
    assert np.median(gaps_mm) > 3 and np.mean(gaps_mm < -8) < 0.03, (np.median(gaps_mm), np.mean(gaps_mm < -8))
    assert np.mean(gaps_mm < FLESH_MM) > 0.6


@pytest.mark.parametrize("name", SIZES)
def test_hands_have_the_side_that_the_set_says(roots, name):
    hands = SETS[name].labelled_hands(roots[name])
    bent = geometry.handedness(hands.joints_mm, hands.skeleton) * np.where(hands.side == 0, -1, 1)
    bent = bent[np.abs(bent) > 0.35]  # of flat hands the test says nothing
    assert len(bent) > 5 and (bent > 0).mean() > 0.97


def test_icvl_and_nyu_have_background_and_holes_and_msra_only_the_hand(roots):
    for name, least_background in (("icvl", 0.1), ("nyu", 0.5)):
        for sample in samples(roots, name)[:5]:
            behind = sample.depth_mm > sample.joints_mm[:, 2].max() + 100
            assert behind.mean() > least_background and (sample.depth_mm == 0).mean() > 1e-4
    for sample in samples(roots, "msra")[:5]:
        assert 0.005 < (sample.depth_mm > 0).mean() < 0.4
        assert not (sample.depth_mm > sample.joints_mm[:, 2].max() + 120).any()


def test_msras_arm_ends_near_the_wrist(roots):
    """No measured point lies far beyond the wrist, seen from the fingers."""
    for sample in samples(roots, "msra"):
        v, u = np.nonzero(sample.depth_mm)
        points_mm = geometry.back_project(np.stack([u, v, sample.depth_mm[v, u]], axis=1).astype(float), msra.CAMERA)
        wrist_mm, middle_mm = sample.joints_mm[0], sample.joints_mm[9]
        along = (middle_mm - wrist_mm) / np.linalg.norm(middle_mm - wrist_mm)
        assert ((points_mm - wrist_mm) @ along).min() > -1000 * depth_sets.ARM_M - 15


def test_icvls_turned_copies_show_their_joints_on_the_same_depth(roots):
    found = icvl.frames(roots["icvl"], rotated_copies=True)["train"]
    upright = {frame.path: icvl.read(frame)[0] for frame in found if frame.path.count("/") == 1}
    turned = [frame for frame in found if frame.path.count("/") == 2]
    assert len(turned) == 2 * len(upright) == 48
    same = []
    for frame in turned:
        (sample,), original = icvl.read(frame), upright[frame.path.partition("/")[2]]
        np.testing.assert_allclose(sample.joints_mm[:, 2], original.joints_mm[:, 2], atol=1e-5)
        for joint in range(16):
            seen = [
                s.depth_mm[tuple(s.uv_px[joint].round().astype(int)[::-1])]
                for s in (sample, original)
                if (s.uv_px[joint] >= 0).all() and (s.uv_px[joint] < [319.5, 239.5]).all()
            ]
            same += [abs(seen[0] - seen[1]) < 15] if len(seen) == 2 else []
    assert np.mean(same) > 0.85


def test_subjects_have_hands_of_their_own(roots):
    hands = msra.labelled_hands(roots["msra"])
    bones_mm = np.linalg.norm(hands.joints_mm[:, 10] - hands.joints_mm[:, 9], axis=1)
    means_mm = [bones_mm[hands.subject == subject].mean() for subject in msra.SUBJECTS]
    assert all(bones_mm[hands.subject == subject].std() < 1e-3 for subject in msra.SUBJECTS)
    groups = [np.mean(means_mm[0:3]), np.mean(means_mm[3:6]), means_mm[6], means_mm[7], means_mm[8]]
    assert groups == sorted(groups, reverse=True)
    hands = nyu.labelled_hands(roots["nyu"])
    widths_mm = np.linalg.norm(hands.joints_mm[:, 30] - hands.joints_mm[:, 31], axis=1)
    first, second = (widths_mm[hands.subject == f"subject {number}"] for number in (1, 2))
    assert second.mean() / first.mean() == pytest.approx(29.9 / 35.32, abs=0.03)  # as in the real test labels


def test_nyus_views_turn_the_hand_and_keep_its_bones(roots):
    raw = nyu.matlab.read(roots["nyu"] / "train/joint_data.mat", "joint_xyz", 4, 10**7)
    lengths_mm = np.linalg.norm(raw[:, :, 0] - raw[:, :, 3], axis=-1)
    np.testing.assert_allclose(lengths_mm[1:], lengths_mm[:1].repeat(2, 0), rtol=1e-9)
    assert np.abs(raw[0] - raw[1]).max() > 50


@pytest.mark.parametrize("name", ["nyu", "msra"])
def test_cubes_hold_the_hands(roots, name):
    for sample in samples(roots, name):
        reach_mm = np.abs(sample.joints_mm - sample.joints_mm[sample.centre_joint]).max()
        assert reach_mm < sample.cube_mm / 2 + 10
