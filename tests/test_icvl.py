from pathlib import Path

import numpy as np
import pytest

from handvae.base import geometry
from handvae.base.joints import ICVL16, LEFT
from handvae.datasets import icvl, png
from handvae.evaluation import published
from tests.conftest import REAL, needs_real
from tests.damage import refusal

SESSIONS = icvl.SESSIONS[:2]
TESTS = icvl.TEST_SEQUENCES


def labels(count: int, seed: int = 0) -> np.ndarray:
    """(count, 16, 3) u, v, z of random joints within a hand's reach."""
    return np.random.default_rng(seed).uniform([100, 80, 280], [180, 160, 340], (count, 16, 3))


def image(seed: int) -> np.ndarray:
    depth_mm = np.zeros(icvl.IMAGE_HW, np.float32)
    depth_mm[100:140, 140:200] = np.random.default_rng(seed).integers(0, 1500, (40, 60))
    return depth_mm


def write_set(root: Path, rotated: bool = True) -> Path:
    """Two sessions of two frames, each with one turned copy; test sequences of two frames and one."""
    paths = []
    for number, session in enumerate(SESSIONS):
        names = [f"{session}/{icvl.image_name(3 * index + number)}" for index in range(2)]
        paths += [f"45/{name}" for name in names] * rotated + names
    icvl.write_labels(root / "Training/labels.txt", paths, labels(len(paths)))
    for number, path in enumerate(paths):
        icvl.write_image(root / "Training/Depth" / path, image(number))
    for sequence, count in zip(TESTS, (2, 1), strict=True):
        names = [f"{sequence}/{icvl.image_name(index)}" for index in range(count)]
        icvl.write_labels(root / f"Testing/{sequence}.txt", names, labels(count, 5), " \r\r\n")
        for name in names:
            icvl.write_image(root / "Testing/Depth" / name, image(9))
    return root


@pytest.fixture
def small(tmp_path) -> Path:
    return write_set(tmp_path / "ICVL")


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@needs_real
def test_the_real_test_labels_are_read_as_the_public_evaluation_reads_them(tmp_path):
    """Put together as the test files are: path, numbers, blank, CR CR LF."""
    names = (REAL / "icvl/icvl_test_list.txt").read_text().split()
    numbers = [line for line in (REAL / "icvl/icvl_test_groundtruth_label.txt").read_text().splitlines() if line]
    root = write_set(tmp_path / "ICVL")
    for sequence in TESTS:
        lines = [f"{n} {line} \r\r\n" for n, line in zip(names, numbers, strict=True) if n.startswith(sequence)]
        (root / f"Testing/{sequence}.txt").write_bytes("".join(lines).encode())
    frames = icvl.frames(root, rotated_copies=False)["test"]
    assert [len([frame for frame in frames if frame.path.startswith(sequence)]) for sequence in TESTS] == [702, 894]
    np.testing.assert_array_equal(frames[0].uvd[0], [180.210, 145.428, 368.854])
    evaluation = published.EVALUATIONS["icvl"]
    uvd = published.read_uvd(REAL / "icvl/icvl_test_groundtruth_label.txt", evaluation)
    np.testing.assert_array_equal(np.stack([frame.uvd for frame in frames]), uvd)
    joints_mm = geometry.back_project(uvd, icvl.CAMERA)
    np.testing.assert_allclose(joints_mm, geometry.back_project(uvd, evaluation.camera), rtol=1e-12)
    assert np.linalg.norm(joints_mm - joints_mm[:, :1], axis=2).max() < 113  # a cube of 250 mm holds every joint
    assert (geometry.handedness(joints_mm, icvl.SKELETON) < 0).mean() > 0.95  # left hands


def test_what_is_written_is_read_back_the_same(small):
    groups, written = icvl.frames(small, rotated_copies=True), labels(8)
    names = [f"201403121135/image_{number:04d}" for number in (0, 3)]
    assert [frame.path for frame in groups["train"][:4]] == [f"{at}{name}.png" for at in ("45/", "") for name in names]
    for number, frame in enumerate(groups["train"]):
        np.testing.assert_allclose(frame.uvd, written[number], atol=1e-6)
        (sample,) = icvl.read(frame)
        np.testing.assert_array_equal(sample.depth_mm, image(number))
        np.testing.assert_allclose(geometry.project(sample.joints_mm, sample.camera), sample.uv_px, atol=1e-9)
        np.testing.assert_allclose(sample.joints_mm[:, 2], written[number][:, 2], atol=1e-6)
        assert (sample.cube_mm, sample.side, sample.joints_mm.shape) == (250, LEFT, (len(ICVL16), 3))
        if number < 4:  # a turned copy counts as labelled with its original alone
            assert sample.moment == names[number % 2] and sample.frame == 3 * (number % 2)
    tests = ["test_seq_1/image_0000.png", "test_seq_1/image_0001.png", "test_seq_2/image_0000.png"]
    assert [frame.path for frame in groups["test"]] == tests


@pytest.mark.parametrize("moves", ["old", "labels beside", "archives"])
def test_every_layout_that_is_about_is_read(small, moves):
    whole = icvl.inspect(small)
    training, testing = small / "Training", small / "Testing"
    if moves == "archives":  # each archive unpacked to a folder of its name, and holding one
        for folder in (training, testing):
            folder.rename(small / "moving")
            folder.mkdir()
            (small / "moving").rename(folder / folder.name)
    else:
        (training / "labels.txt").rename(small / ("train.txt" if moves == "old" else "labels.txt"))
        (training / "Depth").rename(small / "Depth")
        for sequence in TESTS:
            (testing / f"{sequence}.txt").rename(small / f"{sequence}.txt")
            (testing / "Depth" / sequence).rename(small / "Depth" / sequence)
    assert icvl.find(small) == small
    assert icvl.inspect(small) == whole


def test_a_set_without_labels_is_not_found_and_half_of_one_says_which_half_is_missing(small):
    for sequence in TESTS:
        (small / f"Testing/{sequence}.txt").unlink()
    message = refusal(icvl.find, small)
    assert "expected test_seq_1.txt beside" in message and "Testing.tar.gz is wanted as well" in message
    (small / "Training/labels.txt").unlink()
    assert "expected ICVL's Training/labels.txt and Testing/test_seq_1.txt" in refusal(icvl.find, small)


def test_a_file_of_the_old_layout_does_not_hide_the_new_one_but_a_whole_copy_does(small):
    whole = icvl.inspect(small)
    for content in (b"", b"a list of another program's\n"):
        (small / "train.txt").write_bytes(content)
        assert icvl.find(small) == small and icvl.inspect(small) == whole
    (small / "train.txt").write_bytes((small / "Training/labels.txt").read_bytes())
    (small / "Depth").mkdir()
    assert "expected ICVL's labels once, found Training/labels.txt and train.txt" in refusal(icvl.find, small)


def test_sequence_1_alone_is_a_test_split_and_that_is_said(small):
    (small / "Testing/test_seq_2.txt").unlink()
    assert len(icvl.frames(small, rotated_copies=False)["test"]) == 2
    assert icvl.inspect(small)["notes"][0] == "test_seq_2.txt is not there: tested on test_seq_1 alone"
    (small / "Testing/test_seq_1.txt").write_text("")
    assert "found none or empty ones" in refusal(icvl.inspect, small)


@pytest.mark.parametrize("angle", ["122-5", "22.5", "rot45"])
def test_whatever_stands_before_the_session_is_an_angle_and_turned_copies_are_left_out(small, angle):
    change(small / "Training/labels.txt", "45/", f"{angle}/")
    (small / "Training/Depth/45").rename(small / "Training/Depth" / angle)
    assert [len(icvl.frames(small, rotated)["train"]) for rotated in (False, True)] == [4, 8]
    facts = icvl.inspect(small)
    assert facts["splits"]["training"]["frames"] == 4 and not facts["published"]
    assert "4 training labels are of copies turned" in facts["notes"][0]


def add_lines(root: Path, *names: str) -> None:
    """The same joints for more images."""
    path = root / "Training/labels.txt"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, *(lines[2].replace("201403121135/image_0000.png", name) for name in names)]))


def test_the_known_flaws_of_the_published_labels_are_left_out_and_named(small):
    bogus, twice = "201406030937/image_-001.png", "201403121140/image_1107.png"
    turned = "22-5/201405151126/image_11993.png"
    add_lines(small, bogus, twice, twice, f"45/{twice}", f"45/{twice}", turned)
    change(small / "Training/labels.txt", f"{bogus} ", f"{bogus} 1e5")  # nobody knows what stands there
    for name in (twice, f"45/{twice}"):
        icvl.write_image(small / "Training/Depth" / name, image(3))
    facts = icvl.inspect(small)
    assert facts["splits"]["training"]["frames"] == 5
    assert facts["notes"][0] == f"2 training label(s) left out, which have no image, a known flaw: {bogus}, {turned}"
    assert facts["notes"][1] == f"1 training label(s) left out, which name an image again, a known flaw: {twice}"
    paths = [frame.path for frame in icvl.frames(small, rotated_copies=True)["train"]]
    assert len(paths) == len(set(paths)) == 10 and {twice, f"45/{twice}"} < set(paths)


def test_any_other_missing_or_repeated_image_is_refused(small):
    (small / "Training/Depth" / SESSIONS[0] / "image_0003.png").unlink()
    assert "image_0003.png: expected the image of a label, found no file" in refusal(icvl.inspect, small)
    change(small / "Training/labels.txt", f"\n{SESSIONS[0]}/image_0003", f"\n{SESSIONS[0]}/image_0000")
    message = refusal(icvl.inspect, small)
    assert f"expected every image once, found {SESSIONS[0]}/image_0000.png 2 times" in message


def test_the_published_set_is_known_by_its_lines(small, monkeypatch):
    monkeypatch.setattr(icvl, "PUBLISHED_LINES", {"training": (8, 4), "evaluation": (3,)})
    assert icvl.inspect(small)["published"]
    assert icvl.inspect(write_set(small.parent / "originals", rotated=False))["published"]
    add_lines(small, "201403121140/image_9999.png")
    icvl.write_image(small / "Training/Depth/201403121140/image_9999.png", image(3))
    more = icvl.inspect(small)
    assert not more["published"]
    add_lines(small, "45/201403121140/image_9998.png")  # the digest covers the labels of turned copies too
    assert icvl.inspect(small)["splits"]["training"]["labels_sha256"] != more["splits"]["training"]["labels_sha256"]


LINE = f"\n{SESSIONS[0]}/image_0003.png "


@pytest.mark.parametrize(
    "new, expected",
    [
        ("\n../../../etc/passwd.png ", "expected a path like session/image_0000.png"),
        (f"{LINE}1.0 ", "expected 48 numbers after the path, found 49"),
        (f"{LINE}nan", "expected a number of size at most"),  # and then the digits of a number
    ],
)
def test_labels_that_cannot_be_are_refused_with_their_line(small, new, expected):
    change(small / "Training/labels.txt", LINE, new)
    message = refusal(icvl.inspect, small)
    assert expected in message and "labels.txt: line 4: " in message


def test_an_image_of_another_kind_or_size_is_refused(small):
    frame = icvl.frames(small, False)["test"][0]
    png.write(frame.images / frame.path, np.zeros(icvl.IMAGE_HW, np.uint8))
    assert "image_0000.png: expected a 16-bit grey PNG, found 8-bit grey" in refusal(icvl.read, frame)
    png.write(frame.images / frame.path, np.zeros((320, 240), np.uint16))
    assert "image_0000.png: expected 320x240 px, found 240x320" in refusal(icvl.read, frame)
