from dataclasses import replace

import numpy as np
import pytest

from handvae.base.geometry import project
from handvae.base.joints import HAND21, LEFT, RIGHT
from handvae.synthetic import render
from handvae.synthetic import scenes as scenes_module
from handvae.synthetic.kinematics import sample_shape
from handvae.synthetic.poses import sample_pose
from handvae.synthetic.scenes import Scene, place_hand, sample_scene, scene_rng

SIZE = 160


def picture(scene: Scene) -> scenes_module.Picture:
    return scenes_module.render_scenes([scene], SIZE, SIZE)[0]


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [sample_scene(scene_rng(2, 0, index), SIZE, SIZE) for index in range(60)]


def test_a_scene_depends_on_its_seed_split_and_index_alone(scenes):
    again = sample_scene(scene_rng(2, 0, 17), SIZE, SIZE)
    np.testing.assert_array_equal(again.hand.matrices, scenes[17].hand.matrices)
    np.testing.assert_array_equal(picture(again).image_u8, picture(scenes[17]).image_u8)
    for other in ((3, 0, 17), (2, 1, 17), (2, 0, 18)):
        different = sample_scene(scene_rng(*other), SIZE, SIZE)
        assert not np.allclose(different.hand.joints_m, again.hand.joints_m)


def test_rotations_are_rotations_and_lean_to_no_side():
    rng = np.random.default_rng(0)
    turns = np.stack([scenes_module.random_rotation(rng) for _ in range(3000)])
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (3000, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turns), 1)
    assert np.abs(turns.mean(axis=0)).max() < 4 * np.sqrt(1 / 3 / 3000)  # every entry has variance 1/3
    np.testing.assert_allclose((turns**2).mean(axis=0), np.full((3, 3), 1 / 3), atol=0.03)


def test_a_left_hand_looks_like_the_mirror_image_of_a_right_hand(scenes):
    mirror = np.diag([-1.0, 1.0, 1.0])
    camera = np.array([[200.0, 0, (SIZE - 1) / 2], [0, 200.0, SIZE / 2], [0, 0, 1]])
    for index in range(3):
        rng = scene_rng(12, 0, index)
        shape = sample_shape(rng)
        pose, rotation = sample_pose(rng, shape), scenes_module.random_rotation(rng)
        wrist_m = np.array([0.05, -0.02, 0.6])
        right = place_hand(shape, pose, RIGHT, rotation, wrist_m)
        left = place_hand(shape, pose, LEFT, mirror @ rotation @ mirror, mirror @ wrist_m)
        seen = [picture(replace(scenes[0], hand=hand, camera=camera)) for hand in (right, left)]
        assert (seen[0].bones != render.NO_BONE).mean() > 0.02
        assert (seen[0].bones != seen[1].bones[:, ::-1]).mean() < 5e-4  # pixels on a part's border may round


def test_visible_joints_of_the_digits_lie_on_their_own_digits_pixels(scenes):
    right, visible_share = [], []
    for scene in scenes:
        seen, uv_px = picture(scene), project(scene.hand.joints_m, scene.camera)
        visible = scenes_module.visible_joints(scene.hand, uv_px, seen.depth_m)
        visible_share.append(visible.mean())
        for joint, name in enumerate(HAND21):
            if visible[joint] and name.split("_")[-1] in ("pip", "dip", "ip", "tip"):
                column, row = np.round(uv_px[joint]).astype(int)
                around = seen.bones[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
                right.append(np.isin(around, 1 + 3 * ((joint - 1) // 4) + np.arange(3)).any())
    assert len(right) > 250 and np.mean(right) > 0.98
    assert 0.5 < np.mean(visible_share) < 0.85


def test_a_joint_is_hidden_by_what_is_nearer_than_its_own_flesh():
    joints_m = np.tile([0.0, 0.0, 0.5], (21, 1))
    hand = scenes_module.PlacedHand(RIGHT, joints_m, np.full(21, 0.010), np.zeros((17, 3, 4)))
    uv_px = np.tile([3.0, 2.0], (21, 1))
    uv_px[4] = [9.6, 2.0]  # rounds to column 10: outside
    uv_px[5] = [3.4, 1.6]  # rounds to the same pixel
    depth_m = np.full((6, 10), np.inf, np.float32)
    assert scenes_module.visible_joints(hand, uv_px, depth_m).tolist() == [joint != 4 for joint in range(21)]
    for distance_m, expected in ((0.5 - 0.016, True), (0.5 - 0.017, False)):  # the limit is 1.35 * 10 + 3 = 16.5 mm
        depth_m[2, 3] = distance_m
        assert (scenes_module.visible_joints(hand, uv_px, depth_m)[[0, 5]] == expected).all()


def test_the_flat_end_of_the_forearm_never_faces_the_lens_inside_the_picture(monkeypatch):
    cut_in_view = scenes_module.cut_in_view

    def count():
        drawn = (sample_scene(scene_rng(0, 0, index), 320, 320) for index in range(60))
        return sum(cut_in_view(scene.hand, scene.camera, 320, 320) for scene in drawn)

    assert count() == 0
    monkeypatch.setattr(scenes_module, "cut_in_view", lambda *_: False)
    assert count() > 0  # without the rule a few scenes show it
