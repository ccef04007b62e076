"""models/<name>/ -> predictions and metrics. Usage: python -m stages.evaluate [name; default: your experiment]"""

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import torch

from handvae import atomic, checkpoints, params, predict, statistics, store
from handvae.errors import InputError
from handvae.settings import Settings
from stages import run


def main(name: str = params.OWN) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, settings, data_sha256 = checkpoints.load_model(Path(f"models/{name}"), device)
    experiment = settings.experiment
    data = Path(f"data/processed/{experiment.dataset}.h5")
    found, groups = store.attributes(data), store.split_groups(data, "train", experiment.test_subject)
    if store.digest(data, groups) != data_sha256:
        raise InputError(f"models/{name}: trained on other data than {data}; run `dvc repro`")
    columns = predict.predict_split(model, settings, data, device)
    attributes = {key: getattr(experiment, key) for key in ("dataset", "input", "variant", "invariances", "encoder")}
    attributes["test_subject"] = experiment.test_subject or ""  # HDF5 has no null
    attributes |= {key: found[key] for key in ("source", "synthetic", "published", "skeleton")}
    attributes |= {"experiment": name, "profile": settings.profile}
    own = name == params.OWN
    predict.write("data/experiment.h5" if own else f"data/predictions/{name}.h5", columns, attributes)
    summary, table = scores(columns, settings)
    curve = "pcf" if experiment.input == "depth" else "pck"
    stem = "reports/metrics" if own else f"reports/metrics/{name}"
    atomic.write_text(f"{stem}.json", json.dumps(summary, indent=2) + "\n")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("threshold_mm", curve), *table])
    atomic.write_text(f"{stem}_pck.csv", text.getvalue())
    previous = summary.get("previous_frame_epe_mm")
    print(
        f"{name}: mean EPE {summary['epe_mean_mm']:.1f} mm; the mean pose has {summary['mean_pose_epe_mm']:.1f} mm"
        + ("" if previous is None else f", the true pose of the frame before {previous:.1f} mm")
    )


def scores(columns: dict[str, np.ndarray], settings: Settings) -> tuple[dict[str, float | int], list[tuple]]:
    """The flat metrics and the curve: PCK by the RGB sets' protocol; for depth PCF by the public evaluation's."""
    visible, names = columns["visible"], ("joints_pred_mm", "joints_true_mm", "mean_pose_mm")
    predicted, true, mean_pose = (columns[name][:, list(settings.skeleton.evaluated)] for name in names)
    visible = visible[:, list(settings.skeleton.evaluated)]
    if settings.experiment.input == "depth":
        summary = statistics.summarise_depth(predicted, true, mean_pose, seed=0)
        table = statistics.pcf_table(predicted, true)
    else:
        summary = statistics.summarise(predicted, true, visible, mean_pose, seed=0)
        table = statistics.pck_table(predicted, true, visible)
    return summary | statistics.previous_frame(true, visible, columns["previous_row"]), table


if __name__ == "__main__":
    run(main, *sys.argv[1:])
