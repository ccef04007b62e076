"""Which rows of the grid have results that belong to params.yaml as it stands; the others are left out and named."""

import json
from collections import Counter
from pathlib import Path

import h5py

from handvae.base.errors import InputError
from handvae.base.params import Params
from handvae.model.settings import settings_of
from handvae.preprocessing import store
from handvae.report.notes import COMMAND, LeftOut
from handvae.report.results import OtherSettingsError, Result, read_results

NO_RESULTS = "no results"
HELD_OUT = "scored on a held-out part of the training split, not on the test split (validation)"


def read_grid(
    settings: Params, predictions: Path, metrics: Path, training: Path, processed: Path
) -> tuple[list[Result], list[LeftOut]]:
    """The results of the grid's rows, and the rows whose results are not there or are of other settings or data.

    Each folder may lack any file, or be absent. InputError where a file is broken, or no row at all has results.
    """
    results, left_out = [], []
    for name, row in settings.experiments.items():
        files = predictions / f"{name}.h5", metrics / f"{name}.json"
        try:
            if row.validation:
                raise OtherSettingsError(name, HELD_OUT)
            if not all(file.exists() for file in (*files, training / f"{name}.csv")):
                raise OtherSettingsError(name, NO_RESULTS)
            of_row = read_results(*files, name, row, settings.profile_name)
            for result in of_row:
                _check(result, settings, processed)
            results += of_row
        except OtherSettingsError as error:
            left_out.append(LeftOut(name, row.dataset, error.why))
    if not results:
        every_why = "; ".join(dict.fromkeys(row.why for row in left_out)) or "no row"
        raise InputError(
            f"{predictions}: expected the results of one row at least of params.yaml's experiments, found none "
            f"({every_why}); run `{COMMAND}`, or `dvc repro` for all"
        )
    return _of_one_recipe(results, left_out)


def _of_one_recipe(results: list[Result], left_out: list[LeftOut]) -> tuple[list[Result], list[LeftOut]]:
    """The results with the recipe that most of them have: a table compares models that differ in what it names."""
    counts = Counter(result.recipe for result in results)
    most = max(counts, key=counts.get)
    others = {result.experiment: result for result in results if result.recipe != most}
    why = f"trained by another recipe than most rows, {most}"
    further = [LeftOut(name, result.dataset, f"{why}: {result.recipe}") for name, result in others.items()]
    return [result for result in results if result.recipe == most], left_out + further


def _check(result: Result, settings: Params, processed: Path) -> None:
    """OtherSettingsError where a row was trained by other settings or seeds than params.yaml names, or was evaluated on
    other data than params.yaml names or `processed` holds now."""
    name, path = result.experiment, processed / f"{result.dataset}.h5"
    with h5py.File(result.predictions) as file:
        trained_by = json.loads(file[result.group].attrs.get("settings", "{}"))
    seeds, synthetic = settings.models_of(name), settings.data[result.dataset].source == "synthetic"
    why = ""
    if trained_by != settings_of(settings, name).as_dict():
        why = "results of another training, loss or augmentation than params.yaml has"
    elif result.seeds != seeds:
        why = f"results of {result.seeds} seed(s) where params.yaml has {seeds}"
    elif result.synthetic != synthetic:
        why = f"results of {result.source} where params.yaml has another source"
    elif path.exists() and result.source != (now := store.attributes(path)["source"]):
        why = f"results of {result.source} where {path} has {now}"
    if why:
        raise OtherSettingsError(f"{result.predictions}: {why}", why)
