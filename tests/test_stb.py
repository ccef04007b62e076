from pathlib import Path

import numpy as np
import pytest
import scipy.io

from handvae.base import geometry
from handvae.base.errors import InputError
from handvae.base.joints import HAND21, LEFT, MIDDLE_MCP, MIDDLE_PIP, RING_MCP, ROOT
from handvae.datasets import png, stb
from handvae.model.parts import labelled_rows
from handvae.preprocessing import store
from handvae.preprocessing.preprocess import crop_hand, size
from tests.conftest import REAL, needs_real
from tests.damage import COPIES, damaged, refusal, refused_or

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


# the real samples


@needs_real
def test_the_real_frame_0_gives_the_acceptance_numbers_in_both_views():
    left, right = (stb.read(frame)[0] for frame in stb.frames_with_images(REAL / "stb"))
    assert (left.name, right.name) == ("B1Counting/0000 left", "B1Counting/0000 right")
    np.testing.assert_allclose(left.joints_mm[ROOT], [126.502, 56.843, 664.353], atol=5e-4)
    np.testing.assert_allclose(left.uv_px[ROOT], [475.144, 320.712], atol=5e-4)
    np.testing.assert_allclose(right.uv_px[ROOT], [326.460, 320.712], atol=5e-4)
    np.testing.assert_allclose(left.uv_px[MIDDLE_MCP], [452.473, 277.702], atol=5e-4)
    bone_mm = np.linalg.norm(left.joints_mm[MIDDLE_PIP] - left.joints_mm[MIDDLE_MCP])
    assert bone_mm == pytest.approx(39.9997, abs=5e-5)
    assert left.image_u8.shape == right.image_u8.shape == (480, 640, 3)


@needs_real
def test_the_real_frame_0_gives_the_references_crop_in_both_views():
    for frame, u0 in zip(stb.frames_with_images(REAL / "stb"), (351.473, 203.834), strict=True):
        (sample,) = stb.read(frame)
        crop = geometry.reference_crop(sample.sizing_uv_px, sample.visible, MIDDLE_MCP, sample.image_hw)
        np.testing.assert_allclose(crop.size_px, 203.755, atol=1e-3)
        np.testing.assert_allclose(256 / crop.side_px, 1.25641, atol=1e-5)
        np.testing.assert_allclose(crop.top_left_px, [u0, 176.702], atol=1e-3)


@needs_real
def test_the_two_real_images_show_the_same_points_where_the_labels_say():
    """Block matching along the row at the palm and the finger shafts: the baseline's sign and size, and rectified."""
    left, right = (stb.read(frame)[0] for frame in stb.frames_with_images(REAL / "stb"))
    labelled_px = (left.uv_px - right.uv_px)[:, 0]
    assert labelled_px.min() > 145 and labelled_px.max() < 150
    greys = [sample.image_u8.astype(float).mean(axis=2) for sample in (left, right)]
    for joint in ("root", "index_mcp", "middle_mcp", "ring_mcp", "little_mcp", "index_pip", "middle_pip", "ring_pip"):
        u, v = left.uv_px[HAND21.index(joint)].round().astype(int)
        found_px = 100 + int(np.argmax([correlation(*greys, u, u - shift, v) for shift in range(100, 200)]))
        assert abs(found_px - labelled_px[HAND21.index(joint)]) < 5, (joint, found_px)


def correlation(left: np.ndarray, right: np.ndarray, u_left: int, u_right: int, v: int, half: int = 16) -> float:
    blocks = [
        grey[v - half : v + half + 1, u - half : u + half + 1].ravel() for grey, u in ((left, u_left), (right, u_right))
    ]
    return float(np.corrcoef(*blocks)[0, 1])


@needs_real
def test_all_real_labels_are_a_left_hands_and_lie_in_both_images():
    hands = stb.labelled_hands(stb.find(REAL / "stb"))
    assert len(hands.joints_mm) == 3000 and (hands.side == LEFT).all()
    assert (geometry.handedness(hands.joints_mm) < 0).all()
    assert (hands.uv_px > 0).all() and (hands.uv_px < [640, 480]).all()
    facts = stb.inspect(REAL / "stb")
    assert not facts["published"] and facts["splits"]["B1Counting"]["frames"] == 1500
    assert "(B1Counting has 1 left and 1 right of 1,500)" in facts["notes"][0] and "11 of the 12" in facts["notes"][1]


@needs_real
def test_no_crop_of_the_real_labels_meets_the_limits_of_its_size():
    for view, expected in (("left", (130.49, 253.72)), ("right", (130.49, 249.50))):
        found = stb.frames(REAL / "stb", ["B1Counting"], [], [view], images=False)["train"]
        samples = [stb.read(frame)[0] for frame in found]
        crops = [geometry.reference_crop(s.sizing_uv_px, s.visible, MIDDLE_MCP, s.image_hw) for s in samples]
        sizes_px = [crop.size_px for crop in crops]
        np.testing.assert_allclose((min(sizes_px), max(sizes_px)), expected, atol=0.01)


@needs_real
def test_the_real_labels_are_a_rigid_hand_that_moves_in_every_frame():
    hands = stb.labelled_hands(REAL / "stb")
    left_mm = hands.joints_mm[:1500]
    assert (left_mm[..., 2].min(), left_mm[..., 2].max()) == pytest.approx((605.9, 721.0), abs=0.05)
    assert (np.abs(np.diff(left_mm, axis=0)).max(axis=(1, 2)) > 0).all()
    bones = {"thumb": (31, 30, 28, 26), "index": (42, 34, 22, 20), "middle": (39, 40, 25, 21)}
    bones |= {"ring": (39, 37, 23, 20), "little": (37, 32, 15, 19)}  # from the root outwards, mm
    for finger, (name, expected) in enumerate(bones.items()):
        chain = [ROOT, *range(1 + 4 * finger, 5 + 4 * finger)]
        lengths_mm = np.linalg.norm(np.diff(left_mm[:, chain], axis=1), axis=2)
        np.testing.assert_allclose(lengths_mm.mean(axis=0), expected, atol=0.5, err_msg=name)
        assert lengths_mm.std(axis=0).max() < 0.001


@needs_real
def test_the_reader_agrees_with_scipy_on_the_real_labels():
    raw = scipy.io.loadmat(REAL / "stb/labels/B1Counting_BB.mat")["handPara"]
    read = stb.frames(REAL / "stb", ["B1Counting:7-7"], [], ["left"], False)["train"]
    np.testing.assert_array_equal(read[0].joints_mm[RING_MCP], raw[:, 5, 7])
    np.testing.assert_array_equal(read[0].joints_mm[HAND21.index("thumb_tip")], raw[:, 20, 7])


# the format


def test_what_is_written_is_read_back_the_same(small):
    found = frames(small)
    assert [len(found[split]) for split in ("train", "test")] == [4, 6]
    samples = [stb.read(frame)[0] for frame in found["test"]]
    assert [sample.name for sample in samples[:3]] == [
        "B1Counting/0000 left",
        "B1Counting/0000 right",
        "B1Counting/0001 left",
    ]
    expected = joints_mm(3)
    for number, sample in enumerate(samples):
        in_left = sample.joints_mm + [120.054 * (number % 2), 0, 0]
        np.testing.assert_allclose(in_left, expected[number // 2], rtol=1e-15)
        np.testing.assert_allclose(geometry.project(sample.joints_mm, sample.camera), sample.uv_px)
        assert (sample.image_u8 == 10 * (number // 2) + number % 2).all()
        assert sample.sequence == f"B1Counting {BOTH[number % 2]}" and sample.frame == number // 2


def test_scipy_reads_the_labels_in_stbs_own_order(small):
    raw = scipy.io.loadmat(small / "labels/B1Counting_BB.mat")["handPara"]
    assert raw.shape == (3, 21, 3) and raw.dtype == np.float64
    expected = joints_mm(3)
    np.testing.assert_array_equal(raw[:, 0, 1], expected[1, ROOT])
    np.testing.assert_array_equal(raw[:, 9, 1], expected[1, MIDDLE_MCP])
    np.testing.assert_array_equal(raw[:, 4, 1], expected[1, HAND21.index("little_tip")])


def test_the_way_to_base_to_tip_is_its_own_inverse():
    order = np.array(stb.TO_HAND21)
    np.testing.assert_array_equal(order[order], np.arange(21))


def test_the_crop_is_sized_by_a_wrist_beyond_the_palm(small):
    (sample,) = stb.read(frames(small)["train"][0])
    palm, ring = sample.uv_px[ROOT], sample.uv_px[RING_MCP]
    np.testing.assert_allclose(sample.sizing_uv_px[ROOT], 2 * palm - ring)
    np.testing.assert_array_equal(sample.sizing_uv_px[1:], sample.uv_px[1:])
    assert crop_hand(sample, size(64, 1.5)).image_u8.shape == (96, 96, 3)


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
    found = frames(small, ["B1Counting:0-1"], ["B1Counting:2-2"], ["right"])
    assert [(frame.number, frame.view) for frame in found["train"]] == [(0, "right"), (1, "right")]
    assert [frame.number for frame in found["test"]] == [2]


def test_labels_alone_need_no_images(tmp_path):
    root = write_set(tmp_path / "STB", {"B1Counting": 2, "B2Random": 2}, images=False)
    (sample,) = stb.read(frames(root, images=False)["train"][0])
    assert sample.image_u8 is None and crop_hand(sample, size(64, 1.5)).image_u8 is None
    message = refusal(frames, root)
    assert "BB_left_0.png: expected the image of a label, found no file" in message


@pytest.mark.parametrize(
    "training, evaluation, expected",
    [
        (["B1Counting"], ["B1Counting:2-2"], "expected every frame once, found B1Counting/2 again"),
        (["B1Counting:1-0"], ["B2Random"], "expected frames 1 to 0"),
        (["B1Counting:0-3"], ["B2Random"], "expected frames 0 to 3 of data.stb.protocol, found 3 frames"),
        (["B3Random"], ["B2Random"], "expected sequences whose labels are here (B1Counting, B2Random), or"),
        (["../B1Counting"], ["B2Random"], "found '../B1Counting'"),
    ],
)
def test_selections_that_cannot_be_are_refused(small, training, evaluation, expected):
    assert expected in refusal(frames, small, training, evaluation)


def test_the_published_set_is_known_by_all_its_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(stb, "PUBLISHED_FRAMES", 1)
    root = write_set(tmp_path / "STB", dict.fromkeys(stb.SEQUENCES, 1))
    assert stb.inspect(root)["published"] and stb.inspect(root)["notes"] == []
    (root / "images/B6Random/BB_right_0.png").unlink()
    facts = stb.inspect(root)
    assert (
        not facts["published"] and "1 sequences lack images (B6Random has 1 left and 0 right of 1)" in facts["notes"][0]
    )


def test_archives_unpacked_without_a_folder_of_their_own_are_noticed(small):
    for view in BOTH:
        path = stb.image_path(small, "B1Counting", view, 0)
        path.rename(small / "images" / path.name)
    assert "images holds BB_left_0.png itself: the archives of B1 to B3" in stb.inspect(small)["notes"][1]


def test_a_set_without_labels_is_not_found(tmp_path):
    (tmp_path / "STB/images").mkdir(parents=True)
    assert "expected STB's labels/<sequence>_BB.mat there or in one folder in it" in refusal(stb.find, tmp_path)
    assert "found no folder" in refusal(stb.find, tmp_path / "none")


# damaged files


@pytest.mark.parametrize(
    "array, expected",
    [
        (np.ones((3, 20, 4)), "expected handPara of 3 x 21 x frames, found 3 x 20 x 4"),
        (-np.ones((3, 21, 4)), "expected joints in front of the camera"),
        (np.linspace(1, 900, 3 * 21 * 4).reshape(3, 21, 4), "expected joints within 250 mm of joint 0"),
        (np.full((3, 21, 4), np.nan), "found"),
        (np.full((3, 21, 4), 1e300), "expected joints in front of the camera, 10 to 5000 mm"),
        (np.full((3, 21, 4), 1e-9), "expected joints in front of the camera, 10 to 5000 mm"),
        (np.full((3, 21, 4), 500.0), "expected a joint 20 mm or more from joint 0"),
    ],
)
def test_labels_that_no_hand_can_have_are_refused(small, array, expected):
    path = small / "labels/B1Counting_BB.mat"
    scipy.io.savemat(path, {"handPara": array})
    message = refusal(stb.inspect, small)
    assert expected in message and path.name in message


def test_a_damaged_label_file_is_right_or_refused(small):
    """The labels are compressed, so that a checksum finds every change of them."""
    path, rng, whole = small / "labels/B1Counting_BB.mat", np.random.default_rng(1), joints_mm(3)
    content, other = path.read_bytes(), (small / "labels/B2Random_BB.mat").read_bytes()

    def check():
        stb.inspect(small)
        found = np.stack([f.joints_mm for f in frames(small, views=["left"], images=False)["test"]])
        if len(found) == 2:  # the other sequence's file: whole, and nothing says that it is in the wrong place
            np.testing.assert_array_equal(found, joints_mm(2, 1))
        else:
            np.testing.assert_array_equal(found, whole)

    assert refused_or(check, path, [damaged(content, other, rng) for _ in range(COPIES)]) > 140


def test_a_damaged_image_is_right_or_refused(small):
    path, rng = small / "images/B1Counting/BB_left_0.png", np.random.default_rng(2)
    frame = frames(small)["test"][0]
    whole = stb.read(frame)[0].image_u8
    copies = [damaged(path.read_bytes(), b"<html></html>", rng) for _ in range(COPIES)]
    assert refused_or(lambda: np.testing.assert_array_equal(stb.read(frame)[0].image_u8, whole), path, copies) > 190


def test_an_image_of_another_size_is_refused(small):
    frame = frames(small)["test"][0]
    png.write(frame.image, np.zeros((320, 320, 3), np.uint8))
    with pytest.raises(InputError, match="expected 640x480 px, found 320x320"):
        stb.read(frame)


def test_a_tenth_of_the_labels_is_a_tenth_of_the_poses_in_both_their_views(tmp_path):
    chosen = frames(
        write_set(tmp_path, {"B1Counting": 1, "B2Counting": 30}, images=False), ["B2Counting"], images=False
    )
    rows = [crop_hand(stb.read(frame)[0], size(64, 1.5)) for frame in chosen["train"]]
    store.write(tmp_path / "stb.h5", {"train": rows}, {})
    stored = store.read(tmp_path / "stb.h5", ["train"], ["moment", "joints_mm", "sequence"])
    labelled = labelled_rows(stored["moment"], 0.1)
    # in the right camera's frame a point's x is smaller by the baseline: the same pose otherwise
    poses = {tuple(np.round(joints_mm[0, 1:], 3)) for joints_mm in stored["joints_mm"][labelled]}
    assert len(rows) == 60 and len(labelled) == 6 and len(poses) == 3
    assert sorted(stored["sequence"][labelled]) == 3 * ["B2Counting left"] + 3 * ["B2Counting right"]
