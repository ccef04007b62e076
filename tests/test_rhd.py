import dataclasses
import json
import os
import pickle
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handvae.base.errors import InputError
from handvae.base.joints import BONES21, HAND21, LEFT, MIDDLE_MCP, MIDDLE_PIP, RIGHT, ROOT
from handvae.datasets import png, rhd
from tests.conftest import REAL, needs_real
from tests.damage import damaged, refusal

K = np.array([[280.0, 0, 32], [0, 281.0, 24], [0, 0, 1]])


def hands_m(rng: np.random.Generator, frames: int) -> np.ndarray:
    """(frames, 42, 3) random joints in front of the camera."""
    return rng.uniform([-0.05, -0.04, 0.5], [0.05, 0.04, 0.7], (frames, 42, 3))


def annotations(xyz_m: np.ndarray, visible=True) -> dict[str, np.ndarray]:
    projected = xyz_m @ K.T
    uv = projected[..., :2] / projected[..., 2:]
    return {
        "uv_vis": np.concatenate([uv, np.broadcast_to(visible, xyz_m.shape[:2])[..., None]], axis=-1),
        "xyz_m": xyz_m,
        "K": np.broadcast_to(K, (len(xyz_m), 3, 3)),
    }


def read_depth_m(path: Path) -> np.ndarray:
    """(H, W) float32 metres: R is the high byte, G the low byte, 65535 is 5 m."""
    rgb = png.read_rgb_u8(path).astype(np.uint16)  # in uint8, NumPy 2 would overflow at R * 256
    return ((rgb[..., 0] * 256 + rgb[..., 1]) / 65535 * 5).astype(np.float32)


def write_set(root: Path, frames: dict[str, int], seed: int = 0, visible=True) -> Path:
    """A small set in RHD's layout with random joints and images of 64x48 px whose masks show the left hand."""
    rng = np.random.default_rng(seed)
    for split, count in frames.items():
        rhd.write_annotations(root / split, **annotations(hands_m(rng, count), visible))
        for index in range(count):
            mask_u8 = np.full((48, 64), 17, np.uint8)
            color_u8 = rng.integers(0, 256, (48, 64, 3)).astype(np.uint8)
            rhd.write_frame(root / split, index, color_u8, mask_u8, np.full((48, 64), 2.0))
    return root


@pytest.fixture
def small(tmp_path) -> Path:
    return write_set(tmp_path / "set", {"training": 3, "evaluation": 2})


def sample_of(root: Path, index: int = 0, split: str = "training", hands: str = "dominant") -> list:
    return rhd.read_frame(root, split, index, rhd.read_annotations(root, split)[index], hands)


def change_annotations(root: Path, change, split: str = "training") -> None:
    path = root / split / f"anno_{split}.pickle"
    content = pickle.loads(path.read_bytes())
    changed = change(content)
    path.write_bytes(pickle.dumps(content if changed is None else changed, protocol=3))


# real data


def handedness(joints_mm: np.ndarray) -> float:
    """Negative for a left hand: fingers curl towards the palm's side of the plane of root, index and little MCP."""
    knuckles, tips = joints_mm[[5, 9, 13, 17]], joints_mm[[8, 12, 16, 20]]
    normal = np.cross(knuckles[0] - joints_mm[ROOT], knuckles[3] - joints_mm[ROOT])
    return normal @ (tips.mean(axis=0) - knuckles.mean(axis=0))


@needs_real
def test_every_real_photograph_is_read_right():
    for split, frames in (("training", 180), ("evaluation", 57)):
        read = rhd.read_annotations(REAL / "photos", split)
        assert len(read) == frames
        for index, annotation in enumerate(read):
            (sample,) = rhd.read_frame(REAL / "photos", split, index, annotation, "dominant")
            assert sample.name == f"{split}/{index:05d} left" and sample.side == LEFT and sample.visible.all()
            projected = sample.joints_mm @ sample.camera.T
            error_px = np.linalg.norm(projected[:, :2] / projected[:, 2:] - sample.uv_px, axis=1)
            assert error_px[1:].max() < 0.01  # the palm is half-way in the image too, which perspective is not
            assert error_px[ROOT] < 5
            wrist_mm = annotation.xyz_m[0] * 1000
            np.testing.assert_allclose(sample.joints_mm[ROOT], (wrist_mm + sample.joints_mm[MIDDLE_MCP]) / 2)
            np.testing.assert_allclose(sample.uv_px[ROOT], (annotation.uv_px[0] + sample.uv_px[MIDDLE_MCP]) / 2)
            bones_mm = [np.linalg.norm(sample.joints_mm[a] - sample.joints_mm[b]) for a, b in BONES21]
            assert min(bones_mm) > 12 and max(bones_mm) < 65 and 200 < sample.joints_mm[ROOT, 2] < 1500
            assert handedness(sample.joints_mm) < 0  # a left hand


@needs_real
def test_both_hands_of_the_photographs_are_the_one_that_is_seen():
    read = rhd.read_annotations(REAL / "photos", "evaluation")
    assert [s.side for s in rhd.read_frame(REAL / "photos", "evaluation", 3, read[3], "both")] == [LEFT]


@needs_real
def test_the_photographs_pass_inspection_as_a_set_that_is_not_the_published_one():
    found = rhd.inspect(REAL / "photos")
    assert not found["published"]
    assert {split: facts["frames"] for split, facts in found["splits"].items()} == {"training": 180, "evaluation": 57}


# image: (side, palm in m, middle finger's MCP-PIP in m, crop centre: the truncated uv of the middle MCP)
REAL_RHD = {
    "00111": (LEFT, None, 0.034629, (215, 131)),
    "01111": (LEFT, None, 0.036855, (205, 146)),
    "11111": (RIGHT, (0.04084, -0.02498, 0.65145), 0.036848, (186, 145)),
}


def layout_from_json(root: Path) -> list[str]:
    """mmpose's three real images and their JSON, in millimetres, as a set in RHD's layout; the mask shows the side."""
    content = json.loads((REAL / "rhd" / "test_rhd.json").read_text())
    rows = sorted(content["annotations"], key=lambda row: row["image_id"])
    uv_vis, xyz_m, cameras = np.zeros((3, 42, 3)), np.zeros((3, 42, 3)), np.zeros((3, 3, 3))
    names = []
    for index, row in enumerate(rows):
        image = next(image for image in content["images"] if image["id"] == row["image_id"])
        names.append(Path(image["file_name"]).stem)
        block = slice(0, 21) if row["hand_type"] == "left" else slice(21, 42)
        uv_vis[index, block], xyz_m[index, block] = row["keypoints"], np.array(row["joint_cam"]) / 1000
        (fx, fy), (cx, cy) = image["cam_param"]["focal"], image["cam_param"]["princpt"]
        cameras[index] = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
        color_u8 = np.array(Image.open(REAL / "rhd" / image["file_name"]))
        label = 17 if row["hand_type"] == "left" else 33
        rhd.write_frame(root / "training", index, color_u8, np.full((320, 320), label, np.uint8), np.ones((320, 320)))
    rhd.write_annotations(root / "training", uv_vis, xyz_m, cameras)
    return names


@needs_real
def test_real_rhd_images_give_the_acceptance_numbers(tmp_path):
    names = layout_from_json(tmp_path)
    assert sorted(names) == sorted(REAL_RHD)
    read = rhd.read_annotations(tmp_path, "training")
    for index, name in enumerate(names):
        side, palm_m, bone_m, centre_px = REAL_RHD[name]
        (sample,) = rhd.read_frame(tmp_path, "training", index, read[index], "dominant")
        assert sample.side == side
        assert (handedness(sample.joints_mm) > 0) == (side == RIGHT)
        bone_mm = np.linalg.norm(sample.joints_mm[MIDDLE_PIP] - sample.joints_mm[MIDDLE_MCP])
        assert bone_mm == pytest.approx(bone_m * 1000, abs=0.001)
        assert tuple(np.trunc(sample.uv_px[MIDDLE_MCP])) == centre_px
        projected = sample.joints_mm[1:] @ sample.camera.T
        assert np.abs(projected[:, :2] / projected[:, 2:] - sample.uv_px[1:]).max() < 0.09
        if palm_m:
            np.testing.assert_allclose(sample.joints_mm[ROOT], np.array(palm_m) * 1000, atol=0.01)
        np.testing.assert_array_equal(sample.image_u8, np.array(Image.open(REAL / "rhd" / f"{name}.png")))


@needs_real
def test_a_mistaken_joint_order_or_unit_would_show_in_the_acceptance_numbers(tmp_path):
    names = layout_from_json(tmp_path)
    index = names.index("11111")
    xyz_m = rhd.read_annotations(tmp_path, "training")[index].xyz_m[21:]
    assert np.linalg.norm(xyz_m[12] - xyz_m[11]) == pytest.approx(0.036848, abs=1e-6)
    assert abs(np.linalg.norm(xyz_m[9] - xyz_m[10]) - 0.036848) > 0.005


# writing and reading back


def test_joints_come_back_base_to_tip_in_millimetres(tmp_path):
    root = write_set(tmp_path / "set", {"training": 4})
    written = annotations(hands_m(np.random.default_rng(0), 4))
    for index, annotation in enumerate(rhd.read_annotations(root, "training")):
        np.testing.assert_allclose(annotation.xyz_m, written["xyz_m"][index], rtol=1e-6)
        np.testing.assert_allclose(annotation.uv_px, written["uv_vis"][index, :, :2], rtol=1e-6, atol=1e-5)
        np.testing.assert_array_equal(annotation.K, written["K"][index])
        left, right = rhd.read_frame(root, "training", index, annotation, "both")
        for sample, first in ((left, 0), (right, 21)):
            block_mm = annotation.xyz_m[first : first + 21] * 1000
            # the wrist is row 0; thumb 1 to 4, index 5 to 8, ... each from the tip
            np.testing.assert_array_equal(sample.joints_mm[HAND21.index("thumb_tip")], block_mm[1])
            np.testing.assert_array_equal(sample.joints_mm[HAND21.index("thumb_cmc")], block_mm[4])
            np.testing.assert_array_equal(sample.joints_mm[HAND21.index("middle_mcp")], block_mm[12])
            np.testing.assert_array_equal(sample.joints_mm[HAND21.index("little_pip")], block_mm[19])
            np.testing.assert_allclose(sample.joints_mm[ROOT], (block_mm[0] + block_mm[12]) / 2)
            assert sample.visible.dtype == bool


def test_the_way_to_base_to_tip_is_its_own_inverse_and_keeps_fingers():
    order = np.array(rhd.TO_HAND21)
    np.testing.assert_array_equal(order[order], np.arange(21))
    assert all((i + 3) // 4 == (order[i] + 3) // 4 for i in range(21))


def test_images_come_back_and_depth_to_half_a_code(tmp_path):
    rng = np.random.default_rng(1)
    color_u8, mask_u8 = rng.integers(0, 256, (2, 48, 64, 3)).astype(np.uint8), rng.integers(0, 34, (48, 64))
    depth_m = np.concatenate([rng.uniform(0, 5, 48 * 64 - 4), [0, 5, 255 / 65535 * 5, 256 / 65535 * 5]]).reshape(48, 64)
    rhd.write_frame(tmp_path / "training", 7, color_u8[0], mask_u8.astype(np.uint8), depth_m)
    rhd.write_annotations(tmp_path / "training", **annotations(hands_m(rng, 1)))
    np.testing.assert_array_equal(png.read_rgb_u8(tmp_path / "training" / "color" / "00007.png"), color_u8[0])
    np.testing.assert_array_equal(png.read_grey_u8(tmp_path / "training" / "mask" / "00007.png"), mask_u8)
    path = tmp_path / "training" / "depth" / "00007.png"
    assert np.abs(read_depth_m(path) - depth_m).max() <= 0.5 * 5 / 65535 + 1e-6
    encoded = np.array(Image.open(path)).reshape(-1, 3)[-4:]
    np.testing.assert_array_equal(encoded, [[0, 0, 0], [255, 255, 0], [0, 255, 0], [1, 0, 0]])  # R is the high byte


def test_the_same_set_is_written_as_the_same_bytes(tmp_path):
    for name in "ab":
        write_set(tmp_path / name, {"training": 3, "evaluation": 2}, seed=5)
    files = [path.relative_to(tmp_path / "a") for path in sorted((tmp_path / "a").rglob("*")) if path.is_file()]
    assert len(files) == 3 * 5 + 2
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


@pytest.mark.parametrize("value", [5.001, -0.001, np.nan, np.inf])
def test_depth_that_the_encoding_cannot_hold_is_refused_and_nothing_written(tmp_path, value):
    depth_m = np.ones((48, 64))
    depth_m[3, 4] = value
    color_u8, mask_u8 = np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8)
    assert "00000.png" in refusal(rhd.write_frame, tmp_path / "training", 0, color_u8, mask_u8, depth_m)
    assert list(tmp_path.iterdir()) == []


def test_the_writer_refuses_what_the_reader_would_refuse_or_doubt(tmp_path):
    good = annotations(hands_m(np.random.default_rng(0), 2))
    one_far = good["xyz_m"] + [0, 0, 1] * ((np.arange(84) == 50).reshape(2, 42, 1))  # one joint of one hand
    wrong = {"uv_vis": [good["uv_vis"] + 3], "xyz_m": [good["xyz_m"] * np.nan, one_far], "K": [good["K"][:1]]}
    for key, value in ((key, value) for key, values in wrong.items() for value in values):
        with pytest.raises(InputError, match=r"anno_training\.pickle.*expected"):
            rhd.write_annotations(tmp_path / "training", **{**good, key: value})
    assert list(tmp_path.iterdir()) == []


# which hand


def side_of_mask(root: Path, labels) -> int:
    mask_u8 = np.zeros((48, 64), np.uint8)
    mask_u8.flat[: len(labels)] = labels
    png.write(root / "training" / "mask" / "00000.png", mask_u8)
    (sample,) = sample_of(root)
    return sample.side


def test_the_dominant_hand_has_more_mask_pixels_and_a_tie_is_right(small):
    assert side_of_mask(small, []) == RIGHT
    assert side_of_mask(small, [1, 1, 1]) == RIGHT  # 1 is the body
    assert side_of_mask(small, [2]) == LEFT
    assert side_of_mask(small, [17]) == LEFT
    assert side_of_mask(small, [18]) == RIGHT
    assert side_of_mask(small, [2, 17, 18, 33]) == RIGHT
    assert side_of_mask(small, [2, 9, 17, 18, 33]) == LEFT
    assert side_of_mask(small, [5, 18, 33, 1, 1]) == RIGHT


def test_the_samples_joints_are_those_of_its_side(small):
    annotation = rhd.read_annotations(small, "training")[0]
    (left,) = sample_of(small)
    assert left.name == "training/00000 left"
    np.testing.assert_array_equal(left.joints_mm[1:], annotation.xyz_m[:21][list(rhd.TO_HAND21)][1:] * 1000)
    assert side_of_mask(small, [20]) == RIGHT
    (right,) = sample_of(small)
    assert right.name == "training/00000 right"
    np.testing.assert_array_equal(right.joints_mm[1:], annotation.xyz_m[21:][list(rhd.TO_HAND21)][1:] * 1000)


def test_both_hands_are_those_with_a_visible_joint_left_first(small):
    assert [sample.side for sample in sample_of(small, hands="both")] == [LEFT, RIGHT]
    for hidden, sides in ((slice(0, 21), [RIGHT]), (slice(21, 42), [LEFT]), (slice(0, 42), [])):

        def hide(content, hidden=hidden):
            content[0]["uv_vis"][:, 2] = 1
            content[0]["uv_vis"][hidden, 2] = 0

        change_annotations(small, hide)
        assert [sample.side for sample in sample_of(small, hands="both")] == sides
    assert "'all'" in refusal(sample_of, small, 0, "training", "all")


def test_a_dominant_hand_without_a_visible_joint_is_returned(small):
    change_annotations(small, lambda content: content[0]["uv_vis"].__setitem__((slice(0, 21), 2), 0))
    (sample,) = sample_of(small)
    assert sample.side == LEFT and not sample.visible.any()


def test_visible_joints_lie_on_their_own_hands_mask_or_not(small):
    frame = rhd.frames(small, "dominant")["train"][0]
    uv_px = frame.annotation.uv_px[:21].round().astype(int)
    mask_u8 = np.full((48, 64), 20, np.uint8)  # the other hand everywhere, but at two joints of this one
    for column, row in uv_px[[4, 8]]:
        mask_u8[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4] = 3
    png.write(small / "training/mask/00000.png", mask_u8)
    annotation = frame.annotation
    left = dataclasses.replace(annotation, visible=annotation.visible & (np.arange(42) < 21))
    other = rhd.visible_joints_on_mask(dataclasses.replace(frame, annotation=left))
    assert len(other) == 0  # right is dominant now, of which nothing is visible
    png.write(small / "training/mask/00000.png", np.where(mask_u8 == 20, 0, mask_u8).astype(np.uint8))
    found = rhd.visible_joints_on_mask(dataclasses.replace(frame, annotation=left))
    assert found.sum() >= 2 and not found.all()
    near = np.abs(uv_px[:, None] - uv_px[[4, 8]]).max(axis=2).min(axis=1) <= 6
    np.testing.assert_array_equal(found[1:], near[list(rhd.TO_HAND21)][1:])


def test_a_set_without_any_visible_joint_has_no_hands(small):
    for split in rhd.SPLITS.values():
        content = pickle.loads((path := rhd.annotation_path(small / split)).read_bytes())
        for sample in content.values():
            sample["uv_vis"][:, 2] = 0
        path.write_bytes(pickle.dumps(content))
    assert "expected a hand with a visible joint, found none" in refusal(rhd.labelled_hands, small)


def test_the_palm_is_visible_if_wrist_or_middle_mcp_is(small):
    for wrist, mcp in ((0, 0), (0, 1), (1, 0), (1, 1)):

        def set_visible(content, wrist=wrist, mcp=mcp):
            content[0]["uv_vis"][[0, 12], 2] = wrist, mcp

        change_annotations(small, set_visible)
        (sample,) = sample_of(small)
        assert sample.visible[ROOT] == bool(wrist or mcp) and sample.visible[MIDDLE_MCP] == bool(mcp)


# bad annotations


def put(key, where, value):
    return lambda content: content[1][key].__setitem__(where, value)


def scale(array, factor):
    array *= factor


DOUBTFUL = {  # what is wrong with a hand of sample 1, and whether it can be tested on all the same
    "NaN joint": (put("xyz", (5, 1), np.nan), "left hand: expected finite xyz, found nan at joint 5", False),
    "infinite uv": (put("uv_vis", (30, 0), np.inf), "right hand: expected finite uv_vis, found inf at joint 9", False),
    "joint behind the camera": (put("xyz", (3, 2), -0.5), "expected visible joints in front of the camera", True),
    "joint elsewhere": (put("xyz", (3, 0), 0.1), "left hand: expected uv = K xyz within 1 px", True),
    "joint far behind, on the same ray": (
        lambda content: scale(content[1]["xyz"][3:4], 2),
        "left hand: expected joints within 0.3 m of the middle MCP",
        True,
    ),
    "huge joint": (put("xyz", 3, 1e30), "expected joints within 0.3 m of the middle MCP, found 1.7", False),
    "hands in millimetres": (lambda content: scale(content[1]["xyz"], 1000), "expected joints within 0.3 m", False),
    "image of another size": (
        lambda content: content[1].update(uv_vis=content[1]["uv_vis"] * [2, 2, 1]),
        "expected uv = K xyz",
        True,
    ),
    "a frame of zeros": (
        lambda content: content[1].update(xyz=content[1]["xyz"] * 0, uv_vis=content[1]["uv_vis"] * [0, 0, 1]),
        "expected visible joints in front of the camera, 0.01 m or more, found 0 at joint 0",
        False,
    ),
    "negative focal length": (put("K", (0, 0), -280), "expected focal lengths above 0, up to 100000 px", True),
    "focal length too long": (put("K", (1, 1), 1e20), "up to 100000 px, found 1e+20 on axis 1", True),
    "joint at the camera": (put("xyz", (3, 2), 1e-9), "in front of the camera, 0.01 m or more", True),
    "all joints in one point": (
        lambda content: content[1].update(xyz=content[1]["xyz"] * 0 + [0, 0, 0.5]),
        "expected a hand that reaches 0.02 m, found 0",
        False,
    ),
    "no middle finger": (
        lambda content: content[1]["xyz"].__setitem__(11, content[1]["xyz"][12]),
        "left hand: expected a middle finger's MCP-PIP of 1 mm or more, found 0",
        False,
    ),
    "K not a camera": (put("K", (2, 1), 0.1), "expected K with last row 0 0 1, found 0.1 in column 1", True),
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_doubtful_hand_is_named_and_not_trained_on_and_all_others_are(small, name):
    change, expected, testable = DOUBTFUL[name]
    change_annotations(small, change)
    annotations = rhd.read_annotations(small, "training")
    found = [doubt for annotation in annotations for doubt in annotation.doubts if doubt]
    assert found and all("anno_training.pickle: sample 1, " in str(doubt) for doubt in found)
    assert any(expected in str(doubt) for doubt in found) and {doubt.testable for doubt in found} == {testable}
    for index, annotation in enumerate(annotations):
        samples = rhd.read_frame(small, "training", index, annotation, "both")
        doubtful = [sample for sample in samples if not sample.trainable]
        assert len(samples) == 2 - (0 if testable else sum(map(bool, annotation.doubts)))
        assert len(doubtful) == (sum(map(bool, annotation.doubts)) if testable else 0)
    assert len(rhd.labelled_hands(small).joints_mm) == 2 * 5 - len(found)
    (note,) = rhd.inspect(small)["notes"]
    assert note.startswith(f"{len(found)} label(s) that no hand can have") and expected in note


def test_a_frame_has_the_doubts_of_the_hands_that_are_wanted_of_it(small):
    change_annotations(small, put("xyz", (30, 1), np.nan))  # of the right hand; the masks show the left one
    dominant, both = (rhd.frames(small, hands)["train"] for hands in rhd.HANDS)
    assert [frame.doubt for frame in dominant] == [None, None, None]
    assert [frame.doubt and frame.doubt.testable for frame in both] == [None, True, None]  # the left hand stays
    assert [sample.side for frame in both for sample in rhd.read(frame)] == [LEFT, RIGHT, LEFT, LEFT, RIGHT]
    png.write(small / "training/mask/00001.png", np.full((48, 64), 18, np.uint8))
    frame = rhd.frames(small, "dominant")["train"][1]
    assert not frame.doubt.testable and rhd.read(frame) == []


def test_the_hand_that_is_not_seen_may_have_no_numbers(small):
    def nan(content):
        for sample in content.values():
            sample["xyz"][21:] = np.nan
            sample["uv_vis"][21:] = (np.nan, np.nan, 0)

    change_annotations(small, nan)
    assert rhd.inspect(small)["notes"] == []
    assert [frame.doubt for frame in rhd.frames(small, "both")["train"]] == [None, None, None]


BAD_ANNOTATIONS = {
    "visibility 0.5": (put("uv_vis", (2, 2), 0.5), "sample 1, row 2: expected visibility 0 or 1, found 0.5"),
    "wrong shape": (lambda content: content[1].update(xyz=content[1]["xyz"][:21]), "expected xyz as numbers (42, 3)"),
    "transposed": (lambda content: content[1].update(uv_vis=content[1]["uv_vis"].T), "found float32 (3, 42)"),
    "complex": (lambda content: content[1].update(K=content[1]["K"] * 1j), "found complex"),
    "a list": (lambda content: content[1].update(K=content[1]["K"].tolist()), "found list"),
    "key missing": (
        lambda content: content[1].__delitem__("K"),
        "found NoneType",
    ),
    "sample no dict": (lambda content: content.__setitem__(1, 5), "sample 1"),
    "id missing": (lambda content: content.__setitem__(7, content.pop(1)), "3 entries without id 1"),
    "ids are text": (lambda content: {str(key): value for key, value in content.items()}, "3 entries without id 0"),
    "a list of samples": (lambda content: list(content.values()), "found list"),
}


@pytest.mark.parametrize("name", BAD_ANNOTATIONS)
def test_bad_annotations_are_refused(small, name):
    change, expected = BAD_ANNOTATIONS[name]
    change_annotations(small, change)
    message = refusal(rhd.read_annotations, small, "training")
    assert "anno_training.pickle" in message and expected in message
    assert message == refusal(rhd.inspect, small)


def test_a_hand_that_is_not_seen_may_be_anywhere(small):
    def far_away(content):
        content[1]["uv_vis"][21:] = (-1e6, 3e5, 0)
        content[1]["xyz"][21:] = (3, -2, -0.7)

    change_annotations(small, far_away)
    annotation = rhd.read_annotations(small, "training")[1]
    assert not annotation.visible[21:].any()
    assert len(rhd.read_frame(small, "training", 1, annotation, "both")) == 1


# bad layouts and counts


def test_counts_and_names_must_agree(small):
    assert rhd.inspect(small)["splits"]["training"]["frames"] == 3
    extra = small / "training" / "mask" / "00003.png"
    shutil.copy(small / "training" / "mask" / "00000.png", extra)
    assert "3 annotations, 3 in color, 4 in mask" in refusal(rhd.inspect, small)
    extra.unlink()
    (small / "evaluation" / "color" / "00001.png").rename(small / "evaluation" / "color" / "00002.png")
    assert (
        "evaluation/color: expected 00000.png to 00001.png as there are 2 annotations, found no 00001.png"
        in refusal(rhd.inspect, small)
    )


def test_missing_parts_are_named(small):
    (small / "evaluation" / "anno_evaluation.pickle").unlink()
    assert "anno_evaluation.pickle" in refusal(rhd.inspect, small)
    shutil.rmtree(small / "training" / "mask")
    assert "training/mask" in refusal(rhd.inspect, small)


def test_a_missing_image_is_named_and_so_is_one_that_is_no_file(small):
    path = small / "training" / "mask" / "00001.png"
    path.unlink()
    assert "mask: expected 00000.png to 00002.png as there are 3 annotations, found no 00001.png" in refusal(
        rhd.inspect, small
    )
    path.symlink_to("nowhere")
    assert "mask/00001.png: expected the image of a label, found no file" in refusal(rhd.inspect, small)
    path.unlink()
    os.mkfifo(path)  # to read it would wait for ever
    assert "mask/00001.png: expected the image of a label, found something else" in refusal(rhd.inspect, small)


def test_depth_and_helper_files_are_not_needed(small):
    shutil.rmtree(small / "training" / "depth")
    (small / "training" / "color" / "Thumbs.db").write_bytes(b"x")
    (small / "README").write_text("helper")
    rhd.inspect(small)
    assert len(sample_of(small)) == 1


def set_without_pictures(root: Path, counts: dict[str, int]) -> Path:
    """The layout without pictures: inspection reads names, sizes and annotations only."""
    for split, count in counts.items():
        rhd.write_annotations(root / split, **annotations(np.tile(hands_m(np.random.default_rng(0), 1), (count, 1, 1))))
        for folder, colour in (("color", 2), ("mask", 0)):
            (root / split / folder).mkdir()
            for index in range(count):
                (root / split / folder / f"{index:05d}.png").write_bytes(png_claiming(64, 48, colour=colour))
    return root


def test_the_published_set_is_known_by_its_folder_and_has_exact_counts(tmp_path):
    root = set_without_pictures(tmp_path / "other", {"training": 5, "evaluation": 2701})
    assert not rhd.inspect(root)["published"]
    root = root.rename(tmp_path / rhd.PUBLISHED_FOLDER)
    assert "training: expected 41,258 frames as in the published RHD, found 5" in refusal(rhd.inspect, root)


def test_the_published_set_is_known_by_its_training_count(tmp_path, monkeypatch):
    monkeypatch.setattr(rhd, "PUBLISHED_COUNTS", {"training": 40, "evaluation": 2728})
    root = set_without_pictures(tmp_path / "set", {"training": 40, "evaluation": 2701})
    assert "evaluation: expected 2,728 frames as in the published RHD, found 2,701" in refusal(rhd.inspect, root)
    shutil.rmtree(root / "evaluation")
    assert rhd.inspect(set_without_pictures(root, {"evaluation": 2728}))["published"]


def test_the_counts_are_those_of_the_published_set():
    assert rhd.PUBLISHED_COUNTS == {"training": 41258, "evaluation": 2728}


# bad images


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_claiming(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    pixels = zlib.compress(bytes(100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def encoded(image: Image.Image, kind: str, path: Path) -> bytes:
    image.save(path, format=kind)
    return path.read_bytes()


def bad_images(tmp_path: Path) -> dict[str, tuple[bytes, str]]:
    rgb, scratch = Image.new("RGB", (64, 48)), tmp_path / "scratch"
    return {
        "empty": (b"", "found an empty file"),
        "JPEG": (encoded(rgb, "JPEG", scratch), "expected a PNG, found another format"),
        "grey": (encoded(Image.new("L", (64, 48)), "PNG", scratch), "expected an 8-bit RGB PNG, found 8-bit grey"),
        "palette": (encoded(rgb.convert("P"), "PNG", scratch), "found 8-bit palette"),
        "alpha": (encoded(Image.new("RGBA", (64, 48)), "PNG", scratch), "found 8-bit RGBA"),
        "too wide": (png_claiming(5000, 48), "found one that does not decode (5000x48 px"),
        "too little data": (png_claiming(64, 48), "found one that does not decode"),
        "other size": (encoded(Image.new("RGB", (64, 47)), "PNG", scratch), "expected 64x47 px as its colour image"),
    }


def test_unsuitable_images_are_refused(small, tmp_path):
    path = small / "training" / "color" / "00000.png"
    for name, (content, expected) in bad_images(tmp_path).items():
        path.write_bytes(content)
        message = refusal(sample_of, small)
        assert expected in message and "00000.png" in message, name
    path.unlink()
    assert "found no file" in refusal(sample_of, small)


def test_pictures_of_ones_own_are_converted_and_named_and_those_of_the_published_set_refused(small, monkeypatch):
    whole = [sample.image_u8 for frame in rhd.frames(small, "dominant")["train"] for sample in rhd.read(frame)]
    assert rhd.inspect(small)["notes"] == []
    for path in small.glob("training/color/*.png"):
        Image.open(path).convert("RGBA").save(path)
    for path in small.glob("training/mask/*.png"):
        mask = Image.open(path)
        mask.putpalette(list(range(256)) * 3)
        mask.save(path)
    frames = rhd.frames(small, "dominant")["train"]
    assert np.array_equal(whole, [sample.image_u8 for frame in frames for sample in rhd.read(frame)])
    assert all(rhd.visible_joints_on_mask(frame).all() for frame in frames)
    notes = ["3 pictures in color are 8-bit RGBA", "3 pictures in mask are 8-bit palette"]
    assert [note.partition(",")[0] for note in rhd.inspect(small)["notes"]] == notes
    monkeypatch.setattr(rhd, "PUBLISHED_COUNTS", {"training": 3, "evaluation": 2})
    assert rhd.inspect(small)["notes"] == []
    assert "color/00000.png: expected an 8-bit RGB PNG, found 8-bit RGBA" in refusal(
        rhd.read, rhd.frames(small, "dominant")["train"][0]
    )


def test_an_unsuitable_mask_is_refused(small):
    path = small / "training" / "mask" / "00000.png"
    png.write(path, np.full((48, 64), 34, np.uint8))
    assert "expected part labels 0 to 33, found 34" in refusal(sample_of, small)
    shutil.copy(small / "training" / "color" / "00000.png", path)
    assert "mask/00000.png: expected an 8-bit grey PNG" in refusal(sample_of, small)


# damaged files


@pytest.mark.parametrize("folder", ["color", "mask"])
def test_a_damaged_image_is_right_or_refused(small, folder):
    """Checksums: no flipped bit passes as another picture."""
    path = small / "training" / folder / "00000.png"
    content, other = (
        path.read_bytes(),
        (small / "training" / {"color": "mask", "mask": "color"}[folder] / "00000.png").read_bytes(),
    )
    (whole,) = sample_of(small)
    annotation = rhd.read_annotations(small, "training")[0]
    rng = np.random.default_rng(2)
    refused = 0
    for _ in range(200):
        path.write_bytes(damaged(content, other, rng))
        try:
            (sample,) = rhd.read_frame(small, "training", 0, annotation, "dominant")
            np.testing.assert_array_equal(sample.image_u8, whole.image_u8)
            assert sample.side == whole.side
        except InputError as error:
            assert "00000.png: expected" in str(error) and "\n" not in str(error)
            refused += 1
    assert refused > 190


def test_damaged_annotations_are_right_or_refused(small):
    """Right: joints that project to the annotated pixels. A pickle has no checksum: the last bits may differ."""
    path, other = small / "training" / "anno_training.pickle", small / "evaluation" / "anno_evaluation.pickle"
    content, swap = path.read_bytes(), other.read_bytes()
    whole = rhd.read_annotations(small, "training")
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(200):
        path.write_bytes(damaged(content, swap, rng))
        try:
            rhd.inspect(small)
            for before, after in zip(whole, rhd.read_annotations(small, "training"), strict=True):
                for doubt in filter(None, after.doubts):
                    raise InputError(str(doubt))
                projected = after.xyz_m @ after.K.T
                error_px = np.linalg.norm(projected[:, :2] / projected[:, 2:] - after.uv_px, axis=1)
                assert error_px.max() < 1.1
                assert np.linalg.norm(after.uv_px - before.uv_px, axis=1).max() < 2.5
                assert np.linalg.norm(after.xyz_m - before.xyz_m, axis=1).max() < 0.35
        except InputError as error:
            assert "expected" in str(error) and "\n" not in str(error)
            refused += 1
    assert refused > 100
