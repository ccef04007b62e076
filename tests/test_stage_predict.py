"""`python -m stages.predict` on pictures, folders, videos and depth images: what it writes, and what it refuses."""

import csv
import json
import os
import signal
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from handvae.base.errors import InputError
from handvae.detection import network
from handvae.detection.detect import Detection, Detector
from handvae.prediction import portable, videos
from handvae.prediction.hands import ColourPredictor
from stages import predict
from tests.test_detection import SETTINGS, THRESHOLDS
from tests.test_poses import fresh

RANDOM = np.random.default_rng(0)
PICTURE = np.kron(RANDOM.integers(0, 256, (12, 16, 3), np.uint8), np.ones((10, 10, 1), np.uint8))  # 160 x 120
BOX, LEFT = ("--box", "20,10,100,90"), ("--side", "left")
DEPTH = ("depth.png", "--camera", "240,240,160,120", "--side", "right")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Path:
    """Untrained models as files, and a detector that sees nothing."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("rhd-rgb-v1", "rhd-rgb-v1-ts", "rhd-2d-v3", "icvl-resnet18"):
        portable.save(folder / f"{name}.safetensors", fresh(name))
    Detector(network.DetectorNetwork(8).eval(), SETTINGS, THRESHOLDS).save(folder / "detector.safetensors")
    return folder


@pytest.fixture(autouse=True)
def run(shelf, tmp_path, monkeypatch):
    """The program, in a folder with hand.png."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PICTURE).save("hand.png")

    def run(*words: str, model: str = "rhd-rgb-v1", out: str = "out") -> None:
        predict.main(*words, "--model", str(shelf / f"{model}.safetensors"), "--out", out)

    return run


def record(stem: str = "hand", out: str = "out") -> dict:
    return json.loads(Path(out, f"{stem}.json").read_text())


def joints(hand: dict, key: str = "xyz_mm") -> np.ndarray:
    return np.array([joint[key] for joint in hand["joints"].values()])


def test_a_picture_gives_joints_by_name_their_pixels_and_all_that_was_assumed(run):
    run("hand.png", *BOX, *LEFT)
    result = record()
    (hand,) = result["hands"]
    assert (result["width_px"], result["height_px"], result["model"]["name"]) == (160, 120, "rhd-rgb-v1")
    assert hand["side"] == "left" and hand["box_px"] == [20, 10, 100, 90] and hand["box_from"] == "--box"
    assert list(hand["joints"])[:2] == ["root", "thumb_cmc"] and len(hand["joints"]) == 21
    assert hand["assumed"]["scale_bone_mm"] == 44.6 and "adult" in hand["assumed"]["scale_bone_from"]
    assert (joints(hand, "spread_mm") > 0).all() and np.allclose(joints(hand, "uv_px")[9], (60, 50))
    with Image.open("out/hand.png") as overlay:
        assert overlay.size == (640 + 960, 480)
    run("hand.png", *BOX, *LEFT, "--scale-bone-mm", "89.2", out="twice")
    assert np.allclose(joints(record(out="twice")["hands"][0]), 2 * joints(hand), atol=0.02)
    run("hand.png", *BOX, *LEFT, out="again")
    for name in ("hand.json", "hand.png"):
        assert Path("again", name).read_bytes() == Path("out", name).read_bytes()


def test_a_whole_picture_is_its_own_box_and_a_side_is_asked_for_where_it_is_needed(run):
    run("hand.png", "--whole-image", model="rhd-rgb-v1-ts")
    (hand,) = record()["hands"]
    assert hand["box_px"] == [0, -20, 160, 140] and hand["side"] == "not known"
    assert hand["assumed"]["side_used_by_model"] is False
    with pytest.raises(InputError, match=r"hand\.png: rhd-rgb-v1 must be told .* give --side left or --side right"):
        run("hand.png", "--whole-image")


def test_boxes_of_another_detector_and_several_hands(run):
    entries = [
        {"file": "hand.png", "box": [0, 0, 60, 60], "side": "left", "score": 1},
        {"file": "hand.png", "box": [70, 10, 150, 110], "side": "right", "confidence": 0.5},
        {"file": "other.png", "box": [0, 0, 1, 1]},
    ]
    Path("boxes.json").write_text(json.dumps(entries))
    run("hand.png", "--boxes", "boxes.json")
    first, second = record()["hands"]
    assert (first["side"], second["side"], second["confidence"]) == ("left", "right", 0.5)
    assert second["box_px"] == [60, 10, 160, 110] and first["box_from"] == "boxes.json"
    entries[0]["box"] = [0, 0, 60]
    Path("boxes.json").write_text(json.dumps(entries))
    with pytest.raises(InputError, match=r"boxes\.json: entry 0: expected file, box"):
        run("hand.png", "--boxes", "boxes.json")


def test_without_a_hand_the_place_is_asked_for_and_a_detected_hand_is_predicted(run, shelf, monkeypatch):
    words = ("hand.png", "--detector", str(shelf / "detector.safetensors"))
    with pytest.raises(InputError, match=r"^hand\.png: no hand that the detector is sure of.*give its place by --box"):
        run(*words)
    assert not Path("out").exists()
    sure, unsure = (Detection((60.0, 50.0), 80.0, 0.8, 0, share) for share in (0.95, 0.55))
    monkeypatch.setattr(Detector, "detect", lambda self, images: [[sure] for _ in images])
    run(*words)
    run("hand.png", *BOX, *LEFT, out="by_hand")
    (hand,), (by_hand,) = record()["hands"], record(out="by_hand")["hands"]
    assert (hand["side"], hand["confidence"], hand["box_from"]) == ("left", 0.8, "the detector")
    assert hand["joints"] == by_hand["joints"]
    monkeypatch.setattr(Detector, "detect", lambda self, images: [[unsure] for _ in images])
    with pytest.raises(InputError, match="the detector does not say it; give --side left"):
        run(*words)


def test_a_folder_goes_on_after_a_broken_picture_and_ends_with_an_error(run, capsys):
    (folder := Path("album")).mkdir()
    for name in ("a.jpg", "c.jpg"):
        Image.fromarray(PICTURE).save(folder / name)
    (folder / "b.png").write_bytes(Path("hand.png").read_bytes()[:300])
    with pytest.raises(InputError, match="1 of 3 inputs have no prediction"):
        run("album", "--whole-image", *LEFT)
    assert "album/b.png: expected a whole picture" in capsys.readouterr().err
    assert {path.name for path in Path("out").iterdir()} == {"a.json", "a.png", "c.json", "c.png"}


@pytest.mark.parametrize(
    ("words", "model", "said"),
    [
        (("hand.png", "--box", "200,10,300,90"), "rhd-rgb-v1", "lies outside of the picture, 160x120 px"),
        (("hand.png", "--box", "90,10,20,90"), "rhd-rgb-v1", "expected a box x0,y0,x1,y1 with x0 < x1"),
        (("hand.png", "--box", "0,0,9999,90"), "rhd-rgb-v1", "expected a box of at most 4 times the picture's side"),
        (("hand.png", "--box", "1,2,3"), "rhd-rgb-v1", "stages.predict: argument --box"),
        (("hand.png", "--scale-bone-mm", "-1"), "rhd-rgb-v1", "expected a length in mm"),
        (("hand.png",), "rhd-2d-v3", "takes 2D joints"),
        (("hand.png",), "icvl-resnet18", "give its --camera"),
        (DEPTH, "rhd-rgb-v1", "leave --camera out"),
        (("hand.png", *DEPTH[1:]), "icvl-resnet18", "expected depth in mm, a 16-bit grey picture"),
        (("none.png", "--whole-image"), "rhd-rgb-v1", "found no file"),
        (("hand.png",), "none", "names are"),
    ],
)
def test_what_cannot_be_predicted_is_named(run, words, model, said):
    with pytest.raises(InputError, match=said):
        run(*words, *LEFT, model=model)


def test_no_file_that_is_given_is_written_over(run):
    before = Path("hand.png").read_bytes()
    Path("hand.json").write_text(json.dumps([{"file": "hand.png", "box": [20, 10, 100, 90]}]))
    for words in (("hand.png", *BOX), ("hand.png", "--boxes", "hand.json")):
        with pytest.raises(InputError, match=r"written over by the results of hand\.png; name another --out"):
            run(*words, *LEFT, out=".")
    assert Path("hand.png").read_bytes() == before


def test_a_depth_image_with_its_camera(run):
    depth_mm = np.full((240, 320), 1400, np.uint16)
    depth_mm[100:160, 120:180] = 500
    Image.fromarray(depth_mm).save("depth.png")
    run(*DEPTH, model="icvl-resnet18")
    (hand,) = record("depth")["hands"]
    centre_mm = hand["assumed"]["cube_centre_mm"]
    assert hand["assumed"]["cube_mm"] == 250
    assert np.allclose(centre_mm, [(149.5 - 160) / 240 * 500, (129.5 - 120) / 240 * 500, 500], atol=3)
    projected = joints(hand)[:, :2] / joints(hand)[:, 2:] * 240 + (160, 120)
    assert np.allclose(projected, joints(hand, "uv_px"), rtol=1e-3, atol=0.1) and len(hand["joints"]) == 16
    Image.fromarray(np.zeros((240, 320), np.uint16)).save("empty.png")
    with pytest.raises(InputError, match="found nothing measured in the box"):
        run("empty.png", *DEPTH[1:], *BOX, model="icvl-resnet18")
    with pytest.raises(InputError, match="1 of 2 inputs have no prediction"):
        run("empty.png", *DEPTH, model="icvl-resnet18", out="both")
    assert Path("both/depth.json").read_bytes() == Path("out/depth.json").read_bytes()


def write_video(count: int) -> None:
    with videos.writing(Path("clip.mp4"), Fraction(25)) as add_frame:
        for number in range(count):
            add_frame(np.roll(PICTURE, 3 * number, axis=1))


def read_video(path: str) -> list[np.ndarray]:
    with av.open(path) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_video_gives_a_line_a_frame_and_a_video_as_long(run):
    write_video(40)
    run("clip.mp4", *BOX, *LEFT)
    rows = list(csv.DictReader(Path("out/clip.csv").read_text().splitlines()))
    assert [int(row["frame"]) for row in rows] == list(range(40)) and rows[25]["time_s"] == "1.000"
    assert {row["side"] for row in rows} == {"left"} and len({row["middle_tip_x_mm"] for row in rows}) > 10
    drawn = read_video("out/clip.mp4")
    assert len(drawn) == 40 and drawn[0].shape == (480, 640 + 480, 3)
    # frame 7 alone gives the same numbers as within a batch
    Image.fromarray(read_video("clip.mp4")[7]).save("seventh.png")
    run("seventh.png", *BOX, *LEFT)
    alone_mm = joints(record("seventh")["hands"][0])[12]
    assert np.allclose([float(rows[7][f"middle_tip_{axis}_mm"]) for axis in "xyz"], alone_mm, atol=0.02)


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_broken_video_leaves_nothing_behind(run, share):
    write_video(5)
    whole = Path("clip.mp4").read_bytes()
    Path("clip.mp4").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"clip\.mp4: expected a video that FFmpeg reads"):
        run("clip.mp4", "--whole-image", *LEFT)
    assert not list(Path().glob("out/*"))


def test_ctrl_c_ends_a_webcam_and_both_files_are_whole(run, monkeypatch):
    write_video(40)
    monkeypatch.setattr(videos, "_webcam", lambda name: ("clip.mp4", None))
    hands, predicted = ColourPredictor.hands, []

    def interrupted(self, frames):
        predicted.append(frames)
        if len(predicted) == 3:
            os.kill(os.getpid(), signal.SIGINT)  # while a frame is predicted
        return hands(self, frames)

    monkeypatch.setattr(ColourPredictor, "hands", interrupted)
    run("webcam:0", *BOX, *LEFT)
    assert len(Path("out/webcam_0.csv").read_text().splitlines()) == 1 + 3
    assert len(read_video("out/webcam_0.mp4")) == 3
    assert {path.name for path in Path("out").iterdir()} == {"webcam_0.csv", "webcam_0.mp4"}
