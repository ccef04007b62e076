"""Rows of the grid: which have results that belong to params.yaml as it stands, and how they depart from the paper."""

import json
from collections import Counter
from pathlib import Path

import h5py

from handvae.base.errors import InputError
from handvae.base.params import Params
from handvae.base.sections import Augmentation
from handvae.model.settings import settings_of
from handvae.preprocessing import store
from handvae.report.predictions import OtherSettingsError, read_results
from handvae.report.results import LeftOut, Result
from handvae.report.text import COMMAND

HELD_OUT = "scored on a held-out part of the training split, not on the test split (validation)"

# The paper's section 7.1 names augmentation under RGB only: rotations in [-45, 45] degrees and flips, of every set; its
# depth models have "the same architecture and training regime". The range of the shift is not given.
PAPERS = {
    "rgb": ("RGB", {"rotation_deg": 45.0, "flip": "always"}),
    "depth": ("depth", {"rotation_deg": 45.0, "flip": "always"}),
    "joints_2d": ("2D joints", {"rotation_deg": 0.0, "flip": "never"}),
}


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
                raise OtherSettingsError(name, "no results")
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
    # a table compares models of one recipe, that of most results; the recipe of a variant of our own is part of it
    counts = Counter(result.recipe for result in results if not result.is_beyond)
    most = max(counts, key=counts.get, default="")
    others = {result.experiment: result for result in results if result.recipe != most and not result.is_beyond}
    why = f"trained by another recipe than most rows, {most}"
    left_out += [LeftOut(name, result.dataset, f"{why}: {result.recipe}") for name, result in others.items()]
    return [result for result in results if result.experiment not in others], left_out


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


def departures(augmentation: dict[str, Augmentation], inputs: set[str], profile: str) -> str:
    """Which of the `inputs` are augmented otherwise: what differs, and the paper's value. "" where nothing does."""
    texts = []
    for input_, (name, papers) in PAPERS.items():
        ours = {key: getattr(augmentation[input_], key) for key in papers}
        odd = [f"{key} {ours[key]} (the paper: {value})" for key, value in papers.items() if ours[key] != value]
        if odd and input_ in inputs:
            texts.append(f"{name}: {', '.join(odd)}")
    why = "docs/choices.md says why and what it is worth."
    return f"Profile {profile} augments otherwise than the paper. {'; '.join(texts)}. {why}" if texts else ""
