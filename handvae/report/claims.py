"""The paper's claims, each as a number measured on this run's data and a verdict that follows from it by rule.

Every criterion stands in the code, none depends on what was measured with it. Where the paper gives no number, "little"
means 10 % and "nearer" means half. A claim is about a way of training, so that it takes several training seeds to say
anything of it. Whether one model is better than another, the paired comparison alone decides.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from handvae.evaluation import bootstrap, uncertainty
from handvae.evaluation.uncertainty import OPEN, Number
from handvae.report import comparison, paper, semi_supervised
from handvae.report.results import Result, alike, rival
from handvae.report.text import WORDS

HOLDS, FAILS, ABSENT = "holds", "does not hold", "not in this grid"

Row = dict[str, object]


@dataclass(frozen=True)
class Criterion:
    """The claim's side: the open range from `low` to `high`, in `unit`."""

    low: float
    high: float
    unit: str

    def __str__(self) -> str:
        low, high = three_digits(self.low), three_digits(self.high)
        if np.isneginf(self.low):
            return f"below {high} {self.unit}"
        return f"above {low} {self.unit}" if np.isposinf(self.high) else f"between {low} and {high} {self.unit}"

    def side_of(self, low: float, high: float) -> str:
        """Holds: the whole interval lies on the claim's side; does not hold: all of it on the other; else cannot be
        told. An interval that is not a number tells nothing."""
        if self.low < low and high < self.high:
            return HOLDS
        return FAILS if high <= self.low or low >= self.high else OPEN

    def verdict(self, number: Number) -> str:
        """The side of its interval, if there are enough seeds to speak of trained models; else what is lacking."""
        side = self.side_of(*number.interval())
        if side != OPEN and number.seeds >= uncertainty.LEAST_SEEDS:
            return side
        distances = np.abs(np.array([self.low, self.high]) - number.value)
        return uncertainty.untold(number, distances.min())  # to the nearest end, wherever the number lies


def above(bound: float, unit: str) -> Criterion:
    return Criterion(bound, np.inf, unit)


def below(bound: float, unit: str) -> Criterion:
    return Criterion(-np.inf, bound, unit)


def three_digits(number: float) -> str:
    """Three digits, or all of those before the point."""
    return f"{number:,.3g}" if abs(number) < 1000 else f"{number:,.0f}"


def row(claim: str, statistic: str, number: Number | int, criterion: Criterion, data: str, verdict: str = "") -> Row:
    """A row of a number of trained models, or of one that is known exactly and needs no seed.

    `claim`: its name in words.yaml; `verdict`: where another table has come to it already.
    """
    if isinstance(number, Number):
        interval, seeds = (number.value, *number.interval()), number.seeds
        verdict = verdict or criterion.verdict(number)
    else:
        interval, seeds, verdict = 3 * (number,), None, criterion.side_of(number, number)
    return _row(claim, f"{statistic} ({criterion.unit})", interval, seeds, str(criterion), verdict, data)


def absent(claim: str, needs: str) -> Row:
    """The row of a claim whose experiments are not in the grid; `needs` names them."""
    return _row(claim, "", 3 * (np.nan,), None, "", ABSENT, f"needs {needs}")


def _row(
    claim: str, statistic: str, interval: tuple, seeds: int | None, criterion: str, verdict: str, data: str
) -> Row:
    words, printed = WORDS["claims"][claim], {"minor": paper.MINOR_PERCENT, "most": paper.SEMI_SUPERVISED_PERCENT}
    numbers = dict(zip(("value", "low", "high"), map(float, interval), strict=True))
    measured = {"claim": words["text"].format(**printed), "place": words["where"], "statistic": statistic} | numbers
    return measured | {"seeds": seeds, "criterion": criterion, "verdict": verdict, "data": data}


def mean_number(values: list[np.ndarray], block: np.ndarray, over: list[np.ndarray] | None = None) -> Number:
    """The mean of N values of each seed's model, or its ratio to the mean of `over`, which has N of each seed too.

    The bootstrap draws frames, or walks, of one `block` (N,) together.
    """
    statistics = []
    for of_seed, divisor in zip(values, over or map(np.ones_like, values), strict=True):
        sums = bootstrap.block_sums(np.stack([of_seed, divisor], axis=1).astype(np.float64), block)
        statistics.append(lambda counts, sums=sums: np.divide(*(counts @ sums).T))
    return seeds_number(statistics, block)


def seeds_number(statistics: list[bootstrap.Statistic], block: np.ndarray) -> Number:
    """A statistic of one model, given for each of its seeds."""
    values, draws = bootstrap.measured(statistics, block), bootstrap.resampled(statistics, block, comparison.SEED)
    return uncertainty.number(uncertainty.itself, [values], [draws], bootstrap.count(block))


def variant_rows(results: list[Result]) -> Iterator[Row]:
    """Largest difference of mean EPE between two variants, in percent of the better one."""
    for task, name in paper.TASKS.items():
        models = [_of_model(results, task, variant, "T+S+H") for variant in paper.TABLES["table1"].rows_mm]
        models = [model for model in models if model]
        if len(models) < 2:
            yield absent("variants_differ", f"two of variants 1 to 4 of {name}, T+S+H")
            continue
        variants = ", ".join(str(model.variant) for model in models)
        statistic = f"{name}, variants {variants}: largest difference of mean EPE"
        number = _number(models, lambda *mm: 100 * (np.maximum.reduce(mm) / np.minimum.reduce(mm) - 1))
        yield row("variants_differ", statistic, number, below(paper.MINOR_PERCENT, "%"), models[0].data)


def invariance_rows(results: list[Result], paired: pd.DataFrame) -> Iterator[Row]:
    """Mean EPE with fewer invariances minus that with all, of the variant that Table 2 shows."""
    for task, name in paper.TASKS.items():
        variant = paper.BEST_VARIANT[task]
        for fewer in list(paper.TABLES["table2"].rows_mm)[1:]:
            models = [_of_model(results, task, variant, invariances) for invariances in (fewer, "T+S+H")]
            if None in models:
                yield absent("invariances_help", f"variant {variant} of {name} with {fewer} and with T+S+H")
                continue
            statistic = f"{name}, variant {variant}: mean EPE with {fewer} minus mean EPE with T+S+H"
            yield _worse_row("invariances_help", statistic, *models, paired)


def rival_rows(results: list[Result], paired: pd.DataFrame) -> Iterator[Row]:
    """Mean EPE of [38], trained on the same images, minus that of the variant that Table 2 shows."""
    for task, name in paper.TASKS.items():
        variant = paper.BEST_VARIANT[task]
        models = [rival(results, task), _of_model(results, task, variant, "T+S+H")]
        if None in models:
            yield absent("outperforms", f"variant {variant} of {name}, T+S+H, and {paper.RIVAL[task[1]]}")
            continue
        statistic = f"{name}: mean EPE of [38] minus mean EPE of variant {variant}"
        yield _worse_row("outperforms", statistic, *models, paired)


def label_rows(results: list[Result]) -> Iterator[Row]:
    """By how much the median EPE of variant 3 is lower than that of variant 1, at each share of labels below all."""
    pairs = [pair for pair in semi_supervised.pairs_of(results) if None not in pair and pair[0].label_fraction < 1]
    first_pairs = {pair[0].label_fraction: list(pair) for pair in reversed(pairs)}
    for share, models in sorted(first_pairs.items()):
        lower = _number(models, semi_supervised.improvement_percent, bootstrap.median)
        statistic = f"RGB->3D STB, {100 * share:g} % labelled: reduction of median EPE from variant 1 to variant 3"
        yield row("few_labels", statistic, lower, above(0, "%"), models[0].data)
    if not pairs:
        yield absent("few_labels", "variants 1 and 3 of RGB->3D STB, T+S+H, with one label_fraction below 1")


def encoder_rows(results: list[Result], paired: pd.DataFrame) -> Iterator[Row]:
    """Mean EPE of ResNet-18 minus that of ResNet-50, of depth models that are alike in all else."""
    depth = [result for result in results if result.input == "depth" and result.compared]
    shallow = {_but_encoder(result): result for result in reversed(depth) if result.encoder == "resnet18"}
    deep = [result for result in depth if result.encoder == "resnet50" and _but_encoder(result) in shallow]
    for result in deep:
        subject = f", {result.test_subject}" if result.test_subject else ""
        statistic = f"{result.dataset.upper()}{subject}: mean EPE of ResNet-18 minus mean EPE of ResNet-50"
        yield _worse_row("deeper_encoder", statistic, shallow[_but_encoder(result)], result, paired)
    if not deep:
        yield absent("deeper_encoder", "two depth models that differ in their encoder alone")


def parameter_rows(counts: dict[int, int]) -> Iterator[Row]:
    """Exact numbers: their intervals are points."""
    data = "the networks at the paper's size: RGB of 256 px, ResNet-18 of width 64, hand side given"
    for variant, printed in paper.PARAMETERS.items():
        statistic = f"variant {variant}: our count minus the printed {printed:,}"
        yield row("parameters", statistic, counts[variant] - printed, Criterion(-1, 1, "parameters"), data)
    most = below(paper.BASELINE_PARAMETERS, "parameters")
    yield row("fewer_parameters", "the biggest of variants 1 to 4", max(counts.values()), most, data)


def _of_model(results: list[Result], task: paper.Task, variant: int, invariances: str) -> Result | None:
    """The first with these settings."""
    models = alike(results, task, invariances)
    return next((model for model in models if model.compared and model.variant == variant), None)


def _but_encoder(result: Result) -> tuple:
    return result.dataset, result.variant, result.invariances, result.test_subject


def _number(models: list[Result], of: Callable[..., np.ndarray], statistic: Callable = bootstrap.mean) -> Number:
    """`of` a statistic of each model, over the same test frames."""
    return comparison.numbers_on(comparison.same_frames(models), statistic)(of, *range(len(models)))


def _worse_row(claim: str, statistic: str, a: Result, b: Result, paired: pd.DataFrame) -> Row:
    """The claim that model a has the larger mean EPE, as the paired comparison decides."""
    names = {a.experiment, b.experiment}
    (pair,) = (line for line in paired.to_dict("records") if {line["model_a"], line["model_b"]} == names)
    worse = comparison.B_BETTER if pair["model_a"] == a.experiment else comparison.A_BETTER
    sides = {comparison.A_BETTER: FAILS, comparison.B_BETTER: FAILS, worse: HOLDS}
    verdict = sides.get(pair["verdict"], pair["verdict"])
    return row(claim, statistic, _number([a, b], np.subtract), above(0, "mm"), a.data, verdict)
