import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from handvae.datasets import png
from handvae.datasets.rhd import MASK_LABELS, dominant_side, inspect, read_annotations, read_depth_m, read_frame
from handvae.errors import InputError
from handvae.joints import LEFT, RIGHT
from handvae.synthetic import generate
from handvae.synthetic.generate import generate_rhd, make_frame, part_labels

COUNTS, PX = {"training": 7, "evaluation": 5}, 64


def tree(root: Path) -> dict[str, str]:
    """Every file below root and the SHA-256 of its bytes."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("generate") / "rhd"
    generate_rhd(root, COUNTS, seed=1, image_px=PX, processes=1)
    return root


def test_the_set_has_rhds_layout_and_reads_back(made):
    facts = inspect(made)
    assert {split: facts["splits"][split]["frames"] for split in COUNTS} == COUNTS
    assert len(tree(made)) == 3 * 12 + 2
    assert [path.name for path in made.parent.iterdir()] == [made.name]  # the scratch folder is gone


def test_joints_project_to_their_pixels_and_one_hand_is_in_the_picture(made):
    for split in COUNTS:
        for index, annotation in enumerate(read_annotations(made, split)):
            uvw = annotation.xyz_m @ annotation.K.T
            np.testing.assert_allclose(uvw[:, :2] / uvw[:, 2:], annotation.uv_px, atol=0.01)
            side = dominant_side(png.read_grey_u8(made / split / "mask" / f"{index:05d}.png"))
            there, absent = (slice(0, 21), slice(21, 42)) if side == LEFT else (slice(21, 42), slice(0, 21))
            assert ((annotation.uv_px[there] >= 0) & (annotation.uv_px[there] < PX)).all()
            assert annotation.visible[there].any()
            assert not annotation.visible[absent].any()
            outside = (annotation.uv_px[absent] < 0) | (annotation.uv_px[absent] > PX - 1)
            assert outside.any(axis=1).all()
            assert (annotation.xyz_m[absent, 2] > 0).all()


def test_the_absent_hand_is_the_mirror_image_of_the_one_in_the_picture(made):
    for annotation in read_annotations(made, "training"):
        left, right = annotation.xyz_m[:21], annotation.xyz_m[21:]
        np.testing.assert_allclose((left - left[0]) * [-1, 1, 1], right - right[0], atol=1e-6)


def test_masks_hold_only_body_and_the_parts_of_one_hand(made):
    for split, count in COUNTS.items():
        for index in range(count):
            mask_u8 = png.read_grey_u8(made / split / "mask" / f"{index:05d}.png")
            first, last = MASK_LABELS[dominant_side(mask_u8)]
            labels = set(np.unique(mask_u8).tolist())
            assert labels <= {0, 1, *range(first, last + 1)}
            assert {0, last} & labels


def test_part_labels_run_from_the_fingertip_to_the_palm():
    left, right = part_labels(LEFT), part_labels(RIGHT)
    # bones: 0 palm, 1 2 3 thumb base to tip, ..., 15 little fingertip, 16 forearm, 255 nothing
    assert [left[b] for b in (3, 2, 1, 6, 15, 0, 16, 255)] == [2, 3, 4, 5, 14, 17, 1, 0]
    assert [right[b] for b in (3, 2, 1, 6, 15, 0, 16, 255)] == [18, 19, 20, 21, 30, 33, 1, 0]


def test_stored_depth_is_the_rendered_depth_within_rhds_step_and_the_hand_is_before_the_background(made):
    for index in range(3):
        frame = make_frame(1, 0, index, PX)
        stored_m = read_depth_m(made / "training" / "depth" / f"{index:05d}.png")
        np.testing.assert_allclose(stored_m, frame.depth_m, atol=5 / 65535)
        assert stored_m[frame.mask_u8 > 1].max() < stored_m[frame.mask_u8 == 0].min()


def test_the_reader_gives_back_the_hand_that_was_rendered(made):
    annotations = read_annotations(made, "evaluation")
    for index in range(COUNTS["evaluation"]):
        (sample,) = read_frame(made, "evaluation", index, annotations[index], "both")
        frame = make_frame(1, 1, index, PX)
        rows = frame.xyz_m[:21] if sample.side == LEFT else frame.xyz_m[21:]
        tips_mm = 1e3 * rows[[1, 5, 9, 13, 17]]  # RHD lists each finger from its tip
        np.testing.assert_allclose(sample.joints_mm[[4, 8, 12, 16, 20]], tips_mm, atol=1e-3)
        np.testing.assert_array_equal(sample.image_u8, frame.color_u8)


def test_neither_processes_nor_units_change_a_byte(made, tmp_path, monkeypatch):
    for unit_frames, processes in ((1, 1), (4, 2)):
        monkeypatch.setattr(generate, "UNIT_FRAMES", unit_frames)
        root = tmp_path / f"{unit_frames}-{processes}"
        generate_rhd(root, COUNTS, seed=1, image_px=PX, processes=processes)
        assert tree(root) == tree(made)


def test_fewer_frames_are_the_first_frames(made, tmp_path):
    generate_rhd(tmp_path / "rhd", {"training": 3, "evaluation": 1}, seed=1, image_px=PX, processes=1)
    fewer, more = tree(tmp_path / "rhd"), tree(made)
    images = [name for name in fewer if name.endswith(".png")]
    assert len(images) == 12
    assert all(fewer[name] == more[name] for name in images)


def test_another_seed_and_the_other_split_give_other_pictures(made, tmp_path):
    generate_rhd(tmp_path / "rhd", {"training": 1, "evaluation": 1}, seed=2, image_px=PX, processes=1)
    pictures = [root / s / "color" / "00000.png" for root in (made, tmp_path / "rhd") for s in COUNTS]
    assert len({path.read_bytes() for path in pictures}) == 4


def test_an_interrupted_run_goes_on_with_its_finished_units(made, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "UNIT_FRAMES", 2)
    root, written = tmp_path / "rhd", []
    real_write = generate.write_frame

    def failing_write(split_root, index, *images):
        written.append((split_root.name, index))
        if len(written) == 6:  # in the middle of the third unit
            raise OSError("no space left on device")
        real_write(split_root, index, *images)

    monkeypatch.setattr(generate, "write_frame", failing_write)
    with pytest.raises(OSError, match="no space left"):
        generate_rhd(root, COUNTS, seed=1, image_px=PX, processes=1)
    assert not root.exists()
    generate_rhd(root, COUNTS, seed=1, image_px=PX, processes=1)
    assert tree(root) == tree(made)
    assert len(written) == 6 + 12 - 4  # two units of two frames were not drawn again


def test_what_another_recipe_left_behind_is_not_used(made, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "_join_labels", None)  # breaks off when all units are done
    for other in ({"seed": 2}, {"image_px": 48}):
        with pytest.raises(TypeError):
            generate_rhd(tmp_path / "rhd", COUNTS, **{"seed": 1, "image_px": PX, "processes": 1, **other})
    monkeypatch.undo()
    generate_rhd(tmp_path / "rhd", COUNTS, seed=1, image_px=PX, processes=1)
    assert tree(tmp_path / "rhd") == tree(made)


def test_a_run_killed_at_once_and_started_again_ends_with_the_same_bytes(tmp_path, monkeypatch):
    program = """
import sys
from pathlib import Path
from handvae.synthetic import generate
generate.UNIT_FRAMES = 5
if __name__ == "__main__":
    generate.generate_rhd(Path(sys.argv[1]), {"training": 40, "evaluation": 5}, seed=3, image_px=48, processes=2)
"""
    script = tmp_path / "program.py"
    script.write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(tmp_path / "killed")]
    run = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    work = tmp_path / "killed.partial"
    while not list(work.glob("units/*.npz")) and run.poll() is None:
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert work.exists()
    time.sleep(0.5)  # the workers notice and die
    left = tree(work)
    time.sleep(0.3)
    assert tree(work) == left
    monkeypatch.setattr(generate, "UNIT_FRAMES", 5)
    for name in ("killed", "whole"):
        generate_rhd(tmp_path / name, {"training": 40, "evaluation": 5}, seed=3, image_px=48, processes=1)
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")
    assert not work.exists()


def test_counts_that_do_not_fit_the_layout_are_refused(tmp_path):
    for counts in ({"training": 5}, {"training": 5, "evaluation": 0}, {"training": 100_000, "evaluation": 1}):
        with pytest.raises(InputError, match="expected training and evaluation"):
            generate_rhd(tmp_path / "rhd", counts, seed=1, image_px=PX, processes=1)
    assert not list(tmp_path.iterdir())


def test_a_hand_that_cannot_be_seen_is_drawn_again(monkeypatch):
    first, calls, original = make_frame(0, 0, 3, 64), [], generate._annotate

    def hidden_at_first(scene, depth_m):
        xyz_m, uv_vis = original(scene, depth_m)
        uv_vis[:, 2] *= len(calls) > 0
        calls.append(scene)
        return xyz_m, uv_vis

    monkeypatch.setattr(generate, "_annotate", hidden_at_first)
    again = make_frame(0, 0, 3, 64)
    assert len(calls) == 2 and again.uv_vis[:, 2].sum() >= generate.MIN_VISIBLE_JOINTS
    assert not np.array_equal(first.color_u8, again.color_u8)
