"""models/<name>/ -> predictions, metrics and curves of a row of the grid, or of your experiment."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import threadpoolctl
import torch

from handvae.base import atomic, params
from handvae.base.errors import InputError
from handvae.evaluation import latent, predict, statistics
from handvae.model import batches, checkpoints, devices, parts
from handvae.model.settings import Settings
from handvae.preprocessing import moments, store
from stages import command_line, run

PROCESSED = Path("data/processed")
TURNED = ("epe_mean_mm", "epe_mean_mm_low", "epe_mean_mm_high", "epe_mean_mm_sd", "auc_20_50")  # of turned crops


def main(*words: str) -> None:
    parser = command_line("stages.evaluate", __doc__)
    parser.add_argument("name", nargs="?", default=params.OWN, help="a row of the grid; without it: your experiment")
    name = parser.parse_args(words).name
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
        prediction = predicted(name, models, dataset, trained_on, loaded, device)
        predictions[dataset] = prediction
        summaries[dataset], curves[dataset] = scores(prediction, prediction.joints_pred_mm, settings)
        if prediction.turned_mm:
            of_turned, _ = scores(prediction, prediction.turned_mm, settings)
            crops = 1 + len(loaded.evaluation.turned_crops.rotation_deg)
            summaries[dataset] |= {f"turned_{key}": of_turned[key] for key in TURNED if key in of_turned}
            summaries[dataset]["turned_crops"] = crops
        print(f"{name}: {result_text(dataset, summaries[dataset])}")
    one_set = len(predictions) == 1
    predict.write(
        "data/experiment.h5" if own else f"data/predictions/{name}.h5",
        {"/" if one_set else dataset: prediction for dataset, prediction in predictions.items()},
    )
    stem = "reports/metrics" if own else f"data/metrics/{name}"
    numbers = next(iter(summaries.values())) if one_set else summaries
    atomic.write_text(f"{stem}.json", json.dumps(numbers, indent=2) + "\n")
    atomic.write_text(f"{stem}_pck.csv", curves_text(curves, "pcf" if settings.experiment.input == "depth" else "pck"))
    history = (folder / "history.csv").read_text()
    atomic.write_text("reports/training.csv" if own else f"data/training/{name}.csv", history)


def predicted(
    name: str,
    models: list[checkpoints.Trained],
    dataset: str,
    trained_on: list[parts.Part],
    loaded: params.Params,
    device: torch.device,
) -> predict.Prediction:
    """The predictions of an experiment's models, which differ in their seed alone, for the scored rows of one set."""
    settings = models[0].settings
    scored, unit_mm = parts.scored_part(PROCESSED, settings.experiment, dataset), settings.joint_unit_mm
    test = batches.load_split([scored], settings.uses_images, unit_mm, device, resident=loaded.resident)
    train = batches.load_split(trained_on, False, unit_mm, device)
    turned = loaded.evaluation.turned_crops
    rotations_deg = (0.0, *turned.rotation_deg) if str(settings.experiment.variant) in turned.variants else ()
    of_seeds, turned_mm = [], []
    for model, of_model, _ in models:
        if rotations_deg:
            turned_mm.append(predict.predict_joints_mm(model, of_model.encoded, test, rotations_deg))
        columns = predict.predict_split(model, of_model, scored, test, train)
        encoded = latent.latent_columns(model, of_model, scored, test, columns) if of_model.is_vae else {}
        of_seeds.append((columns, encoded))
    (columns, encoded), *further = of_seeds
    facts = attributes(name, settings, dataset, store.attributes(scored.path))
    # synthetic frames are drawn one by one: only the views of a moment go together
    block_frames = 1 if facts["synthetic"] else loaded.evaluation.block_frames
    columns["block"] = moments.blocks(columns["moment"], columns["sequence"], columns["frame"], block_frames)
    further_seeds = [(of_seed["joints_pred_mm"], latent_of_seed) for of_seed, latent_of_seed in further]
    return predict.Prediction(columns, encoded, facts, further_seeds, turned_mm)


def result_text(dataset: str, summary: dict[str, float | int | None]) -> str:
    text = f"mean EPE on {dataset.upper()} {summary['epe_mean_mm']:.1f} mm; "
    text += f"the mean pose has {summary['mean_pose_epe_mm']:.1f} mm"
    previous = summary.get("previous_frame_epe_mm")
    return text if previous is None else f"{text}, the true pose of the frame before {previous:.1f} mm"


def curves_text(curves: dict[str, list[tuple]], measure: str) -> str:
    """CSV of the curve of one set, or of each set's in a column of its own; all have the same thresholds."""
    header = ["threshold_mm", *([measure] if len(curves) == 1 else [f"{measure}_{dataset}" for dataset in curves])]
    rows = [(points[0][0], *(share for _, share in points)) for points in zip(*curves.values(), strict=True)]
    return "".join(",".join(map(str, row)) + "\n" for row in [header, *rows])


def attributes(name: str, settings: Settings, dataset: str, processed: dict[str, object]) -> dict[str, object]:
    """A prediction's attributes: its experiment, and facts of its data from those of the `processed` set."""
    experiment = settings.experiment
    keys = ("input", "variant", "invariances", "encoder", "label_fraction", "validation", "recipe")
    facts = {key: processed[key] for key in ("source", "synthetic", "published", "skeleton")}
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
    prediction: predict.Prediction, joints_pred_mm: Sequence[np.ndarray], settings: Settings
) -> tuple[dict[str, float | int | None], list[tuple[float, float]]]:
    """The flat metrics and the curve of the joints (N, J, 3) that each seed's model predicts: PCK by the RGB sets'
    protocol; for depth PCF by the public evaluation's."""
    columns, evaluated = prediction.columns, list(settings.skeleton.evaluated)
    block = columns["block"]
    true, mean_pose, visible = (columns[name][:, evaluated] for name in ("joints_true_mm", "mean_pose_mm", "visible"))
    joints_pred = [joints_mm[:, evaluated] for joints_mm in joints_pred_mm]
    if settings.experiment.input == "depth":
        summary = statistics.summarise_depth(joints_pred, true, mean_pose, block, seed=0)
        table = statistics.pcf_table(joints_pred, true)
    else:
        summary = statistics.summarise(joints_pred, true, visible, mean_pose, block, seed=0)
        table = statistics.pck_table(joints_pred, true, visible)
    return summary | statistics.previous_frame(true, visible, columns["previous_row"]), table


if __name__ == "__main__":
    run(main, *sys.argv[1:])
