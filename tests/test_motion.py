from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from handvae.base.errors import InputError
from handvae.base.joints import FINGERS, LEFT, RIGHT
from handvae.synthetic import motion as motion_module
from handvae.synthetic.kinematics import LIMITS_DEG, HandPose, forward_kinematics
from handvae.synthetic.motion import (
    GESTURES,
    ICVL_HAND_LENGTH_M,
    ICVL_VIEW,
    KEY_FRAMES,
    MSRA_HAND_LENGTHS_M,
    MSRA_VIEW,
    NYU_HAND_LENGTHS_M,
    NYU_VIEW,
    PALM_TO_CAMERA,
    STB_HAND_LENGTH_M,
    STB_VIEW,
    Motion,
    Subject,
    gesture_deg,
    subject_shape,
)
from handvae.synthetic.poses import MAX_OVERLAP_M, overlap_m
from handvae.synthetic.scenes import cut_in_view, moved, project

FRAMES = 300
MOTIONS = {
    "stb counting": Motion((1, 0), "counting", LEFT, Subject(1, 0, STB_HAND_LENGTH_M), STB_VIEW),
    "stb random": Motion((1, 1), "random", LEFT, Subject(1, 0, STB_HAND_LENGTH_M), STB_VIEW),
    "icvl": Motion((1, 2), "random", LEFT, Subject(1, 1, ICVL_HAND_LENGTH_M), ICVL_VIEW),
    "nyu": Motion((1, 3), "random", RIGHT, Subject(1, 2, NYU_HAND_LENGTHS_M[0]), NYU_VIEW),
    "msra": Motion((1, 4), "Y", RIGHT, Subject(1, 3, MSRA_HAND_LENGTHS_M[4]), MSRA_VIEW),
}


@pytest.fixture(scope="module", params=list(MOTIONS))
def motion(request) -> Motion:
    return MOTIONS[request.param]


@pytest.fixture(scope="module")
def hands(motion):
    return [motion.hand(frame) for frame in range(FRAMES)]


def batch(motion: Motion, frames) -> HandPose:
    poses = [motion.pose(frame) for frame in frames]
    return HandPose(np.stack([p.angles_rad for p in poses]), np.stack([p.wrist_rad for p in poses]))


def turned_deg(motion: Motion, frame: int) -> float:
    rotation = motion.placement(frame)[0] @ PALM_TO_CAMERA.T
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


def test_joints_move_about_as_fast_as_in_stb(hands):
    """STB's B1Counting: median 2.4, mean 2.6, greatest 21.8 mm a frame."""
    steps_mm = 1e3 * np.linalg.norm(np.diff([hand.joints_m for hand in hands], axis=0), axis=-1)
    assert 1.5 < np.median(steps_mm) < 3.5
    assert steps_mm.max() < 22


def test_motion_has_no_kinks(hands):
    steps_mm = 1e3 * np.diff([hand.joints_m for hand in hands], axis=0)
    assert np.linalg.norm(np.diff(steps_mm, axis=0), axis=-1).max() < 6


def test_a_frame_depends_neither_on_other_frames_nor_on_their_order(motion, hands):
    motion_module._keys.cache_clear()
    for frame in (211, 3, 250, 40):
        again = motion.hand(frame)
        np.testing.assert_array_equal(again.joints_m, hands[frame].joints_m)
        np.testing.assert_array_equal(again.matrices, hands[frame].matrices)


def test_keys_are_drawn_once(motion, monkeypatch):
    motion.hand(FRAMES)
    monkeypatch.setattr(motion_module, "_draw_key", lambda *_: pytest.fail("a key was drawn again"))
    replace(motion).hand(FRAMES)  # an equal motion, another object


def test_other_seeds_and_styles_move_otherwise(motion):
    other = replace(motion, seed=(9, 9))
    assert not np.allclose(other.hand(60).joints_m, motion.hand(60).joints_m)
    turns = [replace(MOTIONS["msra"], style=style).placement(60)[0] for style in ("Y", "L")]
    assert not np.allclose(*turns)


def test_angles_stay_inside_the_joint_limits(motion):
    degrees = np.degrees(batch(motion, range(FRAMES)).angles_rad)
    assert (degrees >= LIMITS_DEG[..., 0] - 1e-9).all()
    assert (degrees <= LIMITS_DEG[..., 1] + 1e-9).all()


def test_no_finger_goes_through_another(motion):
    overlaps = overlap_m(motion.shape, batch(motion, range(FRAMES)))
    assert overlaps[::KEY_FRAMES].max() <= MAX_OVERLAP_M
    assert overlaps.max() <= MAX_OVERLAP_M + 0.001  # in between, only some points of the way are checked


def test_the_hand_is_in_every_cameras_picture_at_its_distance(motion, hands):
    view = motion.view
    lens = np.array([view.width, view.height])
    for hand in hands:
        for offset_m in (0, view.baseline_m):
            seen = moved(hand, np.array([-offset_m, 0, 0]))
            uv_px = project(seen.joints_m, view.camera)
            assert (uv_px > 0.01 * lens).all()
            assert (uv_px < 0.99 * lens - 1).all()
            assert not cut_in_view(seen, view.camera, view.height, view.width)
    centre_m = np.array([motion.at(frame).centre_m for frame in range(FRAMES)])
    assert centre_m[:, 2].min() >= view.depth_m[0]
    assert centre_m[:, 2].max() <= view.depth_m[1]
    assert np.abs(centre_m[:, :2] - [view.baseline_m / 2, 0]).max() <= view.lateral_m + 1e-12


def test_the_palm_turns_towards_the_camera_and_away_by_the_angle_allowed_at_most(motion):
    angles = [turned_deg(motion, frame) for frame in range(0, FRAMES, 5)]
    assert max(angles) <= motion.view.max_angle_deg + 1e-6
    assert max(angles) > 0.5 * motion.view.max_angle_deg
    narrow = replace(motion, view=replace(motion.view, max_angle_deg=10.0))
    assert max(turned_deg(narrow, frame) for frame in range(0, 100, 5)) <= 10 + 1e-6


def test_rotations_are_rotations(motion):
    for frame in range(0, FRAMES, 17):
        rotation, _ = motion.placement(frame)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)


def test_keys_are_not_repeated_for_want_of_a_way_on():
    for motion in MOTIONS.values():
        keys = [motion.at(number * KEY_FRAMES) for number in range(12)]
        assert all(not np.array_equal(a.centre_m, b.centre_m) for a, b in pairwise(keys))


def test_a_hand_that_finds_no_next_place_stays(monkeypatch):
    """With no way on, every key is the first."""
    draw, motion = motion_module._clear, MOTIONS["nyu"]
    motion_module._keys.cache_clear()
    monkeypatch.setattr(motion_module, "_clear", lambda m, keys: len(keys) == 1 and draw(m, keys))
    joints_m = [motion.hand(frame).joints_m for frame in (0, 13, 60)]
    motion_module._keys.cache_clear()
    np.testing.assert_array_equal(joints_m[0], joints_m[1])
    np.testing.assert_array_equal(joints_m[0], joints_m[2])


def test_a_view_without_room_is_an_error():
    tight = replace(MOTIONS["icvl"], view=replace(ICVL_VIEW, depth_m=(0.12, 0.13)))
    with pytest.raises(InputError, match="no place for a hand"):
        tight.hand(0)


@pytest.mark.parametrize("wrong", [{"style": "A"}, {"side": 2}])
def test_unknown_styles_and_sides_are_errors(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        replace(MOTIONS["nyu"], **wrong)


def test_frames_before_the_first_are_errors():
    with pytest.raises(InputError, match="frame"):
        MOTIONS["nyu"].pose(-1)


def straightness(shape, pose: HandPose) -> np.ndarray:
    """(..., 5) distance from base to tip of the digits over the length of their bones."""
    chains = forward_kinematics(shape, pose).joints_m[..., 1:, :].reshape(*pose.angles_rad.shape[:-2], 5, 4, 3)
    return np.linalg.norm(chains[..., 3, :] - chains[..., 0, :], axis=-1) / shape.lengths_m.sum(axis=1)


def test_counting_extends_one_digit_after_another():
    motion = MOTIONS["stb counting"]
    poses = batch(motion, [KEY_FRAMES * number for number in range(12)])
    fingers = (straightness(motion.shape, poses)[:, 1:] > 0.9).sum(axis=1)
    # first index to little, then the thumb; then thumb first
    assert fingers.tolist() == [0, 1, 2, 3, 4, 4, 0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("gesture", GESTURES)
def test_gestures_extend_the_fingers_of_the_table_and_vary_a_little(gesture):
    motion = Motion((2, 0), gesture, RIGHT, Subject(2, 0, 0.17), MSRA_VIEW)
    poses = batch(motion, range(0, 101, 25))
    straight = straightness(motion.shape, poses)[:, 1:] > 0.9
    assert (straight == [letter != "-" for letter in GESTURES[gesture][1:]]).all()
    spread_deg = np.degrees(poses.angles_rad).std(axis=0)
    assert 0.3 < spread_deg.mean() < 5


def test_gestures_differ_and_thumbs_touch_where_they_should():
    angles = [gesture_deg(gesture) for gesture in GESTURES]
    assert all(np.abs(a - b).max() > 20 for i, a in enumerate(angles) for b in angles[:i])
    shape = subject_shape(0, 0, 0.187)
    for gesture, finger in motion_module.TOUCHING.items():
        tips_m = forward_kinematics(shape, HandPose(np.radians(gesture_deg(gesture)), np.zeros(2))).joints_m[4::4]
        gaps_m = np.linalg.norm(tips_m[1:] - tips_m[0], axis=1)
        assert FINGERS[1 + gaps_m.argmin()] == FINGERS[finger]
        assert gaps_m.min() < 0.025


def test_a_subjects_hand_is_always_the_same_and_its_own():
    shape = subject_shape(5, 2, 0.18)
    assert shape.hand_length_m == 0.18
    np.testing.assert_array_equal(shape.lengths_m, subject_shape(5, 2, 0.18).lengths_m)
    np.testing.assert_allclose(subject_shape(5, 2, 0.09).lengths_m, shape.lengths_m / 2)
    assert not np.allclose(shape.lengths_m, subject_shape(5, 3, 0.18).lengths_m)


def test_hand_lengths_follow_the_cubes_of_the_protocols():
    cubes_mm = (200, 200, 200, 180, 180, 180, 170, 160, 150)
    assert len(set(MSRA_HAND_LENGTHS_M)) == 9
    assert list(MSRA_HAND_LENGTHS_M) == sorted(MSRA_HAND_LENGTHS_M, reverse=True)
    np.testing.assert_allclose(np.divide(MSRA_HAND_LENGTHS_M, cubes_mm), 0.88e-3, rtol=0.02)
    assert NYU_HAND_LENGTHS_M[1] / NYU_HAND_LENGTHS_M[0] == pytest.approx(0.85, abs=0.01)
