"""Which rows of the grid have results that belong to params.yaml as it stands; the others are left out and named."""

import json
from collections import Counter
from pathlib import Path

from handvae.base.errors import InputError
from handvae.base.params import Params
from handvae.model.settings import settings_of
from handvae.preprocessing import store
from handvae.report.left_out import COMMAND, LeftOut
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
        if row.validation:
            left_out.append(LeftOut(name, row.dataset, HELD_OUT))
            continue
        files = predictions / f"{name}.h5", metrics / f"{name}.json"
        if not all(file.exists() for file in (*files, training / f"{name}.csv")):
            left_out.append(LeftOut(name, row.dataset, NO_RESULTS))
            continue
        try:
            of_row = read_results(*files, name, row, settings.profile_name)
            for result in of_row:
                _check_settings(result, settings, name)
                _check_data(result, settings.data[result.dataset].source == "synthetic", processed)
            results += of_row
        except OtherSettingsError as error:
            left_out.append(LeftOut(name, row.dataset, error.why))
    if not results:
        found = "; ".join(dict.fromkeys(one.why for one in left_out)) or "no row"
        raise InputError(
            f"{predictions}: expected the results of one row at least of params.yaml's experiments, found none "
            f"({found}); run `{COMMAND}`, or `dvc repro` for all"
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


def _check_settings(result: Result, settings: Params, name: str) -> None:
    """OtherSettingsError where a row was trained with other settings, or with other seeds, than params.yaml names."""
    with result.opened() as group:
        found = json.loads(group.attrs.get("settings", "{}"))
    why = ""
    if found != settings_of(settings, name).as_dict():
        why = "results of another training, loss or augmentation than params.yaml has"
    elif result.seeds != (models := settings.models_of(name)):
        why = f"results of {result.seeds} seed(s) where params.yaml has {models}"
    if why:
        raise OtherSettingsError(f"{result.predictions}: {why}", why)


def _check_data(result: Result, synthetic: bool, processed: Path) -> None:
    """OtherSettingsError where a row was evaluated on other data than params.yaml names, or `processed` holds now."""
    path = processed / f"{result.dataset}.h5"
    now = store.attributes(path)["source"] if path.exists() else result.source
    if result.synthetic != synthetic or result.source != now:
        other = "params.yaml has another source" if result.synthetic != synthetic else f"{path} has {now}"
        why = f"results of {result.source} where {other}"
        raise OtherSettingsError(f"{result.predictions}: {why}", why)
