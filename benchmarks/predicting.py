"""Hands in one's own pictures: crops, whole pictures and frames of a video a second, in one process on all cores.

The models are untrained, which takes as long; pictures are noise of a telephone video's size.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import data, measure
from handvae.base import workers
from handvae.detection import network, settings, thresholds
from handvae.detection.detect import Detector
from handvae.model.checkpoints import Trained
from handvae.model.settings import settings_of
from handvae.model.vae import CrossModalVAE
from handvae.prediction import boxes, overlay
from handvae.prediction.hands import ColourPredictor
from handvae.prediction.outputs import drawn
from handvae.prediction.pictures import Frame

ROW = "rhd-rgb-v1"
FRAMES, IMAGE_HW = 128, (480, 640)
BOX = (200.0, 120.0, 440.0, 360.0)
ROUNDS = 5


def rows(folder: Path, profile: str) -> list[measure.Row]:
    """Rates of prediction alone, with the detector before it, and with the overlay after it."""
    loaded = data.loaded(data.workspace(folder / "predicting", profile, {}))
    chosen = settings_of(loaded, ROW)
    trained = Trained(CrossModalVAE(chosen.architecture, 0).eval(), chosen, "")
    random = np.random.default_rng(0)
    frames = [
        Frame("clip.mp4", number, 0.0, random.integers(0, 256, (*IMAGE_HW, 3), np.uint8)) for number in range(FRAMES)
    ]
    box = boxes.square(BOX, IMAGE_HW, "", hand_side=0, confidence=None, source="")
    predictor = ColourPredictor(trained, lambda given: [[box] for _ in given], None, None)
    of_detector = settings.load(data.PARAMS.with_name("detector.yaml"))
    detector = Detector(network.DetectorNetwork(of_detector.width).eval(), of_detector, thresholds.OPEN)
    (hands,) = predictor.hands(frames[:1])
    sides = {
        "crops": lambda: predictor.hands(frames),
        "detector": lambda: detector.detect([frame.image_u8 for frame in frames]),
        "overlay": lambda: [overlay.draw(frame.image_u8, drawn(hands), 2) for frame in frames],
    }
    rates = measure.alternating({name: _rate(side) for name, side in sides.items()}, ROUNDS)
    texts = {
        "crops": (f"{ROW}, crops with their joints and spread", "150 crops/s on 2 cores"),
        "detector": ("the detector, frames of 640 x 480 px without a hand", ""),
        "overlay": ("overlays of a video's frames", ""),
    }
    return [
        measure.Row(
            f"{texts[name][0]}, {workers.cores()} cores",
            f"{measure.spread(rates[name]).text(0)} a second",
            held_to=texts[name][1],
        )
        for name in sides
    ]


def _rate(side: Callable[[], object]) -> Callable[[], float]:
    def measured() -> float:
        start = time.perf_counter()
        side()
        return FRAMES / (time.perf_counter() - start)

    return measured
