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
from handvae.evaluation import latent, predict, statistics
from handvae.model import checkpoints, devices, parts
from handvae.model.parts import Part
from handvae.model.settings import Settings
from handvae.preprocessing import store
from stages import run

PROCESSED = Path("data/processed")


def main(name: str = params.OWN) -> None:
    loaded = params.load()
    device, resident = devices.choose(loaded.device), loaded.resident
    with devices.out_of_memory(f"evaluate {name}", device, "set resident: host in params.yaml"):
        evaluate(name, device, resident)


def evaluate(name: str, device: torch.device, resident: str) -> None:
    folder, own = Path(f"models/{name}"), name == params.OWN
    model, settings, data_sha256 = checkpoints.load_model(folder, device)
    trained_on = parts.training_parts(PROCESSED, settings.experiment)
    if parts.digest(trained_on) != data_sha256:
        raise InputError(f"{folder}: trained on other data than {trained_on[0].path}; run `dvc repro`")
    scored = parts.scored_part(PROCESSED, settings.experiment, settings.experiment.dataset)
    columns = predict.predict_split(model, settings, scored, trained_on, device, resident)
    predictions = "data/experiment.h5" if own else f"data/predictions/{name}.h5"
    encoded = latent.latent_columns(model, settings, scored, columns, device, resident)
    predict.write(predictions, columns, encoded, attributes(name, settings, scored.path))
    summary, table = scores(columns, settings)
    summary |= over_seeds([summary, *other_seeds(folder, scored, trained_on, device, resident)])
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


def other_seeds(
    folder: Path, scored: Part, trained_on: list[Part], device: torch.device, resident: str
) -> list[dict[str, float | int]]:
    """The metrics of a row's further models, which differ in their seed alone."""
    found = []
    while (of_seed := checkpoints.seed_folder(folder, len(found) + 1)).exists():
        model, settings, _ = checkpoints.load_model(of_seed, device)
        found.append(scores(predict.predict_split(model, settings, scored, trained_on, device, resident), settings)[0])
    return found


def over_seeds(summaries: list[dict[str, float | int]]) -> dict[str, float | int]:
    """Mean and sample standard deviation of the errors over models of several seeds; nothing for a single one."""
    if len(summaries) == 1:
        return {}
    result: dict[str, float | int] = {"seeds": len(summaries)}
    for key in ("epe_mean_mm", "epe_median_mm"):
        values = [summary[key] for summary in summaries]
        result[f"seeds_{key}"] = round(float(np.mean(values)), 4)
        result[f"seeds_{key}_sd"] = round(float(np.std(values, ddof=1)), 4)
    return result


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
