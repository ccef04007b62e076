"""Results of experiments: settings, metrics, where the predictions lie. Which of them a table or figure is about."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.base.errors import InputError
from handvae.base.joints import SKELETON_OF, SKELETONS, Skeleton
from handvae.report import paper

STATISTICS = ("epe_mean_mm", "epe_median_mm")
# the same over hidden joints too, which is what [38]'s 2D->3D evaluation counts: a column of its own beside that task's
ALL_JOINTS = {"epe_mean_mm": "epe_mean_all_joints_mm", "epe_median_mm": "epe_median_all_joints_mm"}
ALL_JOINTS_TASK: paper.Task = ("rhd", "joints_2d")
WEAK, COLLAPSED = 2 / 3, 0.95  # errors in shares of the mean pose's from which a model has learned little, or nothing
ENDS = ("", "_low", "_high")  # of a statistic's name: the number, the ends of its interval


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


def mean_errors_mm(model: Model) -> tuple[float, float]:
    """A model's mean EPE over its folds, and that of the training set's mean pose, which looks at no input."""
    keys = ("epe_mean_mm", "mean_pose_epe_mm")
    return tuple(float(np.mean([result.metrics[key] for result in model])) for key in keys)


def share_of_mean_pose(model: Model) -> float:
    """A model's mean EPE over that of the mean pose."""
    epe_mm, mean_pose_mm = mean_errors_mm(model)
    return epe_mm / mean_pose_mm


def weakness(model: Model) -> str:
    """A sentence on a model that has learned little or nothing; "" of all others."""
    first, share = model[0], share_of_mean_pose(model)
    if share < WEAK:
        return ""
    few = f", {100 * first.label_fraction:g} % of the labels" if first.label_fraction < 1 else ""
    name = f"{first.task_name}, variant {first.variant}{few}"
    word, learned = ("Collapsed", "nothing") if share >= COLLAPSED else ("Weak", "little")
    return f"{word}: {name} has learned {learned}. Its error is {100 * share:.0f} % of the mean pose's."


def best(results: list[Result], task: paper.Task) -> Result | None:
    """The experiment of a colour task, with T+S+H, of the lowest mean EPE; None where the task has none."""
    models = (result for result in results if result.compared and (result.task, result.invariances) == (task, "T+S+H"))
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
    models: dict[str, Model] = {}
    for model in sorted(depth_models(results, dataset), key=lambda model: (-len(model), mean_errors_mm(model))):
        models.setdefault(model[0].encoder, model)
    return models


@dataclass(frozen=True)
class LeftOut:
    """A row of the grid without results, and why it has none."""

    experiment: str
    dataset: str
    why: str
