"""Beyond the paper: variant 5, its parts, and variant 1 for as long, beside the paper's variants on the same frames."""

import json

import h5py
import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from handvae.evaluation import bootstrap
from handvae.model import methods
from handvae.model.networks import parameter_count
from handvae.model.settings import Settings, settings_from_dict
from handvae.model.vae import DIMENSIONS, IMAGE_CHANNELS
from handvae.report import comparison, paper
from handvae.report.latent_claims import mean_purity
from handvae.report.predictions import MIXED
from handvae.report.results import ENDS, Result
from handvae.report.semi_supervised import improvement_percent
from handvae.report.tables import Text, frame_of
from handvae.report.text import over_seeds, row_interval, signed

TURNED = "turned_"  # of a model's metrics: those of the average over turned crops
COLUMNS = (
    *("task", "label_percent", "experiment", "variant", "turned_crops", *(f"epe_mean_mm{end}" for end in ENDS)),
    *(f"lower_percent{end}" for end in ENDS),
    *("auc_20_50", "purity", "parameters", "mflop_an_image", "training_steps", "seeds", "kind", "data"),
)


def beyond_table(results: list[Result]) -> pd.DataFrame:
    """A row a model, and one more where its turned crops were scored; tasks without a variant of our own are left out.

    `lower_percent`: by how much the mean EPE is lower than that of the best of variants 1 to 4 with as many labels, of
    whole models paired on the same frames; `purity`: of the latent space of a model that encodes RGB, 2D and 3D.
    """
    groups: dict[tuple, list[Result]] = {}
    for result in results:
        fullest = "T+H" if result.input == "depth" else "T+S+H"
        alike = result.invariances == fullest and result.papers_encoder and not result.of_two_sets
        if alike and (result.is_beyond or result.variant in (*paper.VARIANTS, "cross")):
            key = result.task, result.test_subject, result.label_fraction
            groups.setdefault(key, []).append(result)
    with_ours = [models for models in groups.values() if any(model.is_beyond for model in models)]
    return frame_of([row for models in with_ours for row in _rows(models)], COLUMNS)


def _rows(models: list[Result]) -> list[dict[str, object]]:
    """Of the models of one task and share of labels."""
    papers = [number for number, model in enumerate(models) if model.variant in paper.VARIANTS]
    best = min(papers, key=lambda number: models[number].metrics["epe_mean_mm"], default=None)
    number_of = comparison.numbers_on(comparison.same_frames(models), bootstrap.mean)
    rows = []
    for number, model in enumerate(models):
        row = _row(model)
        if best is not None and number != best:
            row |= comparison.numbers_of("lower_percent", number_of(improvement_percent, best, number))
        rows.append(row)
        if f"{TURNED}epe_mean_mm" in model.metrics:
            turned = {key.removeprefix(TURNED): value for key, value in model.metrics.items() if key.startswith(TURNED)}
            lower = dict.fromkeys((f"lower_percent{end}" for end in ENDS), np.nan)
            if best is not None:
                before = models[best].metrics["epe_mean_mm"]
                lower["lower_percent"] = improvement_percent(before, turned["epe_mean_mm"])
            crops = turned.pop("crops")
            mflop = crops * row["mflop_an_image"]
            rows.append(row | turned | lower | {"turned_crops": crops, "mflop_an_image": mflop, "purity": np.nan})
    return rows


def _row(model: Result) -> dict[str, object]:
    settings = settings_of_result(model)
    encoded = {modality for modality, _ in settings.pairs}
    network = methods.build(settings.architecture, 0)
    return dict.fromkeys(COLUMNS, np.nan) | {
        "task": model.task_name,
        "label_percent": 100 * model.label_fraction,
        "experiment": model.experiment,
        "variant": model.variant,
        "turned_crops": 1,
        **model.numbers("epe_mean_mm"),
        "auc_20_50": model.metrics.get("auc_20_50", np.nan),
        "purity": mean_purity(model) if encoded >= set(MIXED) else np.nan,
        "parameters": parameter_count(network),
        "mflop_an_image": mflop_an_image(network, settings),
        "training_steps": settings.training.steps,
        "kind": model.provenance,
        "data": model.data,
    }


def settings_of_result(model: Result) -> Settings:
    """The settings that a result's model was trained by."""
    with h5py.File(model.predictions) as file:
        return settings_from_dict(json.loads(file[model.group].attrs["settings"]))


@torch.inference_mode()
def mflop_an_image(network: torch.nn.Module, settings: Settings) -> float:
    """Millions of floating-point operations, two a multiplication with addition, that a prediction takes."""
    source, px = settings.encoded, settings.crop_px
    is_image = source in IMAGE_CHANNELS
    shape = (IMAGE_CHANNELS[source], px, px) if is_image else (DIMENSIONS[source] * len(settings.skeleton),)
    with FlopCounterMode(display=False) as counter:
        network.eval().predict(source, "joints_3d", torch.zeros(1, *shape), torch.eye(2)[:1])
    return counter.get_total_flops() / 1e6


def beyond_text(table: pd.DataFrame) -> Text:
    """A row a model; its variant's name says what it is (params.yaml: variants)."""
    header = ["", "variant", "mean EPE", "lower than the best of 1 to 4, %", "AUC", "purity", "parameters"]
    header += ["MFLOP an image", "steps"]
    rows = []
    for row in table.to_dict("records"):
        labels = "" if row["label_percent"] == 100 else f", {row['label_percent']:g} % labelled"
        turned = "" if row["turned_crops"] == 1 else f", {row['turned_crops']:.0f} turned crops"
        error = "\n".join([row_interval(row, "epe_mean_mm"), *over_seeds(row, "epe_mean_mm")])
        cells = [f"{row['task']}{labels}, {row['kind']}", f"{row['variant']}{turned}", error, _lower(row)]
        numbers = [(row["auc_20_50"], ".3f"), (row["purity"], ".0f"), (row["parameters"], ",")]
        numbers += [(row["mflop_an_image"], ".0f"), (row["training_steps"], ",")]
        rows.append([*cells, *(_number(*number) for number in numbers)])
    return header, rows


def _number(value: float, digits: str) -> str:
    return "–" if pd.isna(value) else f"{value:{digits}}"


def _lower(row: dict[str, object]) -> str:
    """Without an interval where turned crops were averaged: these are not paired frame by frame."""
    values = (row[f"lower_percent{end}"] for end in ENDS)
    texts = [signed(value, digits=1) for value in values if not pd.isna(value)]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]" if len(texts) == 3 else (texts or ["–"])[0]
