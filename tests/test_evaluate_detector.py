"""`stages.evaluate_detector` on a small synthetic set: with true boxes the evaluation's error, and what boxes cost."""

from pathlib import Path

import numpy as np
import pytest

from handvae.datasets import rhd
from handvae.detection import frames, network
from handvae.detection.detect import Detection, Detector
from handvae.evaluation import metrics
from handvae.evaluation.predict import predict_joints_mm
from handvae.model import batches
from handvae.model.parts import whole
from handvae.prediction import portable
from handvae.preprocessing import preprocess, store
from handvae.synthetic import generate
from stages import evaluate_detector
from tests.test_detection import SETTINGS, THRESHOLDS
from tests.test_poses import ATTRIBUTES, fresh
from tests.test_training import CPU

BLIND = Detector(network.DetectorNetwork(8).eval(), SETTINGS, THRESHOLDS)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rhd") / "hands"
    generate.generate("rhd", folder, {"training": 1, "evaluation": 6, "image_px": 160}, 3, 1)
    return folder


def evaluated_epe_mm(trained, test, path: Path) -> float:
    """What the evaluation says of the preprocessed frames."""
    crops = preprocess.size(trained.settings.crop_px, 1.5)
    store.write(path, {"test": list(preprocess.hands(test, rhd.read, crops, ""))}, ATTRIBUTES | vars(crops))
    split = batches.load_split([whole(path, ["test"])], True, None, CPU)
    errors_mm = np.linalg.norm(predict_joints_mm(trained.model, "rgb", split) - split.true_mm().numpy(), axis=2)
    visible = store.read(path, ["test"], ["visible"])["visible"]
    shown = visible.any(axis=0)
    return metrics.mean_over_joints(errors_mm[:, shown], visible[:, shown])


def test_with_true_boxes_the_error_is_the_evaluations_and_other_boxes_change_it(root, tmp_path, monkeypatch):
    trained, test = fresh("rhd-rgb-v1"), rhd.frames(root, "dominant")["test"]
    samples, rows = [rhd.read(frame)[0] for frame in test], {}
    for shift in (0.0, 0.1, 0.9):  # of the true squares, as a share of their side
        squares = [(sample.side, frames.square_px(sample)) for sample in samples]
        hands = [[Detection((u + shift * size, v), size, 0.9, side, 1.0)] for side, (u, v, size) in squares]
        monkeypatch.setattr(Detector, "detect", lambda self, images, hands=hands: hands)
        rows[shift] = evaluate_detector.of_set("rhd", test, BLIND, trained)
    epe_mm = pytest.approx(evaluated_epe_mm(trained, test, tmp_path / "rhd.h5"), abs=0.006)
    assert all((row["hands"], row["epe_true_boxes_mm"]) == (6, epe_mm) for row in rows.values())
    exact, near, far = rows.values()
    assert exact["recall_percent"] == near["recall_percent"] == 100 > far["recall_percent"]
    assert near["epe_of_those_true_boxes_mm"] == epe_mm
    assert near["epe_of_those_detected_boxes_mm"] != near["epe_true_boxes_mm"]
    assert np.isnan(far["epe_of_those_detected_boxes_mm"]) and far["hands_seen"] == 0


def test_a_folder_of_ones_own_is_scored_and_nothing_is_written(root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    portable.save(Path("pretrained/rhd-rgb-v1.safetensors"), fresh("rhd-rgb-v1"))
    BLIND.save(Path("pretrained/detector.safetensors"))
    evaluate_detector.main(str(root))
    said = capsys.readouterr().out
    assert all(key in said for key in ("hands", "recall_percent", "epe_true_boxes_mm"))
    assert [path.name for path in tmp_path.iterdir()] == ["pretrained"]
