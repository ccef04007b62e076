import itertools
import struct
from pathlib import Path

import numpy as np
import pytest

from handvae.base import geometry
from handvae.base.atomic import synced_together
from handvae.base.joints import HAND21, MIDDLE_MCP, RIGHT
from handvae.datasets import msra
from tests.damage import refusal


def joints_mm(count: int, seed: int = 0) -> np.ndarray:
    """(count, 21, 3), y down."""
    return np.random.default_rng(seed).uniform([-50, -50, 280], [50, 50, 340], (count, 21, 3))


def image(seed: int) -> np.ndarray:
    """A hand of random depth in a box, some of it background."""
    rng, depth_mm = np.random.default_rng(seed), np.zeros(msra.IMAGE_HW, np.float32)
    depth_mm[60:90, 100:150] = rng.uniform(250, 350, (30, 50)) * (rng.random((30, 50)) < 0.8)
    depth_mm[60, 100] = depth_mm[89, 149] = 300
    return depth_mm


def seed_of(subject: str, gesture: str) -> int:
    return 20 * msra.SUBJECTS.index(subject) + msra.GESTURES.index(gesture)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The whole layout, one frame a gesture but for P0/1, which has three."""
    root = tmp_path_factory.mktemp("msra") / "cvpr15_MSRAHandGestureDB"
    with synced_together():
        for subject, gesture in itertools.product(msra.SUBJECTS, msra.GESTURES):
            count = 3 if (subject, gesture) == ("P0", "1") else 1
            msra.write_labels(root, subject, gesture, joints_mm(count, seed_of(subject, gesture)))
            for number in range(count):
                msra.write_image(msra.image_path(root, subject, gesture, number), image(number))
    return root


@pytest.fixture
def labels_file(whole):
    path = whole / "P0/1/joint.txt"
    content = path.read_bytes()
    yield path
    path.write_bytes(content)


def test_what_is_written_is_read_back_the_same(whole):
    groups = msra.frames(whole)
    assert [len(frames) for frames in groups.values()] == [19, *[17] * 8]
    gestures = [frame.gesture for frame in groups["P1"]]  # in the order of the public evaluation
    assert gestures == sorted(gestures) == list(msra.GESTURES)
    for number, frame in enumerate(groups["P0"][:3]):
        (sample,) = msra.read(frame)
        np.testing.assert_allclose(sample.joints_mm, joints_mm(3)[number], atol=1e-6)
        np.testing.assert_array_equal(sample.depth_mm, image(number))
        np.testing.assert_allclose(geometry.project(sample.joints_mm, sample.camera), sample.uv_px)
        assert (sample.name, sample.side, sample.centre_joint) == (f"P0/1/{number:06d}", RIGHT, MIDDLE_MCP)
    assert [msra.read(frames[0])[0].cube_mm for frames in groups.values()] == [200] * 3 + [180] * 3 + [170, 160, 150]


def test_the_text_has_msras_own_order_and_signs(whole):
    lines = (whole / "P0/1/joint.txt").read_bytes().split(b"\r\n")
    assert lines[0] == b"3" and len(lines) == 5
    raw = np.array(lines[1].split(), float).reshape(21, 3)
    first = joints_mm(3)[0] * [1, -1, -1]  # y up, z negative
    for row, joint in {0: "root", 1: "index_mcp", 8: "middle_tip", 16: "little_tip", 17: "thumb_cmc"}.items():
        np.testing.assert_allclose(raw[row], first[HAND21.index(joint)], atol=1e-6)
    x, y, z = raw[5]
    u, v = msra.read(msra.frames(whole)["P0"][0])[0].uv_px[MIDDLE_MCP]
    np.testing.assert_allclose([u, v], [160 + 241.42 * x / -z, 120 - 241.42 * y / -z])


def test_the_picture_is_a_box_after_six_integers_and_empty_where_there_is_no_hand(whole, tmp_path):
    data = (whole / "P0/1/000001_depth.bin").read_bytes()
    assert struct.unpack("<6I", data[:24]) == (320, 240, 100, 60, 150, 90)
    assert len(data) == 24 + 4 * 30 * 50
    np.testing.assert_array_equal(np.frombuffer(data[24:], "<f4").reshape(30, 50), image(1)[60:90, 100:150])
    msra.write_image(tmp_path / "000000_depth.bin", np.zeros(msra.IMAGE_HW, np.float32))
    assert not msra.read_depth_mm(tmp_path / "000000_depth.bin").any()


def test_the_bad_frames_of_the_published_set_are_not_trained_on_but_stay(whole, monkeypatch):
    assert msra.PUBLISHED_FRAMES == (76_375, 76_391)  # of both versions
    bad = msra.bad_frames()
    assert len(bad) == 126 + 2  # one public list, and two frames of another
    assert ("P2", "MP", 345) in bad and ("P2", "MP", 354) in bad and ("P2", "MP", 355) not in bad
    assert all(frame.trainable for frames in msra.frames(whole).values() for frame in frames)
    monkeypatch.setattr(msra, "PUBLISHED_FRAMES", (9 * 17 + 2,))
    monkeypatch.setattr(msra, "_BAD", "P0/1 1-2; P7/TIP 0")
    assert [frame.trainable for frame in msra.frames(whole)["P0"][:4]] == [True, False, False, True]
    facts = msra.inspect(whole)
    assert facts["published"] and facts["splits"]["P0"]["frames"] == 19
    assert facts["notes"][0].startswith("3 frames are tested on but not trained on")
    assert "P0/1/1, P0/1/2, P7/TIP/0" in facts["notes"][0]


def test_missing_subjects_are_named(whole):
    for subject in ("P0", "P4"):
        (whole / subject).rename(whole / f"away {subject}")
    try:
        assert msra.find(whole.parent) == whole
        message = refusal(msra.inspect, whole)
    finally:
        for subject in ("P0", "P4"):
            (whole / f"away {subject}").rename(whole / subject)
    assert "expected a folder for each of P0 to P8, found none for P0, P4" in message


def test_pictures_beyond_the_labels_are_counted_and_named_and_missing_ones_refused(whole):
    more, preview = whole / "P1/4/000001_depth.bin", whole / "P1/4/000001_depth.jpg"
    msra.write_image(more, image(1))
    preview.touch()
    first = whole / "P1/4/000000_depth.bin"
    facts = msra.inspect(whole)
    first.rename(away := first.with_suffix(".away"))
    message = refusal(msra.inspect, whole)
    away.rename(first)
    for path in (more, preview):
        path.unlink()
    assert f"{first}: expected the image of a label, found no file" in message
    assert facts["notes"] == ["1 pictures have no line in joint.txt and are left out: P1/4/000001_depth.bin"]
    assert facts["splits"]["P1"]["frames"] == 17


@pytest.mark.parametrize(
    "old, new, expected",
    [
        (b"3\r\n", b"4\r\n", "expected 4 frames as its first line says, and some, found 3"),
        (b"3\r\n", b"", "expected the number of frames, found"),
        (b"3\r\n", b"3 \r\n1.0\r\n", "line 2: expected 63 numbers, found 1"),
    ],
)
def test_label_files_that_do_not_add_up_are_refused(whole, labels_file, old, new, expected):
    content = labels_file.read_bytes()
    labels_file.write_bytes(content.replace(old, new, 1))
    assert expected in refusal(msra.inspect, whole)


@pytest.mark.parametrize(
    "header, values, expected",
    [
        ((320, 240, 0, 0, 2, 1), [300.0, np.nan], "expected depth from 0 to 10000 mm"),
        ((320, 240, 0, 0, 2, 1), [300.0], "expected 32 bytes for its box, found 28"),
        ((320, 240, 2, 0, 1, 1), [300.0], "expected a box in the image, found 2..1 x 0..1 px"),
        ((640, 480, 0, 0, 2, 1), [300.0, 300.0], "expected an image of 320x240 px, found 640x480"),
        ((320, 240), [], "expected a header of 24 bytes, found 8"),
    ],
)
def test_pictures_that_cannot_be_are_refused(tmp_path, header, values, expected):
    path = tmp_path / "000000_depth.bin"
    path.write_bytes(np.array(header, "<u4").tobytes() + np.array(values, "<f4").tobytes())
    assert expected in refusal(msra.read_depth_mm, path)
