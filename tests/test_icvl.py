from pathlib import Path

import numpy as np
import pytest

from handvae.base import geometry
from handvae.base.errors import InputError
from handvae.base.joints import ICVL16, LEFT
from handvae.datasets import icvl, png
from handvae.evaluation import published
from handvae.model.parts import labelled_rows
from handvae.preprocessing import store
from handvae.preprocessing.preprocess import crop_depth_hand, size
from tests.conftest import REAL, needs_real
from tests.damage import COPIES, damaged, damaged_text, refusal, refuse_doubts, refused_or

SESSIONS = icvl.SESSIONS[:2]
TESTS = icvl.TEST_SEQUENCES


def labels(count: int, seed: int = 0) -> np.ndarray:
    """(count, 16, 3) u, v, z of random joints within a hand's reach."""
    return np.random.default_rng(seed).uniform([100, 80, 280], [180, 160, 340], (count, 16, 3))


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1500, icvl.IMAGE_HW).astype(np.float32)


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


# the real samples


@needs_real
def test_the_real_test_labels_are_read_as_the_public_evaluation_reads_them(tmp_path):
    """Put together as the test files are: path, numbers, blank, CR CR LF."""
    names = (REAL / "icvl/icvl_test_list.txt").read_text().split()
    numbers = [line for line in (REAL / "icvl/icvl_test_groundtruth_label.txt").read_text().splitlines() if line]
    root = write_set(tmp_path / "ICVL")
    for sequence in TESTS:
        lines = [f"{n} {line} \r\r\n" for n, line in zip(names, numbers, strict=True) if n.startswith(sequence)]
        (root / f"Testing/{sequence}.txt").write_bytes("".join(lines).encode())
    found = icvl.frames(root, rotated_copies=False)["test"]
    assert [len([f for f in found if f.path.startswith(sequence)]) for sequence in TESTS] == [702, 894]
    np.testing.assert_array_equal(found[0].uvd[0], [180.210, 145.428, 368.854])
    evaluation = published.evaluation_of("icvl")
    uvd = published.read_uvd(REAL / "icvl/icvl_test_groundtruth_label.txt", evaluation)
    np.testing.assert_array_equal(np.stack([frame.uvd for frame in found]), uvd)
    joints_mm = geometry.back_project(uvd, icvl.CAMERA)
    np.testing.assert_allclose(joints_mm, geometry.back_project(uvd, evaluation.camera), rtol=1e-12)
    assert np.linalg.norm(joints_mm - joints_mm[:, :1], axis=2).max() < 113  # a cube of 250 mm holds every joint
    signs = geometry.handedness(joints_mm, icvl.SKELETON)
    assert (signs < 0).mean() > 0.95  # left hands


# the format


def test_what_is_written_is_read_back_the_same(small):
    found = icvl.frames(small, rotated_copies=True)
    paths, written = [frame.path for frame in found["train"]], labels(8)
    assert paths[:4] == [
        "45/201403121135/image_0000.png",
        "45/201403121135/image_0003.png",
        "201403121135/image_0000.png",
        "201403121135/image_0003.png",
    ]
    for number, frame in enumerate(found["train"]):
        np.testing.assert_allclose(frame.uvd, written[number], atol=1e-6)
        (sample,) = icvl.read(frame)
        np.testing.assert_array_equal(sample.depth_mm, image(number))
        np.testing.assert_allclose(geometry.project(sample.joints_mm, sample.camera), sample.uv_px, atol=1e-9)
        np.testing.assert_allclose(sample.joints_mm[:, 2], written[number][:, 2], atol=1e-6)
        assert (sample.cube_mm, sample.side, sample.joints_mm.shape) == (250, LEFT, (len(ICVL16), 3))
    assert [frame.path for frame in found["test"]] == [
        "test_seq_1/image_0000.png",
        "test_seq_1/image_0001.png",
        "test_seq_2/image_0000.png",
    ]
    assert icvl.read(found["train"][1])[0].frame == 3


def test_test_files_end_lines_as_the_real_ones_do(small):
    content = (small / "Testing/test_seq_1.txt").read_bytes()
    assert content.count(b" \r\r\n") == content.count(b"\n") == 2
    assert b"\r" not in (small / "Training/labels.txt").read_bytes()


def test_turned_copies_are_left_out_and_counted(small):
    assert len(icvl.frames(small, rotated_copies=False)["train"]) == 4
    facts = icvl.inspect(small)
    assert facts["splits"]["training"]["frames"] == 4 and not facts["published"]
    assert "4 training labels are of copies turned" in facts["notes"][0]


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


def test_half_of_the_set_says_which_half_is_missing(small):
    for sequence in TESTS:
        (small / f"Testing/{sequence}.txt").unlink()
    message = refusal(icvl.find, small)
    assert "expected test_seq_1.txt beside" in message and "Testing.tar.gz is wanted as well" in message


def test_a_set_in_no_known_layout_is_not_found(small):
    (small / "Training/labels.txt").unlink()
    assert "expected ICVL's Training/labels.txt and Testing/test_seq_1.txt" in refusal(icvl.find, small)


def test_an_empty_file_of_the_old_layout_does_not_hide_the_new_one_but_a_whole_copy_does(small):
    (small / "train.txt").touch()
    assert icvl.find(small) == small
    (small / "train.txt").write_bytes((small / "Training/labels.txt").read_bytes())
    assert "expected ICVL's labels once, found Training/labels.txt and train.txt" in refusal(icvl.find, small)


def test_sequence_1_alone_is_a_test_split_and_that_is_said(small):
    (small / "Testing/test_seq_2.txt").unlink()
    assert len(icvl.frames(small, rotated_copies=False)["test"]) == 2
    assert icvl.inspect(small)["notes"][0] == "test_seq_2.txt is not there: tested on test_seq_1 alone"
    (small / "Testing/test_seq_1.txt").write_text("")
    assert "found none or empty ones" in refusal(icvl.inspect, small)


@pytest.mark.parametrize("angle", ["45", "122-5", "-45", "-112-5", "22.5", "n45", "rot45", "45deg"])
def test_whatever_stands_before_the_session_is_an_angle(small, angle):
    change(small / "Training/labels.txt", "45/", f"{angle}/")
    (small / "Training/Depth/45").rename(small / "Training/Depth" / angle)
    assert [len(icvl.frames(small, rotated)["train"]) for rotated in (False, True)] == [4, 8]
    assert "4 training labels are of copies turned" in icvl.inspect(small)["notes"][0]


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
    for path in paths:
        assert (small / "Training/Depth" / path).is_file()


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
    assert not icvl.inspect(small)["published"]


def test_the_digest_covers_the_labels_of_turned_copies(small):
    before = icvl.inspect(small)["splits"]["training"]["labels_sha256"]
    add_lines(small, "45/201403121140/image_9999.png")
    assert icvl.inspect(small)["splits"]["training"]["labels_sha256"] != before


@pytest.mark.parametrize(
    "old, new, expected",
    [
        (f"{SESSIONS[0]}/image_0003.png", "../../../etc/passwd.png", "expected a path like session/image_0000.png"),
        (f"\n{SESSIONS[0]}/image_0003.png", "\n/etc/image_0003.png", "expected a path like"),
        (f"\n{SESSIONS[0]}/image_0003.png ", f"\n{SESSIONS[0]}/image_0003.png 1.0 ", "expected 48 numbers after the"),
        (
            f"\n{SESSIONS[0]}/image_0003.png ",
            f"\n{SESSIONS[0]}/image_0003.png nan",  # and then the digits of a number
            "expected a number of size at most",
        ),
    ],
)
def test_labels_that_cannot_be_are_refused_with_their_line(small, old, new, expected):
    change(small / "Training/labels.txt", old, new)
    message = refusal(icvl.inspect, small)
    assert expected in message and "labels.txt: line" in message


@pytest.mark.parametrize("digit", ["1", "-"])
def test_a_label_out_of_reach_is_named_with_its_line(small, digit):
    change(small / "Training/labels.txt", f"\n{SESSIONS[0]}/image_0003.png ", f"\n{SESSIONS[0]}/image_0003.png {digit}")
    frame = icvl.frames(small, rotated_copies=False)["train"][1]
    assert str(frame.doubt).startswith(f"{small}/Training/labels.txt: line 4: expected joints within 250 mm of joint 0")
    assert not icvl.read(frame)[0].trainable and str(frame.doubt) in icvl.inspect(small)["notes"][0]


def test_a_file_with_depth_behind_the_camera_is_refused(small):
    names = [f"test_seq_1/{icvl.image_name(index)}" for index in range(2)]
    icvl.write_labels(small / "Testing/test_seq_1.txt", names, labels(2) * [1, 1, -1])
    assert "test_seq_1.txt: line 1: expected joints in front of the camera" in refusal(icvl.inspect, small)


# damaged files


def test_a_damaged_label_file_is_right_or_refused(small):
    """Text has no checksum: a changed digit can leave another possible hand. What is read is what the line says."""
    path, rng = small / "Testing/test_seq_1.txt", np.random.default_rng(1)

    def check():
        icvl.inspect(small)
        lines = [line.split() for line in path.read_bytes().splitlines() if line.split()]
        found = [frame for frame in icvl.frames(small, False)["test"] if frame.path.startswith("test_seq_1")]
        refuse_doubts(found)
        for line, frame in zip(lines, found, strict=True):
            assert (small / "Testing/Depth" / line[0].decode()).is_file() and frame.path == line[0].decode()
            np.testing.assert_array_equal(frame.uvd.ravel(), np.array(line[1:], float))
            assert np.linalg.norm(geometry.back_project(frame.uvd, icvl.CAMERA), axis=1).max() < 700

    copies = [damaged_text(path.read_bytes(), rng) for _ in range(COPIES)]
    # an image that the damage named is missing: then its name stands in the message
    assert refused_or(check, path, copies, names="test_seq_1") > 120


def test_a_damaged_image_is_right_or_refused(small):
    frame, rng = icvl.frames(small, False)["test"][0], np.random.default_rng(2)
    path = frame.images / frame.path
    copies = [damaged(path.read_bytes(), b"<html></html>", rng) for _ in range(COPIES)]

    def check():
        np.testing.assert_array_equal(icvl.read(frame)[0].depth_mm, image(9))

    assert refused_or(check, path, copies) > 190


def test_an_image_of_another_kind_or_size_is_refused(small):
    frame = icvl.frames(small, False)["test"][0]
    png.write(frame.images / frame.path, np.zeros(icvl.IMAGE_HW, np.uint8))
    with pytest.raises(InputError, match="expected a 16-bit grey PNG, found 8-bit grey"):
        icvl.read(frame)
    png.write(frame.images / frame.path, np.zeros((320, 240), np.uint16))
    with pytest.raises(InputError, match="expected 320x240 px, found 240x320"):
        icvl.read(frame)


def test_a_turned_copy_counts_as_labelled_with_its_original_alone(small):
    samples = [icvl.read(frame)[0] for frame in icvl.frames(small, rotated_copies=True)["train"]]
    rows = [crop_depth_hand(sample, size(64, 1.5), "joint")[0] for sample in samples]
    store.write(small / "icvl.h5", {"train": rows}, {})
    stored = store.read(small / "icvl.h5", ["train"], ["moment", "name"])
    for row in labelled_rows(stored["moment"], 0.25), labelled_rows(stored["moment"], 0.5):
        upright = [name.removeprefix("45/") for name in stored["name"][row]]
        assert {upright.count(name) for name in upright} == {2}  # the original and its copy
    assert len(rows) == 8 and len(labelled_rows(stored["moment"], 0.25)) == 2
