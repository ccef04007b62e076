"""models/detector.safetensors and two models from RGB -> reports/detector.csv: hands that are seen, and what boxes cost

On the test frames of RHD and STB: the share of hands that the detector sees, of its detections that are hands, of sides
that are right; and the pose model's mean EPE with the true boxes and with the detector's, on the hands it sees.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from handvae.base import atomic, geometry, params
from handvae.base.joints import ROOT
from handvae.base.progress import Progress
from handvae.datasets.sample import Sample
from handvae.datasets.sets import DATASETS
from handvae.detection import frames, scores
from handvae.detection.detect import Detection, Detector
from handvae.model import checkpoints, devices
from handvae.prediction import poses
from handvae.prediction.boxes import HandBox
from handvae.prediction.finders import to_box
from stages import command_line, run
from stages.train_detector import labelled

ROWS = {"rhd": "rhd-rgb-v1", "stb": "stb-rgb-v3"}  # the models whose errors are told, by set
BATCH = 64  # frames in memory at once


def main(*words: str) -> None:
    command_line("stages.evaluate_detector", __doc__).parse_args(words)
    loaded = params.load()
    devices.make_repeatable(device := devices.choose("cpu"))
    detector = Detector.load(Path("models/detector.safetensors"))
    rows = []
    for name, row in ROWS.items():
        trained = checkpoints.load_model(Path(f"models/{row}"), device)
        rows.append({"dataset": name, **of_set(name, labelled(name, loaded, "test", sys.maxsize), detector, trained)})
    atomic.write_text("reports/detector.csv", pd.DataFrame(rows).to_csv(index=False))
    print(pd.DataFrame(rows).to_string(index=False))


def of_set(name: str, test: list, detector: Detector, trained: checkpoints.Trained) -> dict[str, object]:
    """The numbers of one set. The pose model is scored on the hand of each frame that the protocol scores."""
    counts, errors_mm = scores.Counts(), {"true": [], "detected": []}
    with Progress(f"evaluate detector {name}", len(test), "frames") as progress:
        for start in range(0, len(test), BATCH):
            scored = [DATASETS[name].read(frame)[0] for frame in test[start : start + BATCH]]
            detections = detector.detect([sample.image_u8 for sample in scored])
            chosen, boxes = [], []
            for frame, sample, of_frame in zip(test[start : start + BATCH], scored, detections, strict=True):
                add(counts, every_hand(name, frame, sample), of_frame)
                (number,) = scores.matches([square_px(sample)], of_frame)
                if number is not None and sample.visible.any():
                    chosen.append(sample)
                    boxes.append(of_frame[number])
            if chosen:
                errors_mm["true"].append(epe_mm(trained, chosen, [true_box(sample) for sample in chosen]))
                errors_mm["detected"].append(epe_mm(trained, chosen, [to_box(hand, hand.hand_side) for hand in boxes]))
            progress.advance(len(scored))
    means = {key: np.concatenate(values).mean() if values else np.nan for key, values in errors_mm.items()}
    poses_seen = sum(map(len, errors_mm["true"]))
    return {
        **counts.row(),
        "model": trained.settings.name,
        "scored_hands_seen": poses_seen,
        "epe_true_boxes_mm": round(float(means["true"]), 2),
        "epe_detected_boxes_mm": round(float(means["detected"]), 2),
    }


def every_hand(name: str, frame: object, scored: Sample) -> list[Sample]:
    """All hands of a frame that show a joint: RHD has two in some."""
    samples = DATASETS[name].read(replace(frame, hands="both")) if name == "rhd" else [scored]
    return [sample for sample in samples if sample.visible.any()]


def add(counts: scores.Counts, hands: list[Sample], detections: list[Detection]) -> None:
    counts.add([square_px(hand) for hand in hands], [hand.side for hand in hands], detections)


def square_px(sample: Sample) -> np.ndarray:
    """u, v of the middle and the side (3,) of the protocol's square."""
    crop = frames.hand_square(sample)
    return np.array([*crop.centre_px, crop.side_px])


def true_box(sample: Sample) -> HandBox:
    crop = frames.hand_square(sample)
    return HandBox(*map(float, crop.top_left_px), crop.side_px, sample.side, None, "labels")


def epe_mm(trained: checkpoints.Trained, samples: list[Sample], boxes: list[HandBox]) -> np.ndarray:
    """The mean error (M,) over each hand's visible joints, palm-relative, with its true scale."""
    bone_mm = np.array([geometry.scale_bone_mm(sample.joints_mm) for sample in samples])
    with torch.inference_mode():
        split = poses.colour_split(trained, [sample.image_u8 for sample in samples], boxes, bone_mm)
        predicted_mm = poses.predict(trained, split).joints_mm
    true_mm = np.stack([sample.joints_mm - sample.joints_mm[ROOT] for sample in samples])
    distance_mm = np.linalg.norm(predicted_mm - true_mm, axis=2)
    return np.array([of_hand[s.visible].mean() for of_hand, s in zip(distance_mm, samples, strict=True)])


if __name__ == "__main__":
    run(main, *sys.argv[1:])
