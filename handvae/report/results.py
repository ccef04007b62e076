"""Results of experiments: settings, metrics, and where the predictions lie. Which of them a table or a figure is about.

The two files of an experiment must fit its settings in params.yaml, so that no table is made from what an earlier
setting left behind. Rows of the grid without results are left out, and named.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import h5py

from handvae.base.errors import InputError
from handvae.base.joints import SKELETON_OF, SKELETONS, Skeleton
from handvae.base.params import Experiment
from handvae.report import paper

STATISTICS = ("epe_mean_mm", "epe_median_mm")
# the same over hidden joints too, which is what [38]'s 2D->3D evaluation counts: a column of its own beside that task's
ALL_JOINTS = {"epe_mean_mm": "epe_mean_all_joints_mm", "epe_median_mm": "epe_median_all_joints_mm"}
ALL_JOINTS_TASK: paper.Task = ("rhd", "joints_2d")
ENDS = ("", "_low", "_high")  # of a statistic's name: the number, the ends of its interval
SOURCE_KEYS = ("source", "synthetic", "published")  # attributes of predictions that params.yaml does not decide


class OtherSettingsError(InputError):
    """Results that are whole, but of other settings or other data than those asked for; `why` says which."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


@dataclass(frozen=True)
class Result:
    """One experiment of the grid: its settings, what its data is, its metrics, and where its predictions lie."""

    experiment: str
    dataset: str
    input: str
    variant: int | str  # 1 to 4; of figures 1, 6, 8 and 9 "cross", "separate"; of the rival paper.RIVAL
    invariances: str
    encoder: str
    test_subject: str  # the one left out of the training, "" where the set has a test split
    label_fraction: float  # of the training samples whose 3D joints were given
    profile: str
    source: str  # what the data is, in words
    synthetic: bool
    published: bool  # the set the paper evaluates on
    metrics: dict[str, float]
    predictions: Path
    group: str = "/"  # of the predictions' file: the set, where a model is tested on two
    trained_on: str = ""  # the sets, as params.yaml names them; "": this one alone
    recipe: str = "ours"  # of the loss
    validation: float = 0.0  # share of the training poses that was held out and scored instead of the test split

    @property
    def of_two_sets(self) -> bool:
        """Trained on RHD and STB together."""
        return self.trained_on not in ("", self.dataset)

    @property
    def task(self) -> paper.Task:
        return (self.dataset, self.input)

    @property
    def task_name(self) -> str:
        """What is predicted from what, and the set: RGB->3D RHD."""
        return f"{paper.direction(self.input, self.variant)} {self.dataset.upper()}"

    @property
    def skeleton(self) -> Skeleton:
        return SKELETONS[SKELETON_OF[self.dataset]]

    @property
    def data(self) -> str:
        """The data behind the numbers, in words: no number stands without it."""
        frames = f"{self.metrics['frames']:,} {'held-out' if self.validation else 'test'} frames"
        if self.test_subject and not self.validation:
            frames = "each fold tested on the subject it leaves out"
        trained = f"; trained on {self.trained_on.upper().replace('+', ' and ')}" if self.of_two_sets else ""
        return f"{self.named_source}{trained}; profile {self.profile}; {frames}"

    @property
    def named_source(self) -> str:
        name = self.dataset.upper()
        return self.source if self.source.startswith(name) else f"{name}: {self.source}"

    @property
    def seeds(self) -> int:
        """How many models, alike but for their training seed."""
        return self.metrics.get("seeds", 1)

    @property
    def provenance(self) -> str:
        """Of the test images: in tables the column `kind`."""
        return "published" if self.published else "synthetic" if self.synthetic else "other data"

    @property
    def compared(self) -> bool:
        """Trained on all labels of its own set, one of variants 1 to 4: what tables of errors and curves are about."""
        return self.label_fraction == 1 and self.variant in paper.VARIANTS and not self.of_two_sets

    @property
    def is_rival(self) -> bool:
        """[38], trained on all labels of this set alone."""
        return self.label_fraction == 1 and self.variant == paper.RIVAL.get(self.input) and not self.of_two_sets

    @property
    def is_papers(self) -> bool:
        """A variant that the paper has."""
        return self.variant in (*paper.VARIANTS, *paper.OF_LATENT_FIGURES)

    @property
    def is_beyond(self) -> bool:
        """A variant that neither the paper nor its rival has: docs/beyond.md."""
        return not self.is_papers and self.variant not in paper.RIVAL.values()

    @property
    def paired(self) -> bool:
        """Whether it is compared in pairs: trained on all labels of its own set, by a numbered variant or as [38]."""
        numbered = isinstance(self.variant, int) and self.label_fraction == 1 and not self.of_two_sets
        return numbered or self.is_rival

    @property
    def papers_encoder(self) -> bool:
        """ResNet-18, by which the paper encodes its colour images; joints have no image encoder."""
        return self.input == "joints_2d" or self.encoder == "resnet18"

    @property
    def printed_mm(self) -> dict[str, float]:
        """What the paper prints for a model of these settings, by statistic. Of depth it prints one mean an encoder and
        names no set; ICVL is very probably meant."""
        if self.compared and self.input == "depth":
            return {"epe_mean_mm": paper.DEPTH_MM[self.encoder]} if self.dataset == "icvl" else {}
        if self.compared and self.papers_encoder:
            return paper.numbers_mm(self.task, self.variant, self.invariances)
        return paper.baseline_mm(self.task) if self.is_rival else {}

    def interval(self, statistic: str) -> tuple[float, float, float]:
        """A statistic and the ends of its interval."""
        return tuple(self.metrics[f"{statistic}{end}"] for end in ENDS)

    def numbers(self, statistic: str) -> dict[str, float]:
        """A statistic with its interval, the number of seeds and, where these are several, its standard deviation."""
        ends = (*ENDS, "_sd") if self.seeds > 1 else ENDS
        return {f"{statistic}{end}": self.metrics[f"{statistic}{end}"] for end in ends} | {"seeds": self.seeds}


Model = list[Result]  # one result, or on MSRA one for each subject left out


def read_results(predictions: Path, metrics: Path, name: str, experiment: Experiment, profile: str) -> list[Result]:
    """The results of an experiment of params.yaml, one for each set that it is tested on.

    `predictions` is an HDF5 file, `metrics` a JSON file; where there are two sets, each has a group, or a key, of its
    name. Raises InputError naming the file that is missing or broken, OtherSettingsError where it does not fit.
    """
    results = []
    for dataset in experiment.datasets:
        group = dataset if len(experiment.datasets) > 1 else "/"
        facts, counts = _read_header(predictions, expected_of(name, experiment, profile, dataset), group)
        numbers = _read_metrics(metrics, group, depth=experiment.input == "depth")
        for key, count in counts.items():
            if (in_metrics := numbers.get(key, 1)) != count:
                message = f"{metrics}: expected the {count} {key} of {predictions}, found {in_metrics}"
                raise OtherSettingsError(message, f"metrics and predictions of different {key}")
        results.append(Result(**facts, metrics=numbers, predictions=predictions, group=group))
    return results


def expected_of(name: str, experiment: Experiment, profile: str, dataset: str) -> dict[str, str | int | float]:
    """The attributes that the predictions of an experiment on `dataset` must carry."""
    keys = ("input", "variant", "invariances", "encoder", "label_fraction", "validation", "recipe")
    settings = {key: getattr(experiment, key) for key in keys}
    settings |= {"trained_on": experiment.dataset, "test_subject": experiment.test_subject or ""}
    return {"experiment": name, "dataset": dataset, "profile": profile, **settings}


def _read_header(path: Path, expected: dict[str, object], group: str) -> tuple[dict[str, object], dict[str, int]]:
    """The attributes that a Result has, as plain Python values, and the numbers of frames and seeds."""
    try:
        with h5py.File(path) as file:
            attributes = file[group].attrs.items()
            stored = {key: value.item() if hasattr(value, "item") else value for key, value in attributes}
            seeds = 1 + sum(name.startswith("seed-") for name in file[group])
            counts = {"frames": len(file[group]["row"]), "seeds": seeds}
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: expected the predictions that the evaluate stage writes, found: {error}") from error
    for key, value in expected.items():
        if (actual := stored.get(key)) != value:
            message = f"{path}: expected {key} {value!r} as in params.yaml, found {actual!r}"
            why = f"results of {key} {actual!r} where params.yaml has {value!r}"
            raise OtherSettingsError(message, why if key in stored else f"results of a version without {key}")
    for key in SOURCE_KEYS:
        if key not in stored:
            raise InputError(f"{path}: expected the attribute {key}, found {', '.join(stored)}")
    return {key: stored[key] for key in (*expected, *SOURCE_KEYS)}, counts


def _read_metrics(path: Path, group: str, depth: bool) -> dict[str, float]:
    try:
        numbers = json.loads(path.read_text())
        numbers = numbers if group == "/" else numbers[group]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected the metrics that the evaluate stage writes, found: {error}") from error
    ends = (*ENDS, "_sd") if "seeds" in numbers else ENDS
    with_interval = ["epe_mean_mm"] if depth else [*STATISTICS, *ALL_JOINTS.values()]
    keys = [f"{statistic}{end}" for statistic in with_interval for end in ends]
    keys += ["epe_median_mm", "mean_pose_epe_mm", "frames", "blocks"]
    for key in [*keys, *([] if depth else ["auc_20_50", "auc_21_50", "auc_0_50"])]:
        if key not in numbers:
            raise InputError(f"{path}: expected the key {key}, found {', '.join(numbers)}")
    # JSON has no NaN: null is the end of an interval that there is not
    return {key: math.nan if value is None else value for key, value in numbers.items()}


def best(results: list[Result], task: paper.Task) -> Result | None:
    """The experiment of a colour task, with T+S+H, of the lowest mean EPE; None where the task has none."""
    models = [result for result in results if result.compared and (result.task, result.invariances) == (task, "T+S+H")]
    return min(models, key=lambda result: result.metrics["epe_mean_mm"], default=None)


def alike(results: list[Result], task: paper.Task, invariances: str) -> list[Result]:
    """The models of a task with the paper's encoder and these invariances."""
    return [r for r in results if (r.task, r.invariances) == (task, invariances) and r.papers_encoder]


def rival(results: list[Result], task: paper.Task) -> Result | None:
    """The first of [38] that a task has, with T+S+H."""
    return next((model for model in alike(results, task, "T+S+H") if model.is_rival), None)


def of_variant(results: list[Result], variant: str) -> Result | None:
    """The first of "cross" or "separate"."""
    return next((result for result in results if result.variant == variant), None)


def depth_models(results: list[Result], dataset: str) -> list[Model]:
    """The models of a depth set, each with its folds, in the order of the grid.

    InputError where two experiments are the same fold of the same model: pooled, its frames would count twice.
    """
    models: dict[tuple, dict[str, Result]] = {}
    for result in results:
        if result.compared and result.task == (dataset, "depth"):
            folds = models.setdefault((result.encoder, result.variant, result.invariances), {})
            if other := folds.get(result.test_subject):
                raise InputError(
                    f"params.yaml: experiments: expected one experiment a depth model and fold, "
                    f"found {other.experiment} and {result.experiment}"
                )
            folds[result.test_subject] = result
    return [list(folds.values()) for folds in models.values()]


def best_depth_models(results: list[Result], dataset: str) -> dict[str, Model]:
    """The best model of each encoder, best first: that of most folds, then of the lowest mean EPE."""

    def rank(model: Model) -> tuple[int, float]:
        return -len(model), sum(result.metrics["epe_mean_mm"] for result in model) / len(model)

    models: dict[str, Model] = {}
    for model in sorted(depth_models(results, dataset), key=rank):
        models.setdefault(model[0].encoder, model)
    return models


@dataclass(frozen=True)
class LeftOut:
    """A row of the grid without results, and why it has none."""

    experiment: str
    dataset: str
    why: str
