"""The detector: squares follow the pictures, maps come back as hands, a few pictures are learned, scores by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handvae.base import geometry, params
from handvae.base.errors import InputError
from handvae.base.joints import LEFT, RIGHT
from handvae.detection import frames, network, scores, settings, thresholds, training
from handvae.detection.detect import Detection, Detector, Thresholds, peaks
from handvae.detection.frames import Pictures
from handvae.model import initial
from handvae.preprocessing.preprocess import resample
from tests.conftest import REPOSITORY

P = 64
SETTINGS = settings.DetectorSettings(P, 8, 8, 5e-3, {"tiny": 60}, 100, 0.1, 0.9)
THRESHOLDS = Thresholds(0.4, 0.9)
NO_HAND = [np.nan] * 3
POSE_MODEL = REPOSITORY / "pretrained/rhd-rgb-v1.safetensors"


def blobs(count: int, seed: int, notched: bool = False) -> Pictures:
    """Pictures of a square each, a red left hand or a blue right one.

    Notched squares have one colour: a left hand lacks its upper right quarter, a right one is its mirror image. So the
    shape tells the side, as it must in mirrored pictures.
    """
    random = np.random.default_rng(seed)
    images, squares = np.full((count, P, P, 3), 128, np.uint8), np.full((count, 2, 3), np.nan, np.float32)
    sides, crops = np.arange(count) % 2, []
    for image, square, side in zip(images, squares, sides, strict=True):
        u, v = random.integers(20, P - 20, 2)
        image[v - 7 : v + 8, u - 7 : u + 8] = 230 if notched else ((230, 60, 60), (60, 60, 230))[side]
        if notched:
            image[v - 7 : v + 1, slice(u, u + 8) if side == LEFT else slice(u - 7, u + 1)] = 128
        square[side] = u, v, 15
        crop = geometry.Crop(np.array([u, v]), 15, 15, np.array([u, v]) - 7.5)
        to_crop = geometry.context_transform(crop, network.CROP_PX, frames.CONTEXT_PX)
        crops.append(resample(image, to_crop, frames.CONTEXT_PX))
    return Pictures(images, squares, np.stack(crops), sides)


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
    for picture, (u, v, side_px) in zip(x, moved[sides].tolist(), strict=True):
        if all(side_px < value < P - side_px for value in (u, v)):
            coloured = ((picture[0] - picture[2]).abs() > 0.3).nonzero().float()
            assert np.allclose(coloured.mean(dim=0), (v, u), atol=0.75)
            inside += 1
    assert inside > 15


def test_two_pictures_joined_show_both_hands_and_never_two_of_one_side():
    pictures = blobs(64, 1)
    x, squares = training.as_input(pictures.images_u8), torch.from_numpy(pictures.squares_px)
    mixed, joined = training.joined(x, squares, torch.Generator().manual_seed(0))
    two = (~joined[..., 0].isnan()).all(dim=1)
    assert two.any() and not two.all()
    for picture, (left, right) in zip(mixed[two], joined[two].long().tolist(), strict=True):
        for channel, (u, v, _) in ((0, left), (2, right)):
            assert picture[channel, v, u] > 0.3


def maps_of(targets: tuple[torch.Tensor, ...], logits: torch.Tensor) -> torch.Tensor:
    """Maps that say what the targets say, with these logits (B, C, C) of the heat."""
    _, index, offset, size = targets
    maps = torch.zeros(len(logits), 4, P // 4, P // 4)
    maps[:, network.HEAT] = logits
    sample, cell = index.unbind(1)
    flat = maps.flatten(2)
    flat[sample, network.OFFSET, cell], flat[sample, network.SIZE, cell] = offset, size
    return maps


def test_maps_of_true_squares_come_back_as_the_hands():
    hands = [[[20.3, 30.8, 18.0], NO_HAND], [[10.0, 50.0, 22.0], [44.0, 21.0, 30.0]], [NO_HAND, NO_HAND]]
    targets = training.targets(torch.tensor(hands), P)
    image_hw = (480, 640)  # its picture: zoom 0.1, 8 px of grey above and below
    maps = maps_of(targets, torch.logit(targets[0].clamp(1e-4, 0.95)))
    detected = [peaks(of_picture, image_hw, P, THRESHOLDS.certain) for of_picture in maps]
    assert [len(of_picture) for of_picture in detected] == [1, 2, 0]
    (hand,) = detected[0]
    in_picture = geometry.transform_px(np.array(hand.centre_px), frames.to_picture(image_hw, P))
    assert np.allclose(in_picture, (20.3, 30.8), atol=1e-3) and hand.side_px == pytest.approx(180, rel=1e-4)


def test_the_loss_is_least_at_the_targets():
    targets = training.targets(torch.tensor([[[20.3, 30.8, 18.0], NO_HAND]]), P)
    is_hand = targets[0] == 1
    maps = maps_of(targets, torch.where(is_hand, 12.0, -12.0))
    least = training.detection_loss(maps, *targets)
    assert least < 1e-3
    for channel in range(4):
        worse = maps.clone()
        worse[:, channel] += torch.where(is_hand, -16.0, 16.0) if channel == network.HEAT else 1.0
        assert training.detection_loss(worse, *targets) > least + 0.01


def test_a_few_pictures_are_learned_and_the_same_weights_come_twice(tmp_path):
    pictures, unseen = blobs(96, 2, notched=True), blobs(16, 3, notched=True)
    of_sides = replace(params.load(REPOSITORY / "params.yaml").profile.training["rgb"], steps=60, warmup_steps=2)
    path = tmp_path / "detector.safetensors"
    Detector(training.train(pictures, SETTINGS, of_sides, 240), SETTINGS, THRESHOLDS, "squares").save(path)
    detector, counts = Detector.load(path), scores.Counts()
    assert (detector.settings, detector.thresholds, detector.data) == (SETTINGS, THRESHOLDS, "squares")
    detections = detector.detect(list(unseen.images_u8))
    for squares, side, of_image in zip(unseen.squares_px, unseen.sides, detections, strict=True):
        counts.add([squares[side]], [side], of_image)
    row = counts.row()
    assert row["recall_percent"] >= 80 and row["side_accuracy_percent"] >= 90, row
    untrained = Detector(network.DetectorNetwork(8).eval(), SETTINGS, THRESHOLDS)
    assert not any(untrained.detect(list(unseen.images_u8)))  # negative control
    short = replace(of_sides, steps=3)
    first, again = (training.train(pictures, SETTINGS, short, 5).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], again[key]) for key in first)


def test_scores_by_hand():
    a, b = np.array([10.0, 10.0, 10.0]), np.array([15.0, 10.0, 10.0])
    assert scores.overlap(a, b) == pytest.approx(50 / 150) and scores.overlap(a, a) == 1
    hand, far = Detection((10.0, 11.0), 10.0, 0.9, LEFT, 1.0), Detection((90.0, 11.0), 10.0, 0.8, RIGHT, 1.0)
    assert scores.matches([b, a], [hand, far]) == [None, hand]
    assert scores.matches([a, a], [hand, hand]) == [hand, hand]  # none is chosen twice
    counts = scores.Counts()
    counts.add([a, b], [RIGHT, LEFT], [hand, far])
    percent = {"recall_percent": 50.0, "precision_percent": 50.0, "side_accuracy_percent": 0.0}
    assert counts.row() == {"frames": 1, "hands": 2, **percent}


def frame(*hands: tuple[float, int, float]) -> thresholds.Frame:
    """One true left hand. `hands`: score, side and its probability of detections; the first is at the true place."""
    places = [(10.0, 10.0), (90.0, 10.0)]
    detections = [Detection(place, 10.0, *hand) for place, hand in zip(places, hands, strict=False)]
    return thresholds.Frame([np.array([10.0, 10.0, 10.0])], [LEFT], detections)


def test_thresholds_by_hand():
    seen = [frame((0.8, LEFT, 0.97)), frame((0.42, LEFT, 0.75)), frame((0.42, RIGHT, 0.73))]
    false_alarms = [frame((0.8, LEFT, 0.9), (0.37, LEFT, 0.6)), frame((0.8, LEFT, 0.9), (0.12, LEFT, 0.6))]
    frames_of = [*seen, *false_alarms]
    # from 0.4 on all five hands are seen and nothing else; from 0.75 on, sides are right
    assert thresholds.harmonic_mean(frames_of, 0.4) == 1
    assert thresholds.harmonic_mean(frames_of, 0.3) == pytest.approx(10 / 11)
    assert thresholds.harmonic_mean(frames_of, 0.5) == pytest.approx(2 * 3 / (5 + 3))
    assert thresholds.choose(frames_of, 0.9) == Thresholds(0.4, 0.74)
    assert thresholds.choose(frames_of, 0.8) == Thresholds(0.4, 0.5)  # four of five are right
    assert thresholds.choose([frame((0.8, RIGHT, 0.99))], 0.9).sure_of_side == 1
    assert thresholds.choose([frame()], 0.9) == Thresholds(0.05, 1)


def test_the_network_of_sides_starts_from_a_pose_model_of_its_size():
    side = network.SideNetwork(1)
    head = side.head.weight.clone()
    side.start_from(POSE_MODEL)
    trunk = initial.weights_of(POSE_MODEL)["encoders.rgb.trunk.conv1.weight"]
    assert torch.equal(side.trunk.conv1.weight, trunk.float()) and torch.equal(side.head.weight, head)
    with pytest.raises(InputError, match=r"rhd-2d-v3\.safetensors: expected a pose model of RGB images of 64 px"):
        side.start_from(POSE_MODEL.with_name("rhd-2d-v3.safetensors"))


@pytest.mark.parametrize("content", [b"", POSE_MODEL.read_bytes()], ids=["empty", "pose model"])
def test_another_file_is_no_detector(tmp_path, content):
    path = tmp_path / "detector.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"detector\.safetensors: expected a detector"):
        Detector.load(path)


@pytest.mark.parametrize(("wrong", "said"), [("picture_px: 100", "picture_px"), ("picture_px: 96\nmore: 1", "more")])
def test_settings_name_what_is_wrong(tmp_path, wrong, said):
    text = (REPOSITORY / "detector.yaml").read_text()
    (tmp_path / "detector.yaml").write_text(text.replace("picture_px: 96", wrong))
    with pytest.raises(InputError, match=rf"detector\.yaml: .*{said}"):
        settings.load(tmp_path / "detector.yaml")
