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


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rhd") / "hands"
    generate.generate("rhd", folder, {"training": 1, "evaluation": 6, "image_px": 160}, 3, 1)
    return folder


def true_detections(root: Path, shift: float) -> list[Detection]:
    """Of each test frame the true square, moved by a share of its side."""
    result = []
    for frame in rhd.frames(root, "dominant")["test"]:
        (sample,) = rhd.read(frame)
        u_px, v_px, side_px = frames.square_px(sample)
        result.append(Detection((u_px + shift * side_px, v_px), side_px, 0.9, sample.side, 1.0))
    return result


def test_with_true_boxes_the_error_is_the_evaluations_and_other_boxes_change_it(root, tmp_path, monkeypatch):
    trained, test = fresh("rhd-rgb-v1"), rhd.frames(root, "dominant")["test"]
    crops = preprocess.size(trained.settings.crop_px, 1.5)
    facts = ATTRIBUTES | {"crop_px": crops.crop_px, "context_px": crops.context_px}
    store.write(tmp_path / "rhd.h5", {"test": list(preprocess.hands(test, rhd.read, crops, ""))}, facts)
    split = batches.load_split([whole(tmp_path / "rhd.h5", ["test"])], True, None, CPU)
    errors_mm = np.linalg.norm(predict_joints_mm(trained.model, "rgb", split) - split.true_mm().numpy(), axis=2)
    visible = store.read(tmp_path / "rhd.h5", ["test"], ["visible"])["visible"]
    shown = visible.any(axis=0)
    epe_mm = metrics.mean_over_joints(errors_mm[:, shown], visible[:, shown])
    detector = Detector(network.DetectorNetwork(8).eval(), SETTINGS, THRESHOLDS)
    scores = {}
    for shift in (0.0, 0.1, 0.9):
        detections = iter(true_detections(root, shift))
        monkeypatch.setattr(Detector, "detect", lambda self, images, of=detections: [[next(of)] for _ in images])
        scores[shift] = evaluate_detector.of_set("rhd", test, detector, trained)
        assert scores[shift]["epe_true_boxes_mm"] == pytest.approx(epe_mm, abs=0.006)
        assert scores[shift]["hands"] == 6
    assert scores[0.0]["recall_percent"] == scores[0.1]["recall_percent"] == 100 > scores[0.9]["recall_percent"]
    assert scores[0.1]["epe_of_those_true_boxes_mm"] == scores[0.1]["epe_true_boxes_mm"]
    assert scores[0.1]["epe_of_those_detected_boxes_mm"] != scores[0.1]["epe_true_boxes_mm"]
    assert np.isnan(scores[0.9]["epe_of_those_detected_boxes_mm"]) and scores[0.9]["hands_seen"] == 0


def test_a_folder_of_ones_own_is_scored_and_nothing_is_written(root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    portable.save(Path("pretrained/rhd-rgb-v1.safetensors"), fresh("rhd-rgb-v1"))
    file = Path("pretrained/detector.safetensors")
    network.save(file, network.DetectorNetwork(8).eval(), SETTINGS, THRESHOLDS, "none")
    evaluate_detector.main(str(root))
    out = capsys.readouterr().out
    assert "recall_percent" in out and "epe_true_boxes_mm" in out and "hands" in out
    assert not Path("reports").exists()
