import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handvae.base.geometry import handedness, project
from handvae.base.joints import HAND21, LEFT, MIDDLE_MCP, MIDDLE_PIP, RIGHT, ROOT
from handvae.datasets import png, rhd
from handvae.datasets.rhd_annotations import read_annotations, write_annotations
from tests.conftest import REAL, needs_real
from tests.damage import refusal

K = np.array([[280.0, 0, 32], [0, 281.0, 24], [0, 0, 1]])


def hands_m(rng: np.random.Generator, frames: int) -> np.ndarray:
    """(frames, 42, 3) random joints in front of the camera."""
    return rng.uniform([-0.05, -0.04, 0.5], [0.05, 0.04, 0.7], (frames, 42, 3))


def annotations(xyz_m: np.ndarray, visible=True) -> dict[str, np.ndarray]:
    visible = np.broadcast_to(visible, xyz_m.shape[:2])[..., None]
    uv_vis = np.concatenate([project(xyz_m, K), visible], axis=-1)
    return {"uv_vis": uv_vis, "xyz_m": xyz_m, "K": np.broadcast_to(K, (len(xyz_m), 3, 3))}


def read_depth_m(path: Path) -> np.ndarray:
    """(H, W) float32 metres: R is the high byte, G the low byte, 65535 is 5 m."""
    rgb = png.read_rgb_u8(path).astype(np.uint16)  # in uint8, NumPy 2 would overflow at R * 256
    return ((rgb[..., 0] * 256 + rgb[..., 1]) / 65535 * 5).astype(np.float32)


def write_set(root: Path, frames: dict[str, int], seed: int = 0, visible=True) -> Path:
    """A small set in RHD's layout with random joints and images of 64x48 px whose masks show the left hand."""
    rng = np.random.default_rng(seed)
    for split, count in frames.items():
        write_annotations(root / split, **annotations(hands_m(rng, count), visible))
        for index in range(count):
            mask_u8 = np.full((48, 64), 17, np.uint8)
            color_u8 = rng.integers(0, 256, (48, 64, 3)).astype(np.uint8)
            rhd.write_frame(root / split, index, color_u8, mask_u8, np.full((48, 64), 2.0))
    return root


@pytest.fixture
def small(tmp_path) -> Path:
    return write_set(tmp_path / "set", {"training": 3, "evaluation": 2})


def training_frames(root: Path, hands: str = "dominant") -> list[rhd.Frame]:
    annotations = enumerate(read_annotations(root, "training"))
    return [rhd.Frame(root, "training", *numbered, hands, doubt=None, convert=False) for numbered in annotations]


def first_samples(root: Path, hands: str = "dominant") -> list:
    return rhd.read(training_frames(root, hands)[0])


def change_annotations(root: Path, change) -> None:
    path = root / "training/anno_training.pickle"
    content = pickle.loads(path.read_bytes())
    changed = change(content)
    path.write_bytes(pickle.dumps(content if changed is None else changed, protocol=3))


def put(key, where, value, sample=1):
    return lambda content: content[sample][key].__setitem__(where, value)


# image: (side, palm in m, middle finger's MCP-PIP in m, crop centre: the truncated uv of the middle MCP)
REAL_RHD = {
    "00111": (LEFT, None, 0.034629, (215, 131)),
    "01111": (LEFT, None, 0.036855, (205, 146)),
    "11111": (RIGHT, (0.04084, -0.02498, 0.65145), 0.036848, (186, 145)),
}


def layout_from_json(root: Path) -> list[str]:
    """mmpose's three real images and their JSON, in millimetres, as a set in RHD's layout; the mask shows the side."""
    content = json.loads((REAL / "rhd" / "test_rhd.json").read_text())
    images = {image["id"]: image for image in content["images"]}
    rows = sorted(content["annotations"], key=lambda row: row["image_id"])
    uv_vis, xyz_m, cameras = np.zeros((3, 42, 3)), np.zeros((3, 42, 3)), np.zeros((3, 3, 3))
    for index, row in enumerate(rows):
        image, left = images[row["image_id"]], row["hand_type"] == "left"
        block = slice(0, 21) if left else slice(21, 42)
        uv_vis[index, block], xyz_m[index, block] = row["keypoints"], np.array(row["joint_cam"]) / 1000
        (fx, fy), (cx, cy) = image["cam_param"]["focal"], image["cam_param"]["princpt"]
        cameras[index] = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
        color_u8, mask_u8 = np.array(Image.open(REAL / "rhd" / image["file_name"])), np.full((320, 320), 33 - 16 * left)
        rhd.write_frame(root / "training", index, color_u8, mask_u8.astype(np.uint8), np.ones((320, 320)))
    write_annotations(root / "training", uv_vis, xyz_m, cameras)
    return [Path(images[row["image_id"]]["file_name"]).stem for row in rows]


@needs_real
def test_real_rhd_images_give_the_acceptance_numbers(tmp_path):
    names = layout_from_json(tmp_path)
    assert sorted(names) == sorted(REAL_RHD)
    for frame, name in zip(training_frames(tmp_path), names, strict=True):
        side, palm_m, bone_m, centre_px = REAL_RHD[name]
        (sample,) = rhd.read(frame)
        assert sample.side == side and (handedness(sample.joints_mm) > 0) == (side == RIGHT)
        bone_mm = np.linalg.norm(sample.joints_mm[MIDDLE_PIP] - sample.joints_mm[MIDDLE_MCP])
        assert bone_mm == pytest.approx(bone_m * 1000, abs=0.001)
        assert tuple(np.trunc(sample.uv_px[MIDDLE_MCP])) == centre_px
        assert np.abs(project(sample.joints_mm, sample.camera) - sample.uv_px)[1:].max() < 0.09
        if palm_m:
            np.testing.assert_allclose(sample.joints_mm[ROOT], np.array(palm_m) * 1000, atol=0.01)
            rows_m = frame.annotation.xyz_m[21:]  # negative control: base to tip, as other sets: another bone
            assert abs(np.linalg.norm(rows_m[9] - rows_m[10]) - bone_m) > 0.005


def test_joints_come_back_base_to_tip_in_millimetres(tmp_path):
    root = write_set(tmp_path / "set", {"training": 4})
    written = annotations(hands_m(np.random.default_rng(0), 4))
    for index, frame in enumerate(training_frames(root, "both")):
        np.testing.assert_allclose(frame.annotation.uv_px, written["uv_vis"][index, :, :2], rtol=1e-6, atol=1e-5)
        np.testing.assert_array_equal(frame.annotation.K, written["K"][index])
        for sample, first in zip(rhd.read(frame), (0, 21), strict=True):
            block_mm = written["xyz_m"][index, first : first + 21] * 1000
            # the wrist is row 0; thumb 1 to 4, index 5 to 8, ... each from the tip
            for joint, row in {"thumb_tip": 1, "thumb_cmc": 4, "middle_mcp": 12, "little_pip": 19}.items():
                np.testing.assert_allclose(sample.joints_mm[HAND21.index(joint)], block_mm[row], rtol=1e-6)
            np.testing.assert_allclose(sample.joints_mm[ROOT], (block_mm[0] + block_mm[12]) / 2, rtol=1e-6)


def test_images_come_back_and_depth_to_half_a_code(tmp_path):
    rng = np.random.default_rng(1)
    color_u8, mask_u8 = rng.integers(0, 256, (48, 64, 3), np.uint8), rng.integers(0, 34, (48, 64), np.uint8)
    depth_m = np.concatenate([rng.uniform(0, 5, 48 * 64 - 4), [0, 5, 255 / 65535 * 5, 256 / 65535 * 5]]).reshape(48, 64)
    rhd.write_frame(tmp_path, 7, color_u8, mask_u8, depth_m)
    path = tmp_path / "depth/00007.png"
    assert np.abs(read_depth_m(path) - depth_m).max() <= 0.5 * 5 / 65535 + 1e-6
    encoded = np.array(Image.open(path)).reshape(-1, 3)[-4:]
    np.testing.assert_array_equal(encoded, [[0, 0, 0], [255, 255, 0], [0, 255, 0], [1, 0, 0]])  # R is the high byte


@pytest.mark.parametrize("labels, side", [([1, 1, 1], RIGHT), ([2, 17, 18], LEFT), ([2, 17, 18, 33], RIGHT)])
def test_the_dominant_hand_has_more_mask_pixels_of_which_the_body_is_none_and_a_tie_is_right(small, labels, side):
    mask_u8 = np.zeros((48, 64), np.uint8)
    mask_u8.flat[: len(labels)] = labels
    png.write(small / "training/mask/00000.png", mask_u8)
    assert [sample.side for sample in first_samples(small)] == [side]


def test_both_hands_are_those_with_a_visible_joint_left_first(small):
    assert [sample.side for sample in first_samples(small, "both")] == [LEFT, RIGHT]
    change_annotations(small, put("uv_vis", (slice(0, 21), 2), 0, sample=0))
    assert [sample.side for sample in first_samples(small, "both")] == [RIGHT]
    (dominant,) = first_samples(small)  # is returned all the same
    assert dominant.side == LEFT and not dominant.visible.any()
    change_annotations(small, put("uv_vis", (slice(0, 42), 2), 0, sample=0))
    assert first_samples(small, "both") == []


def test_the_palm_is_visible_if_wrist_or_middle_mcp_is(small):
    for wrist, mcp in ((0, 0), (0, 1), (1, 0)):
        change_annotations(small, put("uv_vis", ([0, 12], 2), (wrist, mcp), sample=0))
        (sample,) = first_samples(small)
        assert sample.visible[ROOT] == bool(wrist or mcp) and sample.visible[MIDDLE_MCP] == bool(mcp)


def test_a_frame_has_the_doubts_of_the_hands_that_are_wanted_of_it(small):
    change_annotations(small, put("xyz", (30, 1), np.nan))  # of the right hand; the masks show the left one
    dominant, both = (rhd.frames(small, hands)["train"] for hands in ("dominant", "both"))
    assert [frame.doubt for frame in dominant] == [None, None, None]
    assert [frame.doubt and frame.doubt.testable for frame in both] == [None, True, None]  # the left hand stays
    assert [sample.side for frame in both for sample in rhd.read(frame)] == [LEFT, RIGHT, LEFT, LEFT, RIGHT]
    png.write(small / "training/mask/00001.png", np.full((48, 64), 18, np.uint8))
    frame = rhd.frames(small, "dominant")["train"][1]
    assert not frame.doubt.testable and rhd.read(frame) == []


def test_annotations_and_images_must_have_the_same_numbers_and_names(small):
    shutil.copy(small / "training/mask/00000.png", extra := small / "training/mask/00003.png")
    assert "3 annotations, 3 in color, 4 in mask" in refusal(rhd.inspect, small)
    extra.unlink()
    path = small / "evaluation/color/00001.png"
    path.rename(path.with_name("00002.png"))
    expected = "evaluation/color: expected 00000.png to 00001.png as there are 2 annotations, found no 00001.png"
    assert expected in refusal(rhd.inspect, small)


def test_the_published_set_is_known_by_its_folder_or_training_count_and_must_be_whole(small, monkeypatch):
    assert rhd.PUBLISHED_COUNTS == {"training": 41258, "evaluation": 2728}
    assert not rhd.inspect(small)["published"]
    small.rename(root := small.with_name(rhd.PUBLISHED_FOLDER))
    assert "training: expected 41,258 frames as in the published RHD, found 3" in refusal(rhd.inspect, root)
    root.rename(small)
    monkeypatch.setattr(rhd, "PUBLISHED_COUNTS", {"training": 3, "evaluation": 2728})
    assert "evaluation: expected 2,728 frames as in the published RHD, found 2" in refusal(rhd.inspect, small)
    monkeypatch.setattr(rhd, "PUBLISHED_COUNTS", {"training": 3, "evaluation": 2})
    assert rhd.inspect(small)["published"]


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
    frame = rhd.frames(small, "dominant")["train"][0]
    assert "color/00000.png: expected an 8-bit RGB PNG, found 8-bit RGBA" in refusal(rhd.read, frame)


@pytest.mark.parametrize(
    "mask_u8, expected",
    [
        (np.full((48, 64), 34, np.uint8), "expected part labels 0 to 33, found 34"),
        (np.zeros((47, 64), np.uint8), "expected 64x48 px as its colour image, found 64x47"),
        (np.zeros((48, 64, 3), np.uint8), "expected an 8-bit grey PNG, found 8-bit RGB"),
    ],
)
def test_an_unsuitable_mask_is_refused(small, mask_u8, expected):
    png.write(small / "training/mask/00000.png", mask_u8)
    assert f"mask/00000.png: {expected}" in refusal(first_samples, small)
