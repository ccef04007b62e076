from pathlib import Path

import numpy as np
import pytest
import scipy.io

from handvae.base import geometry
from handvae.base.joints import HAND21, LEFT, MIDDLE_MCP, MIDDLE_PIP, RING_MCP, ROOT
from handvae.datasets import matlab, png, stb
from handvae.preprocessing.preprocess import crop_hand, size
from tests.conftest import REAL, needs_real
from tests.damage import refusal

BOTH = ["left", "right"]


def joints_mm(frames: int, seed: int = 0) -> np.ndarray:
    """(frames, 21, 3) in front of both cameras."""
    return np.random.default_rng(seed).uniform([20, -40, 620], [100, 40, 700], (frames, 21, 3))


def write_set(root: Path, sequences: dict[str, int], images: bool = True) -> Path:
    for number, (sequence, frames) in enumerate(sequences.items()):
        stb.write_labels(root, sequence, joints_mm(frames, number))
        for index in range(frames if images else 0):
            for view in BOTH:
                image_u8 = np.full((*stb.IMAGE_HW, 3), 10 * index + (view == "right"), np.uint8)
                png.write(stb.image_path(root, sequence, view, index), image_u8)
    return root


@pytest.fixture
def small(tmp_path) -> Path:
    return write_set(tmp_path / "STB", {"B1Counting": 3, "B2Random": 2})


def frames(root: Path, training=("B2Random",), evaluation=("B1Counting",), views=BOTH, images=True):
    return stb.frames(root, list(training), list(evaluation), list(views), images)


@needs_real
def test_the_real_frame_0_gives_the_acceptance_numbers_and_the_references_crop_in_both_views():
    left, right = (stb.read(frame)[0] for frame in stb.frames_with_images(REAL / "stb"))
    assert (left.name, right.name) == ("B1Counting/0000 left", "B1Counting/0000 right")
    np.testing.assert_allclose(left.joints_mm[ROOT], [126.502, 56.843, 664.353], atol=5e-4)
    np.testing.assert_allclose(left.uv_px[ROOT], [475.144, 320.712], atol=5e-4)
    np.testing.assert_allclose(right.uv_px[ROOT], [326.460, 320.712], atol=5e-4)
    np.testing.assert_allclose(left.uv_px[MIDDLE_MCP], [452.473, 277.702], atol=5e-4)
    bone_mm = np.linalg.norm(left.joints_mm[MIDDLE_PIP] - left.joints_mm[MIDDLE_MCP])
    assert bone_mm == pytest.approx(39.9997, abs=5e-5)
    for sample, u0 in ((left, 351.473), (right, 203.834)):
        crop = geometry.reference_crop(sample.sizing_uv_px, sample.visible, MIDDLE_MCP, sample.image_hw)
        np.testing.assert_allclose((crop.size_px, 256 / crop.side_px), (203.755, 1.25641), rtol=5e-6)
        np.testing.assert_allclose(crop.top_left_px, [u0, 176.702], atol=1e-3)
        assert sample.image_u8.shape == (480, 640, 3)


@needs_real
def test_the_real_labels_are_one_rigid_left_hand_in_both_images():
    hands = stb.labelled_hands(stb.find(REAL / "stb"))
    assert len(hands.joints_mm) == 3000 and (hands.side == LEFT).all()
    assert (geometry.handedness(hands.joints_mm) < 0).all()
    assert (hands.uv_px > 0).all() and (hands.uv_px < [640, 480]).all()
    bones = {"thumb": (31, 30, 28, 26), "index": (42, 34, 22, 20), "middle": (39, 40, 25, 21)}
    bones |= {"ring": (39, 37, 23, 20), "little": (37, 32, 15, 19)}  # from the root outwards, mm
    for finger, (name, expected) in enumerate(bones.items()):
        chain = [ROOT, *range(1 + 4 * finger, 5 + 4 * finger)]
        lengths_mm = np.linalg.norm(np.diff(hands.joints_mm[:, chain], axis=1), axis=2)
        np.testing.assert_allclose(lengths_mm.mean(axis=0), expected, atol=0.5, err_msg=name)
        assert lengths_mm.std(axis=0).max() < 0.001
    facts = stb.inspect(REAL / "stb")
    assert not facts["published"] and facts["splits"]["B1Counting"]["frames"] == 1500
    assert "(B1Counting has 1 left and 1 right of 1,500)" in facts["notes"][0] and "11 of the 12" in facts["notes"][1]


def test_what_is_written_is_read_back_the_same(small):
    groups = frames(small)
    assert [len(groups[split]) for split in ("train", "test")] == [4, 6]
    expected_mm = joints_mm(3)
    for row, (sample,) in enumerate(map(stb.read, groups["test"])):
        number, view = divmod(row, 2)
        assert sample.name == f"B1Counting/{number:04d} {BOTH[view]}" and sample.moment == f"B1Counting/{number:04d}"
        assert sample.sequence == f"B1Counting {BOTH[view]}" and sample.frame == number
        np.testing.assert_allclose(sample.joints_mm + [120.054 * view, 0, 0], expected_mm[number], rtol=1e-15)
        np.testing.assert_allclose(geometry.project(sample.joints_mm, sample.camera), sample.uv_px)
        assert (sample.image_u8 == 10 * number + view).all()


def test_scipy_reads_the_labels_in_stbs_own_order(small):
    raw = scipy.io.loadmat(small / "labels/B1Counting_BB.mat")["handPara"]
    assert raw.shape == (3, 21, 3) and raw.dtype == np.float64
    expected = joints_mm(3)
    for row, joint in {0: "root", 4: "little_tip", 9: "middle_mcp", 17: "thumb_cmc"}.items():
        np.testing.assert_array_equal(raw[:, row, 1], expected[1, HAND21.index(joint)])


def test_the_crop_is_sized_by_a_wrist_beyond_the_palm(small):
    (sample,) = stb.read(frames(small)["train"][0])
    palm, ring = sample.uv_px[ROOT], sample.uv_px[RING_MCP]
    np.testing.assert_allclose(sample.sizing_uv_px[ROOT], 2 * palm - ring)
    np.testing.assert_array_equal(sample.sizing_uv_px[1:], sample.uv_px[1:])


@pytest.mark.parametrize("layout", ["{0}", "images/{0}/{0}", "{0}/{0}"])
def test_every_layout_that_is_about_is_read(small, layout):
    whole = [stb.read(frame)[0].image_u8 for frame in frames(small)["train"]]
    for sequence in ("B1Counting", "B2Random"):
        (small / "images" / sequence).rename(small / "moving")
        target = small / layout.format(sequence)
        target.parent.mkdir(parents=True, exist_ok=True)
        (small / "moving").rename(target)
    if layout == "{0}/{0}":  # as unpacked from an archive each
        (small / "labels").rename(small / "moving")
        (small / "labels").mkdir()
        (small / "moving").rename(small / "labels/labels")
    assert stb.find(small) == small and stb.find(small.parent) == small
    np.testing.assert_array_equal(whole, [stb.read(frame)[0].image_u8 for frame in frames(small)["train"]])


def test_frames_of_a_sequence_and_one_view_can_be_chosen(small):
    groups = frames(small, ["B1Counting:0-1"], ["B1Counting:2-2"], ["right"])
    assert [(frame.number, frame.view) for frame in groups["train"]] == [(0, "right"), (1, "right")]
    assert [frame.number for frame in groups["test"]] == [2]


def test_labels_alone_need_no_images(tmp_path):
    root = write_set(tmp_path / "STB", {"B1Counting": 2, "B2Random": 2}, images=False)
    (sample,) = stb.read(frames(root, images=False)["train"][0])
    assert sample.image_u8 is None and "image_u8" not in crop_hand(sample, size(64, 1.5))
    assert "BB_left_0.png: expected the image of a label, found no file" in refusal(frames, root)


@pytest.mark.parametrize(
    "training, evaluation, expected",
    [
        (["B1Counting"], ["B1Counting:2-2"], "expected every frame once, found B1Counting/2 again"),
        (["B1Counting:0-3"], ["B2Random"], "expected frames 0 to 3 of data.stb.protocol, found 3 frames"),
        (["B3Random"], ["B2Random"], "expected sequences whose labels are here (B1Counting, B2Random), or"),
        (["../B1Counting"], ["B2Random"], "found '../B1Counting'"),
    ],
)
def test_selections_that_cannot_be_are_refused(small, training, evaluation, expected):
    assert expected in refusal(frames, small, training, evaluation)


def test_the_published_set_is_known_by_all_its_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(stb, "PUBLISHED_FRAMES", 1)
    root = write_set(tmp_path / "STB", dict.fromkeys(stb.SEQUENCES, 1), images=False)
    for path in (stb.image_path(root, sequence, view, 0) for sequence in stb.SEQUENCES for view in BOTH):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not decoded")
    assert stb.inspect(root)["published"] and stb.inspect(root)["notes"] == []
    (root / "images/B6Random/BB_right_0.png").unlink()
    facts = stb.inspect(root)
    assert not facts["published"]
    assert "1 sequences lack images (B6Random has 1 left and 0 right of 1)" in facts["notes"][0]


def test_archives_unpacked_without_a_folder_of_their_own_are_noticed(small):
    for view in BOTH:
        path = stb.image_path(small, "B1Counting", view, 0)
        path.rename(small / "images" / path.name)
    assert "images holds BB_left_0.png itself: the archives of B1 to B3" in stb.inspect(small)["notes"][1]


@pytest.mark.parametrize(
    "array, expected",
    [
        (np.ones((3, 20, 4)), "expected handPara of 3 x 21 x frames, found 3 x 20 x 4"),
        (np.full((3, 21, 4), 500.0), "expected a joint 20 mm or more from joint 0"),
    ],
)
def test_labels_that_no_hand_can_have_are_refused(small, array, expected):
    matlab.write(small / "labels/B1Counting_BB.mat", {"handPara": array})
    message = refusal(stb.inspect, small)
    assert expected in message and "B1Counting_BB.mat" in message


def test_an_image_of_another_size_is_refused(small):
    frame = frames(small)["test"][0]
    png.write(frame.image, np.zeros((320, 320, 3), np.uint8))
    assert "BB_left_0.png: expected 640x480 px, found 320x320" in refusal(stb.read, frame)
