"""models/<name>/ -> predictions and metrics. Usage: python -m stages.evaluate [name; default: your experiment]"""

import csv
import io
import json
import sys
from pathlib import Path

import torch

from handvae import atomic, checkpoints, params, predict, statistics, store
from handvae.errors import InputError
from stages import run


def main(name: str = params.OWN) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, settings, data_sha256 = checkpoints.load_model(Path(f"models/{name}"), device)
    experiment = settings.experiment
    data = Path(f"data/processed/{experiment.dataset}.h5")
    found = store.attributes(data)
    if found["train_sha256"] != data_sha256:
        raise InputError(f"models/{name}: trained on other data than {data}; run `dvc repro`")
    columns = predict.predict_split(model, settings, data, device)
    attributes = {key: getattr(experiment, key) for key in ("dataset", "input", "variant", "invariances")}
    attributes |= {key: found[key] for key in ("source", "synthetic", "published")}
    attributes |= {"experiment": name, "profile": settings.profile}
    own = name == params.OWN
    predict.write("data/experiment.h5" if own else f"data/predictions/{name}.h5", columns, attributes)
    arrays = [columns[key] for key in ("joints_pred_mm", "joints_true_mm", "visible")]
    summary = statistics.summarise(*arrays, columns["mean_pose_mm"], seed=0)
    stem = "reports/metrics" if own else f"reports/metrics/{name}"
    atomic.write_text(f"{stem}.json", json.dumps(summary, indent=2) + "\n")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("threshold_mm", "pck"), *statistics.pck_table(*arrays)])
    atomic.write_text(f"{stem}_pck.csv", text.getvalue())
    print(f"{name}: mean EPE {summary['epe_mean_mm']:.1f} mm; the mean pose has {summary['mean_pose_epe_mm']:.1f} mm")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
