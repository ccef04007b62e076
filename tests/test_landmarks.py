import numpy as np
import pytest

from handvae.base.joints import LEFT, NYU36, RIGHT, ROOT, SKELETONS
from handvae.synthetic.kinematics import REFERENCE_SHAPE, REST_POSE, sample_shape
from handvae.synthetic.landmarks import icvl16, msra21, nyu36, stb21
from handvae.synthetic.poses import sample_pose
from handvae.synthetic.scenes import PlacedHand, place_hand, random_rotation, render_depth
from handvae.synthetic.sequences import ICVL_HAND_LENGTH_M, ICVL_VIEW, Sequence, Subject

STB_ROOT_MM = np.array([31.0, 41.9, 39.1, 38.8, 36.8])  # real labels: palm to the base of thumb, index, ... little
# real test labels: mean distances palm to root to mid to tip, of thumb, index, ... little
ICVL_MM = np.array([[29.5, 30.6, 25.4], [56.2, 28.1, 18.1], [52.4, 32.2, 20.4], [44.2, 28.6, 19.6], [41.9, 22.2, 18.1]])


def reference() -> PlacedHand:
    """The hand of 187 mm in its own frame: x to the thumb, y to the fingers, z out of the palm."""
    return place_hand(REFERENCE_SHAPE, REST_POSE, RIGHT, np.eye(3), np.zeros(3))


@pytest.mark.parametrize("landmarks", [stb21, msra21, icvl16, nyu36])
def test_a_left_hand_is_the_mirror_image(landmarks):
    rng = np.random.default_rng(4)
    shape, mirror = sample_shape(rng), np.diag([-1.0, 1.0, 1.0])
    pose, rotation, wrist_m = sample_pose(rng, shape), random_rotation(rng), np.array([0.04, 0.02, 0.5])
    right = landmarks(place_hand(shape, pose, RIGHT, rotation, wrist_m))
    left = landmarks(place_hand(shape, pose, LEFT, mirror @ rotation @ mirror, mirror @ wrist_m))
    np.testing.assert_allclose(left, right @ mirror, atol=1e-12)


def test_stbs_palm_has_the_ratios_of_the_real_labels_and_msras_root_is_the_wrist():
    points = stb21(reference())
    lengths_mm = 1e3 * np.linalg.norm(points[1::4] - points[ROOT], axis=1)
    real = STB_ROOT_MM / STB_ROOT_MM.mean()  # of another hand
    np.testing.assert_allclose(lengths_mm / lengths_mm.mean(), real, rtol=0.07)
    np.testing.assert_array_equal(points[1:], msra21(reference())[1:])
    np.testing.assert_allclose(msra21(reference())[ROOT], 0, atol=1e-12)


def test_icvls_bones_have_the_lengths_of_the_real_labels():
    """Inferred from bone lengths alone: segment middles of a hand of 160 mm, in poses like the set's."""
    sequence = Sequence((8,), "random", LEFT, Subject(8, 0, ICVL_HAND_LENGTH_M), ICVL_VIEW)
    points_mm = 1e3 * np.array([icvl16(sequence.hand(frame)) for frame in range(60)])
    bones_mm = [points_mm[:, child] - points_mm[:, parent] for parent, child in SKELETONS["ICVL16"].bones]
    ratios = np.linalg.norm(bones_mm, axis=-1).mean(axis=1).reshape(5, 3) / ICVL_MM
    assert abs(np.exp(np.log(ratios).mean()) - 1) < 0.06
    assert np.abs(ratios[1:] - 1).max() < 0.20
    assert np.abs(ratios[0] - 1).max() < 0.25  # the thumb fits worst
    joints_mm = 1e3 * np.linalg.norm(np.diff(sequence.hand(0).joints_m[1:].reshape(5, 4, 3), axis=1), axis=-1)
    assert np.abs(joints_mm[1:, :2] / ICVL_MM[1:, 1:] - 1).max() > 0.25  # bones from joint to joint fit worse


def test_nyus_palm_is_that_of_the_model_in_millimetres():
    points_mm = dict(zip(NYU36, 1e3 * nyu36(reference()), strict=True))
    expected = {"wrist_side_1": (-17.7, 5.8), "wrist_side_2": (17.7, 5.8), "palm_3": (0, 85), "palm_4": (-23.7, 75.7)}
    for name, xy_mm in (expected | {"palm_5": (0, 57.1), "wrist": (0, 0)}).items():
        np.testing.assert_allclose(points_mm[name][:2], xy_mm, atol=0.1)
    width_mm = np.linalg.norm(points_mm["wrist_side_2"] - points_mm["wrist_side_1"])
    assert width_mm == pytest.approx(35.3, abs=0.1)  # the first test subject's labels


@pytest.mark.parametrize("landmarks", [icvl16, nyu36])
def test_landmarks_of_an_open_hand_lie_under_the_skin_that_is_seen(landmarks):
    view = ICVL_VIEW
    hand = place_hand(REFERENCE_SHAPE, REST_POSE, RIGHT, np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.09, 0.40]))
    depth_m = render_depth(hand, view.camera, view.height, view.width)
    points = landmarks(hand)
    u, v = np.round((points @ view.camera.T)[:, :2] / points[:, 2:]).astype(int).T
    under_m = points[:, 2] - depth_m[v, u]
    assert (under_m > 0.001).all()
    assert (under_m < 0.035).all()
