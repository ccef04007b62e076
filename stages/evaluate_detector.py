"""models/detector.safetensors -> data/detector.csv: hands that are seen, and their sides

On the test frames of RHD and STB: the share of hands that the detector sees, of its detections that are hands, of sides
that are right. With FOLDER, your own hands in RHD's layout (docs/own_hands.md), it prints the same of that folder's
evaluation part, and --model's mean EPE with the true boxes and with the detector's; it writes nothing.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from handvae.base import atomic, geometry, params
from handvae.base.joints import ROOT
from handvae.base.progress import Progress
from handvae.datasets import rhd, sets
from handvae.datasets.sample import Sample
from handvae.datasets.sets import DATASETS
from handvae.detection import frames, scores
from handvae.detection.detect import Detection, Detector
from handvae.model import checkpoints, devices
from handvae.prediction import models, poses
from handvae.prediction.boxes import HandBox
from handvae.prediction.finders import detector_path, to_box
from stages import command_line, run
from stages.train_detector import SETS, labelled

BATCH = 64  # frames in memory at once


def main(*words: str) -> None:
    parser = command_line("stages.evaluate_detector", __doc__)
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
    parser.add_argument("--model", help="with FOLDER; default: the repository's for RGB")
    given = parser.parse_args(words)
    devices.make_repeatable(device := devices.choose("cpu"))
    if given.folder is not None:
        trained, path = models.load(given.model, device)
        poses.check_input(trained, "rgb", path)
        detector = Detector.load(detector_path(None))
        test = rhd.frames(sets.find("rhd", given.folder), "dominant")["test"]
        rows = [{"dataset": given.folder.name, **of_set("rhd", test, detector, trained)}]
    else:
        detector, loaded, rows = Detector.load(Path("models/detector.safetensors")), params.load(), []
        for name in SETS:
            test = labelled(name, loaded, "test", sys.maxsize)
            rows.append({"dataset": name, **of_set(name, test, detector, None)})
        atomic.write_text("data/detector.csv", pd.DataFrame(rows).to_csv(index=False))
    print(pd.DataFrame(rows).T.to_string(header=False))


def of_set(name: str, test: list, detector: Detector, trained: checkpoints.Trained | None) -> dict[str, object]:
    """The numbers of one set. A pose model, if there is one, is scored on the hand of each frame that the protocol
    scores: on all of them with their true boxes, and on those that the detector sees with either box."""
    counts, errors_mm = scores.Counts(), []
    with Progress(f"evaluate detector {name}", len(test), "frames") as progress:
        for start in range(0, len(test), BATCH):
            part = test[start : start + BATCH]
            samples = [DATASETS[name].read(frame)[0] for frame in part]
            detections = detector.detect([sample.image_u8 for sample in samples])
            for frame, sample, of_frame in zip(part, samples, detections, strict=True):
                hands = frames.every_hand(name, frame, sample)
                counts.add([frames.square_px(hand) for hand in hands], [hand.side for hand in hands], of_frame)
            if trained is not None:
                errors_mm += with_either_box(trained, samples, detections)
            progress.advance(len(part))
    if trained is None:
        return counts.row()
    seen = [(with_true, detected) for with_true, detected in errors_mm if detected is not None]
    return {
        **counts.row(),
        "model": trained.settings.name,
        "epe_true_boxes_mm": mean_mm([with_true for with_true, _ in errors_mm]),
        "hands_seen": len(seen),
        "epe_of_those_true_boxes_mm": mean_mm([with_true for with_true, _ in seen]),
        "epe_of_those_detected_boxes_mm": mean_mm([detected for _, detected in seen]),
    }


def with_either_box(
    trained: checkpoints.Trained, samples: list[Sample], detections: list[list[Detection]]
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Of each hand that shows a joint the errors (J,), see `epe_mm`: with its true box, and with the detector's.

    None where the detector does not see it.
    """
    seen = {
        number: scores.matches([frames.square_px(sample)], detections[number])[0]
        for number, sample in enumerate(samples)
        if sample.visible.any()
    }
    true_mm = epe_mm(trained, [(samples[number], true_box(samples[number])) for number in seen])
    hits = [(samples[number], to_box(hand, hand.hand_side)) for number, hand in seen.items() if hand]
    detected_mm = iter(epe_mm(trained, hits))
    return [
        (of_hand, next(detected_mm) if hand else None) for of_hand, hand in zip(true_mm, seen.values(), strict=True)
    ]


def mean_mm(errors_mm: list[np.ndarray]) -> float:
    """The protocol's mean EPE of hands (J,), NaN where a joint is not visible: over the hands, then over the joints."""
    if not errors_mm:
        return float("nan")
    of_all = np.stack(errors_mm)
    return round(float(np.nanmean(of_all[:, ~np.isnan(of_all).all(axis=0)], axis=0).mean()), 2)


def true_box(sample: Sample) -> HandBox:
    crop = frames.hand_square(sample)
    return HandBox(*map(float, crop.top_left_px), crop.side_px, sample.side)


def epe_mm(trained: checkpoints.Trained, hands: list[tuple[Sample, HandBox]]) -> list[np.ndarray]:
    """The errors (J,) of each hand's joints, palm-relative, with its true scale; NaN where a joint is not visible."""
    if not hands:
        return []
    samples, boxes = zip(*hands, strict=True)
    bone_mm = np.array([geometry.scale_bone_mm(sample.joints_mm) for sample in samples])
    split = poses.colour_split(trained, [sample.image_u8 for sample in samples], boxes, bone_mm)
    true_mm = np.stack([sample.joints_mm - sample.joints_mm[ROOT] for sample in samples])
    distance_mm = np.linalg.norm(poses.predict(trained, split).joints_mm - true_mm, axis=2)
    return [np.where(sample.visible, of_hand, np.nan) for of_hand, sample in zip(distance_mm, samples, strict=True)]


if __name__ == "__main__":
    run(main, *sys.argv[1:])
