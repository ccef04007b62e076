from pathlib import Path

import numpy as np
import pytest

from handvae.base import geometry
from handvae.base.errors import InputError
from handvae.base.joints import LEFT, ROOT
from handvae.datasets import png, rhd, stb
from handvae.datasets.rhd import MASK_LABELS, dominant_side, read_annotations
from handvae.synthetic import colour_sets
from handvae.synthetic.colour_sets import make_rhd_frames
from handvae.synthetic.generate import generate
from tests.test_rhd import read_depth_m

COUNTS, PX = {"training": 7, "evaluation": 5}, 64


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("generate") / "rhd"
    generate("rhd", root, {**COUNTS, "image_px": PX}, seed=1, processes=1)
    return root


# RHD


@pytest.mark.parametrize("split", COUNTS)
def test_one_hand_is_in_the_picture_its_joints_on_their_pixels_and_its_parts_in_the_mask(made, split):
    for index, annotation in enumerate(read_annotations(made, split)):
        uvw = annotation.xyz_m @ annotation.K.T
        np.testing.assert_allclose(uvw[:, :2] / uvw[:, 2:], annotation.uv_px, atol=0.01)
        mask_u8 = png.read_grey_u8(made / split / "mask" / f"{index:05d}.png")
        side = dominant_side(mask_u8)
        there, absent = (slice(0, 21), slice(21, 42)) if side == LEFT else (slice(21, 42), slice(0, 21))
        assert ((annotation.uv_px[there] >= 0) & (annotation.uv_px[there] < PX)).all()
        assert annotation.visible[there].any() and not annotation.visible[absent].any()
        outside = (annotation.uv_px[absent] < 0) | (annotation.uv_px[absent] > PX - 1)
        assert outside.any(axis=1).all() and (annotation.xyz_m[absent, 2] > 0).all()
        left, right = annotation.xyz_m[:21], annotation.xyz_m[21:]
        np.testing.assert_allclose((left - left[0]) * [-1, 1, 1], right - right[0], atol=1e-6)
        first, last = MASK_LABELS[side]
        labels = set(np.unique(mask_u8).tolist())
        assert labels <= {0, 1, *range(first, last + 1)} and {0, last} & labels


def test_what_is_read_back_is_the_hand_that_was_rendered(made):
    for index, read_frame in enumerate(rhd.frames(made, "dominant")["test"][:3]):
        (sample,) = rhd.read(read_frame)
        (frame,) = make_rhd_frames(1, [("evaluation", index)], PX)
        rows = frame.xyz_m[:21] if sample.side == LEFT else frame.xyz_m[21:]
        tips_mm = 1e3 * rows[[1, 5, 9, 13, 17]]  # RHD lists each finger from its tip
        np.testing.assert_allclose(sample.joints_mm[[4, 8, 12, 16, 20]], tips_mm, atol=1e-3)
        np.testing.assert_array_equal(sample.image_u8, frame.color_u8)
        stored_m = read_depth_m(made / "evaluation" / "depth" / f"{index:05d}.png")
        np.testing.assert_allclose(stored_m, frame.depth_m, atol=5 / 65535)  # RHD's step
        assert stored_m[frame.mask_u8 > 1].max() < stored_m[frame.mask_u8 == 0].min()


def test_no_frame_depends_on_those_that_are_drawn_with_it():
    """At sizes where vectors of pixels end anywhere: the same bytes alone, in pairs, in sevens and in another order."""
    frames = [(split, index) for split in colour_sets.RHD_SPLITS for index in range(7)]
    alone = {frame: make_rhd_frames(1, [frame], PX)[0] for frame in frames}
    for size in (2, 7):
        for start in range(0, len(frames), size):
            batch = frames[::-1][start : start + size]
            for frame, made in zip(batch, make_rhd_frames(1, batch, PX), strict=True):
                for name, array in vars(made).items():
                    np.testing.assert_array_equal(array, vars(alone[frame])[name])


def test_counts_that_do_not_fit_rhds_five_digits_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected at most 99,999 frames a split"):
        generate("rhd", tmp_path / "rhd", {"training": 100_000, "evaluation": 1, "image_px": PX}, 1, 1)
    assert not list(tmp_path.iterdir())


# STB

FRAMES = 6
SIZES = {"sequence": FRAMES, "background_frames": 25}


@pytest.fixture(scope="module")
def stb_root(tmp_path_factory) -> Path:
    """All labels, and the pictures of two frames."""
    root = tmp_path_factory.mktemp("generate") / "stb"
    for sequence in stb.SEQUENCES:
        hands = [colour_sets.stb_hand(1, sequence, number) for number in range(FRAMES)]
        stb.write_labels(root, sequence, np.array([1000.0 * colour_sets.landmarks.stb21(hand) for hand in hands]))
    for frame in colour_sets.stb_frames(SIZES)[:2]:
        colour_sets.render_stb(root, frame, 1, SIZES)
    return root


def test_stbs_twelve_sequences_show_one_rigid_left_hand(stb_root):
    assert set(stb.inspect(stb_root)["splits"]) == set(stb.SEQUENCES)
    hands = stb.labelled_hands(stb_root)
    lengths_mm = np.linalg.norm(np.diff(hands.joints_mm[:, 5:9], axis=1), axis=2)
    np.testing.assert_allclose(lengths_mm, lengths_mm[:1].repeat(len(lengths_mm), 0), rtol=1e-9)
    assert np.linalg.norm(hands.joints_mm[:, 9] - hands.joints_mm[:, ROOT], axis=1).std() < 1e-9  # palm, not wrist
    assert (geometry.handedness(hands.joints_mm) < 0).mean() > 0.9  # of some poses the measure cannot tell
    assert ((hands.uv_px >= 0) & (hands.uv_px <= [639, 479])).all()


def test_stbs_background_and_light_change_in_a_sequence_or_never_in_a_place_and_its_skin_never():
    def surroundings_and_skin(sequence: str, number: int, background_frames: int | None) -> tuple[bytes, bytes]:
        look, background = colour_sets.stb_surroundings(1, sequence, number, background_frames)
        changing = look.light, look.light_rgb, background.colours
        return b"".join(map(np.ndarray.tobytes, changing)), look.skin_rgb.tobytes() + look.palm_rgb.tobytes()

    changing = [("B1Counting", 0, 4), ("B1Counting", 4, 4), ("B1Random", 0, 4), ("B2Counting", 0, 4)]
    surroundings, skins = zip(*(surroundings_and_skin(*frame) for frame in changing), strict=True)
    assert surroundings_and_skin("B1Counting", 3, 4)[0] == surroundings[0]
    assert len(set(surroundings)) == 4 and len(set(skins)) == 1
    place = surroundings_and_skin("B1Counting", 0, None)
    assert place == surroundings_and_skin("B1Random", 99, None) != surroundings_and_skin("B2Counting", 0, None)


def test_stbs_views_show_the_hand_where_the_labels_project(stb_root):
    """Skin is not the background: the palm's pixel differs from the image's corner, in both views."""
    frames = stb.frames(stb_root, [], ["B1Counting:0-1"], list(stb.VIEWS), True)["test"]
    for frame in frames:
        (sample,) = stb.read(frame)
        u, v = sample.uv_px[ROOT].round().astype(int)
        palm = sample.image_u8[v - 3 : v + 4, u - 3 : u + 4].mean(axis=(0, 1))
        corner = sample.image_u8[:7, :7].mean(axis=(0, 1))
        assert np.abs(palm - corner).max() > 10
        assert sample.image_u8.shape == (480, 640, 3)
    left, right = (stb.read(frame)[0] for frame in frames[:2])
    shift = left.uv_px[:, 0] - right.uv_px[:, 0]
    np.testing.assert_allclose(shift, 822.79041 * 120.054 / left.joints_mm[:, 2], rtol=1e-9)
