import numpy as np
import pytest

from handvae.base.errors import InputError
from handvae.base.geometry import project
from handvae.base.joints import LEFT, RIGHT
from handvae.synthetic import sequences
from handvae.synthetic.gestures import GESTURES
from handvae.synthetic.kinematics import LIMITS_DEG, HandPose, forward_kinematics
from handvae.synthetic.poses import MAX_OVERLAP_M, overlap_m
from handvae.synthetic.scenes import cut_in_view, moved
from handvae.synthetic.sequences import Sequence, Subject

FRAMES = 100
SEQUENCES = {
    "stb": Sequence((1, 0), "counting", LEFT, Subject(1, 0, sequences.STB_HAND_LENGTH_M), sequences.STB_VIEW),
    "icvl": Sequence((1, 2), "random", LEFT, Subject(1, 1, 1.08 * sequences.ICVL_HAND_LENGTH_M), sequences.ICVL_VIEW),
    "nyu": Sequence((1, 3), "random", RIGHT, Subject(1, 2, sequences.NYU_HAND_LENGTHS_M[0]), sequences.NYU_VIEW),
    "msra": Sequence((1, 4), "Y", RIGHT, Subject(1, 3, sequences.MSRA_HAND_LENGTHS_M[0]), sequences.MSRA_VIEW),
}


@pytest.fixture(scope="module", params=list(SEQUENCES))
def sequence(request) -> Sequence:
    return SEQUENCES[request.param]


@pytest.fixture(scope="module")
def hands(sequence):
    return [sequence.hand(frame) for frame in range(FRAMES)]


def poses_of(sequence: Sequence, frames) -> HandPose:
    drawn = [sequence.draw(frame)[0] for frame in frames]
    return HandPose(np.stack([pose.angles_rad for pose in drawn]), np.stack([pose.wrist_rad for pose in drawn]))


def test_every_frame_is_a_pose_of_its_own_whatever_was_drawn_before(sequence, hands):
    joints_m = np.array([hand.joints_m - hand.joints_m[0] for hand in hands])
    apart_m = np.linalg.norm(joints_m[1:] - joints_m[:-1], axis=-1).mean(axis=-1)
    assert apart_m.min() > 0.002 and np.median(apart_m) > 0.01
    for frame in (71, 3):
        np.testing.assert_array_equal(sequence.hand(frame).joints_m, hands[frame].joints_m)


def test_angles_stay_inside_the_joint_limits_and_no_finger_goes_through_another(sequence):
    poses = poses_of(sequence, range(FRAMES))
    degrees = np.degrees(poses.angles_rad)
    assert (degrees >= LIMITS_DEG[..., 0] - 1e-9).all()
    assert (degrees <= LIMITS_DEG[..., 1] + 1e-9).all()
    assert overlap_m(sequence.shape, poses).max() <= MAX_OVERLAP_M


def test_where_no_hand_fits_that_is_said():
    view = sequences.View(sequences.STB_VIEW.camera, 480, 640, (0.05, 0.06), 0.1, 60.0)
    with pytest.raises(InputError, match=r"no place for a hand of 0\.16 m"):
        Sequence((1, 0), "random", LEFT, Subject(1, 0, 0.16), view).hand(0)


def test_the_hand_is_in_every_cameras_picture_at_its_distance(sequence, hands):
    view = sequence.view
    lens = np.array([view.width, view.height])
    for hand in hands[::3]:
        for offset_m in (0, view.baseline_m):
            seen = moved(hand, np.array([-offset_m, 0, 0]))
            uv_px = project(seen.joints_m, view.camera)
            assert (uv_px > 0.01 * lens).all()
            assert (uv_px < 0.99 * lens - 1).all()
            assert not cut_in_view(seen, view.camera, view.height, view.width)
    centre_m = np.array([sequence.draw(frame)[1] for frame in range(FRAMES)])
    assert view.depth_m[0] <= centre_m[:, 2].min() and centre_m[:, 2].max() <= view.depth_m[1]
    assert np.abs(centre_m[:, :2] - [view.baseline_m / 2, 0]).max() <= view.lateral_m + 1e-12


def is_straight(shape, pose: HandPose) -> np.ndarray:
    """(..., 4) of the fingers: whether base and tip are nearly as far apart as their bones are long."""
    chains = forward_kinematics(shape, pose).joints_m[..., 1:, :].reshape(*pose.angles_rad.shape[:-2], 5, 4, 3)
    reach_m = np.linalg.norm(chains[..., 3, :] - chains[..., 0, :], axis=-1)
    return (reach_m / shape.lengths_m.sum(axis=1))[..., 1:] > 0.9


def test_counting_extends_one_digit_after_another():
    sequence = SEQUENCES["stb"]
    poses = poses_of(sequence, range(12))
    fingers = is_straight(sequence.shape, poses).sum(axis=1)
    # first index to little, then the thumb; then thumb first
    assert fingers.tolist() == [0, 1, 2, 3, 4, 4, 0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("gesture", GESTURES)
def test_gestures_extend_the_fingers_of_the_table_and_vary_a_little(gesture):
    sequence = Sequence((2, 0), gesture, RIGHT, Subject(2, 0, 0.17), sequences.MSRA_VIEW)
    poses = poses_of(sequence, range(5))
    assert (is_straight(sequence.shape, poses) == [letter != "-" for letter in GESTURES[gesture][1:]]).all()
    assert 0.3 < np.degrees(poses.angles_rad).std(axis=0).mean() < 5
