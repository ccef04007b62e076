"""models/<name>/ -> predictions, metrics, curves. Usage: python -m stages.evaluate [name; default: your experiment]"""

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import torch

from handvae.base import atomic, params
from handvae.base.errors import InputError
from handvae.evaluation import bootstrap, latent, predict, statistics
from handvae.evaluation.predict import Columns
from handvae.model import checkpoints
from handvae.model.settings import Settings
from handvae.preprocessing import store
from stages import run


def main(name: str = params.OWN) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder, own = Path(f"models/{name}"), name == params.OWN
    settings, data, columns, encoded = predictions_of(folder, device)
    of_seeds = []
    while (further := checkpoints.seed_folder(folder, len(of_seeds) + 1)).exists():
        _, _, of_seed, latent_of_seed = predictions_of(further, device)
        of_seeds.append((of_seed["joints_pred_mm"], latent_of_seed))
    block_frames = params.load().block_frames(synthetic=bool(store.attributes(data)["synthetic"]))
    columns["block"] = bootstrap.blocks(columns["moment"], columns["sequence"], columns["frame"], block_frames)
    predictions = "data/experiment.h5" if own else f"data/predictions/{name}.h5"
    predict.write(predictions, columns, encoded, attributes(name, settings, data), of_seeds)
    summary, table = scores(columns, [joints_mm for joints_mm, _ in of_seeds], settings)
    stem = "reports/metrics" if own else f"reports/metrics/{name}"
    atomic.write_text(f"{stem}.json", json.dumps(summary, indent=2) + "\n")
    text = io.StringIO()
    header = ("threshold_mm", "pcf" if settings.experiment.input == "depth" else "pck")
    csv.writer(text, lineterminator="\n").writerows([header, *table])
    atomic.write_text(f"{stem}_pck.csv", text.getvalue())
    history = (folder / "history.csv").read_text()
    atomic.write_text("reports/training.csv" if own else f"reports/training/{name}.csv", history)
    previous = summary.get("previous_frame_epe_mm")
    print(
        f"{name}: mean EPE {summary['epe_mean_mm']:.1f} mm; the mean pose has {summary['mean_pose_epe_mm']:.1f} mm"
        + ("" if previous is None else f", the true pose of the frame before {previous:.1f} mm")
    )


def predictions_of(folder: Path, device: torch.device) -> tuple[Settings, Path, Columns, Columns]:
    """One model's settings, the set that it is tested on, its predictions and its latent columns."""
    model, settings, data_sha256 = checkpoints.load_model(folder, device)
    data = Path(f"data/processed/{settings.experiment.dataset}.h5")
    groups = store.split_groups(data, "train", settings.experiment.test_subject)
    if store.digest(data, groups) != data_sha256:
        raise InputError(f"{folder}: trained on other data than {data}; run `dvc repro`")
    columns = predict.predict_split(model, settings, data, device)
    return settings, data, columns, latent.latent_columns(model, settings, data, columns, device)


def attributes(name: str, settings: Settings, data: Path) -> dict[str, object]:
    """What the predictions' file says of itself: the experiment, and what its data is."""
    experiment, found = settings.experiment, store.attributes(data)
    keys = ("dataset", "input", "variant", "invariances", "encoder", "label_fraction")
    return {
        **{key: getattr(experiment, key) for key in keys},
        "test_subject": experiment.test_subject or "",  # HDF5 has no null
        "encoded": settings.encoded,
        **{key: found[key] for key in ("source", "synthetic", "published", "skeleton")},
        "experiment": name,
        "profile": settings.profile,
    }


def scores(
    columns: Columns, further_seeds_mm: list[np.ndarray], settings: Settings
) -> tuple[dict[str, float | int | None], list[tuple]]:
    """The flat metrics and the curve: PCK by the RGB sets' protocol; for depth PCF by the public evaluation's.

    `further_seeds_mm`: the joints (N, J, 3) that the models of further seeds predict.
    """
    evaluated, block = list(settings.skeleton.evaluated), columns["block"]
    true, mean_pose, visible = (columns[name][:, evaluated] for name in ("joints_true_mm", "mean_pose_mm", "visible"))
    predicted = [joints_mm[:, evaluated] for joints_mm in (columns["joints_pred_mm"], *further_seeds_mm)]
    if settings.experiment.input == "depth":
        summary = statistics.summarise_depth(predicted, true, mean_pose, block, seed=0)
        table = statistics.pcf_table(predicted, true)
    else:
        summary = statistics.summarise(predicted, true, visible, mean_pose, block, seed=0)
        table = statistics.pck_table(predicted, true, visible)
    return summary | statistics.previous_frame(true, visible, columns["previous_row"]), table


if __name__ == "__main__":
    run(main, *sys.argv[1:])
