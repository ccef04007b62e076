"""The detector: squares follow the pictures, maps come back as hands, a few pictures are learned, scores by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handvae.base import params
from handvae.base.errors import InputError
from handvae.base.joints import LEFT, RIGHT
from handvae.detection import frames, network, scores, settings, thresholds, training
from handvae.detection.detect import Detection, Detector, peaks
from handvae.detection.frames import Pictures
from handvae.model import initial
from handvae.preprocessing.preprocess import resample
from tests.conftest import REPOSITORY

P = 64
SETTINGS = settings.DetectorSettings(P, 8, 8, 5e-3, {"tiny": 60}, 100, 0.1, 0.9)
THRESHOLDS = network.Thresholds(0.4, 0.9)
OF_SIDES = replace(params.load(REPOSITORY / "params.yaml").profile.training["rgb"], steps=60, warmup_steps=2)
NONE = [np.nan] * 3


def blobs(count: int, seed: int) -> Pictures:
    """Pictures with a square, red for a left hand or blue for a right one, and its place."""
    random = np.random.default_rng(seed)
    images, squares = np.full((count, P, P, 3), 128, np.uint8), np.full((count, 2, 3), np.nan, np.float32)
    for number in range(count):
        side = number % 2
        u, v = random.integers(20, P - 20, 2)
        images[number, v - 7 : v + 8, u - 7 : u + 8] = (230, 60, 60) if side == LEFT else (60, 60, 230)
        squares[number, side] = u, v, 15
    return pictures_of(images, squares)


def pictures_of(images: np.ndarray, squares: np.ndarray) -> Pictures:
    """With the crops around the squares."""
    crops, sides = [], []
    for image, of_sides in zip(images, squares, strict=True):
        sides.append(int(np.flatnonzero(~np.isnan(of_sides[:, 0]))[0]))
        u, v, side_px = of_sides[sides[-1]]
        zoom = network.CROP_PX / side_px
        offset = frames.CONTEXT_PX / 2 - zoom * np.array([u, v])
        to_crop = np.array([[zoom, 0, offset[0]], [0, zoom, offset[1]], [0, 0, 1.0]])
        crops.append(resample(image, to_crop, frames.CONTEXT_PX))
    return Pictures(images, squares, np.stack(crops), np.array(sides))


def notched(count: int, seed: int) -> Pictures:
    """The same in one colour, a left hand without its upper right quarter and a right hand its mirror image: sides are
    told by the shape, as a mirrored picture's must be."""
    pictures = blobs(count, seed)
    images = np.where(pictures.images_u8 == 128, 128, 230).astype(np.uint8)
    for image, squares in zip(images, pictures.squares_px, strict=True):
        side = int(np.flatnonzero(~np.isnan(squares[:, 0]))[0])
        u, v = squares[side, :2].astype(int)
        image[v - 7 : v + 1, slice(u, u + 8) if side == LEFT else slice(u - 7, u + 1)] = 128
    return pictures_of(images, pictures.squares_px)


def reddest(image: torch.Tensor) -> tuple[float, float]:
    """u, v of the middle of the red, or of the blue, of a picture (3, P, P)."""
    coloured = (image[0] - image[2]).abs() > 0.3
    v, u = coloured.nonzero(as_tuple=True)
    return float(u.float().mean()), float(v.float().mean())


def test_squares_follow_the_warped_pictures_and_mirrored_left_hands_become_right_ones():
    pictures = blobs(40, 0)
    images, squares = torch.from_numpy(pictures.images_u8), torch.from_numpy(pictures.squares_px)
    x, moved = training.warped(images, squares, training.OF_PICTURES, torch.Generator().manual_seed(0))
    assert x.shape == (40, 3, P, P) and x.abs().max() <= 0.5
    sides = ~moved[..., 0].isnan()
    assert (sides.sum(dim=1) == 1).all()
    mirrored = sides[:, LEFT] != ~squares[:, LEFT, 0].isnan()
    assert 8 < mirrored.sum() < 32
    inside = 0
    for number in range(40):
        u, v, side_px = moved[number][sides[number]][0].tolist()
        if all(side_px < value < P - side_px for value in (u, v)):
            assert np.allclose(reddest(x[number]), (u, v), atol=0.75)
            inside += 1
    assert inside > 15


def test_two_pictures_joined_show_both_hands_and_never_two_of_one_side():
    pictures = blobs(64, 1)
    x = training.as_input(pictures.images_u8)
    squares = torch.from_numpy(pictures.squares_px)
    mixed, joined = training.joined(x, squares, torch.Generator().manual_seed(0))
    two = (~joined[..., 0].isnan()).all(dim=1)
    assert two.any() and not two.all()
    for number in two.nonzero()[:, 0].tolist():
        for side, channel in ((LEFT, 0), (RIGHT, 2)):
            u, v, _ = joined[number, side].long().tolist()
            assert mixed[number, channel, v, u] > 0.3


def test_maps_of_true_squares_come_back_as_the_hands():
    squares = torch.tensor([[[20.3, 30.8, 18.0], NONE], [[10.0, 50.0, 22.0], [44.0, 21.0, 30.0]], [NONE, NONE]])
    heat, index, offset, size = training.targets(squares, P)
    maps = torch.zeros(3, 4, P // 4, P // 4)
    maps[:, network.HEAT] = torch.logit(heat.clamp(1e-4, 0.95))
    flat = maps.flatten(2)
    for (sample, cell), shift, logarithm in zip(index.tolist(), offset, size, strict=True):
        flat[sample, network.OFFSET, cell] = shift
        flat[sample, network.SIZE, cell] = logarithm
    image_hw = (480, 640)  # its picture: zoom 0.1, 8 px of grey above and below
    detected = [peaks(of_picture, image_hw, P, THRESHOLDS.certain) for of_picture in maps]
    assert [len(hands) for hands in detected] == [1, 2, 0]
    (hand,) = detected[0]
    to_picture = frames.to_picture(image_hw, P)
    assert np.allclose(to_picture[:2, :2] @ hand.centre_px + to_picture[:2, 2], (20.3, 30.8), atol=1e-3)
    assert hand.side_px == pytest.approx(180, rel=1e-4)


def test_the_loss_is_least_at_the_targets():
    squares = torch.tensor([[[20.3, 30.8, 18.0], NONE]])
    targets = training.targets(squares, P)
    maps = torch.zeros(1, 4, P // 4, P // 4)
    maps[:, network.HEAT] = torch.where(targets[0] == 1, 12.0, -12.0)
    sample, cell = targets[1].unbind(1)
    flat = maps.flatten(2)
    flat[sample, network.OFFSET, cell], flat[sample, network.SIZE, cell] = targets[2], targets[3]
    least = training.detection_loss(maps, *targets)
    assert least < 1e-3
    for channel in range(4):
        worse = maps.clone()
        worse[:, channel] += 1.0 if channel != network.HEAT else -16.0 * (targets[0] - 0.5).sign()
        assert training.detection_loss(worse, *targets) > least + 0.01


def test_a_few_pictures_are_learned_and_the_same_bytes_come_twice(tmp_path):
    pictures = notched(96, 2)
    trained = training.train(pictures, SETTINGS, OF_SIDES, 240)
    path = tmp_path / "detector.safetensors"
    network.save(path, trained, SETTINGS, THRESHOLDS, "squares")
    detector = Detector.load(path)
    counts, fresh = scores.Counts(), notched(16, 3)
    for image, squares in zip(fresh.images_u8, fresh.squares_px, strict=True):
        sides = np.flatnonzero(~np.isnan(squares[:, 0]))
        counts.add([squares[side] for side in sides], sides.tolist(), detector.detect([image])[0])
    row = counts.row()
    assert row["recall_percent"] >= 80 and row["side_accuracy_percent"] >= 90, row
    untrained = Detector(network.DetectorNetwork(8).eval(), SETTINGS, THRESHOLDS)
    assert not any(untrained.detect(list(fresh.images_u8)))  # negative control
    first, again = (training.train(pictures, SETTINGS, replace(OF_SIDES, steps=3), 5).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    for _ in range(6):  # safetensors itself writes its metadata in an order of its own
        network.save(other := tmp_path / "again.safetensors", trained, SETTINGS, THRESHOLDS, "squares")
        assert other.read_bytes() == path.read_bytes()


def test_scores_by_hand():
    a, b = np.array([10.0, 10.0, 10.0]), np.array([15.0, 10.0, 10.0])
    assert scores.overlap(a, b) == pytest.approx(50 / 150) and scores.overlap(a, a) == 1
    hand = Detection((10.0, 11.0), 10.0, 0.9, LEFT, 1.0)
    far = Detection((90.0, 11.0), 10.0, 0.8, RIGHT, 1.0)
    assert scores.matches([b, a], [hand, far]) == [None, 0]
    assert scores.matches([a, a], [hand, hand]) == [0, 1]
    counts = scores.Counts()
    counts.add([a, b], [RIGHT, LEFT], [hand, far])
    assert counts.row() == {
        "frames": 1,
        "hands": 2,
        "recall_percent": 50.0,
        "precision_percent": 50.0,
        "side_accuracy_percent": 0.0,
    }


def frame(*hands: tuple[float, int, float], true_side: int = LEFT) -> thresholds.Frame:
    """One true hand. `hands`: score, side and its probability of detections; the first is at the true place."""
    places = [(10.0, 10.0), *((90.0 + 50.0 * number, 10.0) for number in range(len(hands)))]
    detections = [Detection(place, 10.0, *hand) for place, hand in zip(places, hands, strict=False)]
    return thresholds.Frame([np.array([10.0, 10.0, 10.0])], [true_side], detections)


def test_thresholds_by_hand():
    seen = [frame((0.8, LEFT, 0.97)), frame((0.42, LEFT, 0.75)), frame((0.42, RIGHT, 0.73))]
    false_alarms = [frame((0.8, LEFT, 0.9), (0.37, LEFT, 0.6)), frame((0.8, LEFT, 0.9), (0.12, LEFT, 0.6))]
    frames_of = [*seen, *false_alarms]
    # from 0.4 on all five hands are seen and nothing else; from 0.75 on, sides are right
    assert thresholds.harmonic_mean(frames_of, 0.4) == 1
    assert thresholds.harmonic_mean(frames_of, 0.3) == pytest.approx(10 / 11)
    assert thresholds.harmonic_mean(frames_of, 0.5) == pytest.approx(2 * 3 / (5 + 3))
    assert thresholds.choose(frames_of, 0.9) == network.Thresholds(0.4, 0.74)
    assert thresholds.choose(frames_of, 0.8) == network.Thresholds(0.4, 0.5)  # four of five are right
    wrong = [frame((0.8, RIGHT, 0.99))]
    assert thresholds.choose(wrong, 0.9).sure_of_side == 1
    assert thresholds.choose([frame()], 0.9) == network.Thresholds(0.05, 1)


def test_the_network_of_sides_starts_from_a_pose_model_of_its_size(tmp_path):
    start, side = REPOSITORY / "pretrained/rhd-rgb-v1.safetensors", network.SideNetwork(1)
    head = side.head.weight.clone()
    side.start_from(start)
    trunk = initial.weights_of(start)["encoders.rgb.trunk.conv1.weight"]
    assert torch.equal(side.trunk.conv1.weight, trunk.float()) and torch.equal(side.head.weight, head)
    with pytest.raises(InputError, match=r"rhd-2d-v3\.safetensors: expected a pose model of RGB images of 64 px"):
        side.start_from(REPOSITORY / "pretrained/rhd-2d-v3.safetensors")


@pytest.mark.parametrize("content", [b"", b"\xff" * 64])
def test_another_file_is_no_detector(tmp_path, content):
    path = tmp_path / "detector.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"detector\.safetensors: expected a detector"):
        Detector.load(path)


def test_settings_name_what_is_wrong(tmp_path):
    text = (REPOSITORY / "detector.yaml").read_text()
    path = tmp_path / "detector.yaml"
    for wrong, said in (("picture_px: 100", "picture_px"), ("picture_px: 96\nunknown: 1", "unknown")):
        path.write_text(text.replace("picture_px: 96", wrong))
        with pytest.raises(InputError, match=rf"detector\.yaml: .*{said}"):
            settings.load(path)
    assert settings.load(REPOSITORY / "detector.yaml").steps.keys() == {"tiny", "small", "night", "paper"}
