"""models/<name>/ -> predictions, metrics, curves. Usage: python -m stages.evaluate [name; default: your experiment]"""

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import threadpoolctl
import torch

from handvae.base import atomic, params
from handvae.base.errors import InputError
from handvae.evaluation import latent, predict, statistics
from handvae.evaluation.predict import Columns
from handvae.model import checkpoints, devices, parts
from handvae.model.settings import Settings
from handvae.preprocessing import moments, store
from stages import run

PROCESSED = Path("data/processed")


def main(name: str = params.OWN) -> None:
    loaded = params.load()
    device = devices.choose(loaded.device)
    devices.make_repeatable(device)
    with (
        threadpoolctl.threadpool_limits(1),
        devices.out_of_memory(f"evaluate {name}", device, "set resident: host in params.yaml"),
    ):
        evaluate(name, loaded, device)


def evaluate(name: str, loaded: params.Params, device: torch.device) -> None:
    folder, own = Path(f"models/{name}"), name == params.OWN
    models = [checkpoints.load_model(folder, device)]
    while (further := checkpoints.seed_folder(folder, len(models))).exists():
        models.append(checkpoints.load_model(further, device))
    settings = models[0].settings
    trained_on = parts.training_parts(PROCESSED, settings.experiment)
    if {model.data_sha256 for model in models} != {parts.digest(trained_on)}:
        raise InputError(f"{folder}: trained on other data than {trained_on[0].path} holds now; run `dvc repro`")
    predictions, summaries, curves = {}, {}, {}
    for dataset in settings.experiment.datasets:
        found = predicted(name, models, dataset, trained_on, loaded, device)
        further_mm = [joints_mm for joints_mm, _ in found.further_seeds]
        predictions[dataset] = found
        summaries[dataset], curves[dataset] = scores(found.columns, further_mm, settings)
        print(f"{name}: {result_text(dataset, summaries[dataset])}")
    one = len(predictions) == 1
    predict.write(
        "data/experiment.h5" if own else f"data/predictions/{name}.h5",
        {"/" if one else dataset: prediction for dataset, prediction in predictions.items()},
    )
    stem = "reports/metrics" if own else f"reports/metrics/{name}"
    numbers = next(iter(summaries.values())) if one else summaries
    atomic.write_text(f"{stem}.json", json.dumps(numbers, indent=2) + "\n")
    atomic.write_text(f"{stem}_pck.csv", curves_text(curves, "pcf" if settings.experiment.input == "depth" else "pck"))
    history = (folder / "history.csv").read_text()
    atomic.write_text("reports/training.csv" if own else f"reports/training/{name}.csv", history)


def predicted(
    name: str,
    models: list[checkpoints.Trained],
    dataset: str,
    trained_on: list[parts.Part],
    loaded: params.Params,
    device: torch.device,
) -> predict.Prediction:
    """What the models of an experiment, one a seed, make of the rows of one set on which it is scored."""
    settings = models[0].settings
    scored = parts.scored_part(PROCESSED, settings.experiment, dataset)
    of_seeds = []
    for model, of_model, _ in models:
        columns = predict.predict_split(model, of_model, scored, trained_on, device, loaded.resident)
        encoded = latent.latent_columns(model, of_model, scored, columns, device, loaded.resident)
        of_seeds.append((columns, encoded))
    (columns, encoded), *further = of_seeds
    facts = attributes(name, settings, dataset, store.attributes(scored.path))
    block_frames = loaded.block_frames(synthetic=bool(facts["synthetic"]))
    columns["block"] = moments.blocks(columns["moment"], columns["sequence"], columns["frame"], block_frames)
    further_seeds = [(of_seed["joints_pred_mm"], latent_of_seed) for of_seed, latent_of_seed in further]
    return predict.Prediction(columns, encoded, facts, further_seeds)


def result_text(dataset: str, summary: dict[str, float | int | None]) -> str:
    previous = summary.get("previous_frame_epe_mm")
    return (
        f"mean EPE on {dataset.upper()} {summary['epe_mean_mm']:.1f} mm; "
        f"the mean pose has {summary['mean_pose_epe_mm']:.1f} mm"
        + ("" if previous is None else f", the true pose of the frame before {previous:.1f} mm")
    )


def curves_text(curves: dict[str, list[tuple]], kind: str) -> str:
    """CSV of the curve, or of each set's in a column of its own: thresholds are the same."""
    header = ["threshold_mm", *([kind] if len(curves) == 1 else [f"{kind}_{dataset}" for dataset in curves])]
    rows = [(of_sets[0][0], *(share for _, share in of_sets)) for of_sets in zip(*curves.values(), strict=True)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def attributes(name: str, settings: Settings, dataset: str, found: dict[str, object]) -> dict[str, object]:
    """What a prediction says of itself: the experiment, and what its data is; `found`: of the preprocessed set."""
    experiment = settings.experiment
    keys = ("input", "variant", "invariances", "encoder", "label_fraction", "validation", "recipe")
    facts = {key: found[key] for key in ("source", "synthetic", "published", "skeleton")}
    if experiment.validation:
        facts["source"] = f"{100 * experiment.validation:g} % held out of the training part of {facts['source']}"
        facts["published"] = False
    return {
        **{key: getattr(experiment, key) for key in keys},
        "dataset": dataset,
        "trained_on": experiment.dataset,
        "test_subject": experiment.test_subject or "",  # HDF5 has no null
        "encoded": settings.encoded,
        **facts,
        "experiment": name,
        "profile": settings.profile,
        "settings": json.dumps(settings.as_dict(), sort_keys=True),
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
