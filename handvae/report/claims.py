"""The paper's claims, each as a number measured on this run's data and a verdict that follows from it by rule.

Every criterion stands in the code, none depends on what was measured with it. Where the paper gives no number, "little"
means 10 % and "nearer" means half. A claim is about a way of training, so that it takes several training seeds to say
anything of it. Whether one model is better than another, the paired comparison alone decides.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from handvae.evaluation import bootstrap
from handvae.evaluation.uncertainty import LEAST_SEEDS, Number
from handvae.report import comparison, paper, semi_supervised
from handvae.report.latent_claims import mixing_rows, samples_rows, walk_rows
from handvae.report.results import Result
from handvae.report.tables import frame_of
from handvae.report.text import WORDS, interval_text, markdown_table, markdown_text
from handvae.report.verdicts import ABSENT, FAILS, HOLDS, Criterion, Row, above, absent, below, row, three_digits


def claims_table(results: list[Result], counts: dict[int, int]) -> pd.DataFrame:
    """A row a claim and task: value, low and high, criterion, verdict, data. `counts`: parameters of variants 1 to 4.

    A claim or task whose experiments are not among the results has one row that says so and names them.
    """
    paired = comparison.paired_table(results)
    rows = [
        *variant_rows(results),
        *invariance_rows(results, paired),
        *label_rows(results),
        *mixing_rows(results),
        *walk_rows(results),
        *samples_rows(results),
        *encoder_rows(results, paired),
        *parameter_rows(counts),
    ]
    return frame_of(rows, tuple(rows[0]))


def claims_markdown(table: pd.DataFrame) -> str:
    """The table as one reads it, with its data numbered below."""
    data = list(dict.fromkeys(table["data"][table["verdict"] != ABSENT]))
    rows, last = [], None
    for line in table.to_dict("records"):
        claim, missing = f"{line['claim']} ({line['place']})", line["verdict"] == ABSENT
        number = "" if missing else interval_text(line["value"], line["low"], line["high"], three_digits)
        seeds = "" if pd.isna(line["seeds"]) else str(line["seeds"])
        source = line["data"] if missing else f"({data.index(line['data']) + 1})"
        cells = [line["statistic"], number, seeds, line["criterion"], line["verdict"], source]
        rows.append(["″" if claim == last else claim, *cells])
        last = claim
    header = ["claim", "measured", "value [95 % interval]", "seeds", "criterion", "verdict", "data"]
    numbered = "\n".join(f"- ({number}) {markdown_text(text)}" for number, text in enumerate(data, 1))
    introduction = WORDS["claims_introduction"].format(least_seeds=LEAST_SEEDS)
    return f"{introduction}\n\n{markdown_table(header, rows)}\n\nData:\n\n{numbered}\n"


def variant_rows(results: list[Result]) -> Iterator[Row]:
    """Largest difference of mean EPE between two variants, in percent of the better one."""
    for task, name in paper.TASKS.items():
        models = [_of_model(results, task, variant, "T+S+H") for variant in paper.TABLES["table1"].rows_mm]
        models = [model for model in models if model]
        if len(models) < 2:
            yield absent("variants_differ", f"two of variants 1 to 4 of {name}, T+S+H")
            continue
        variants = ", ".join(str(model.variant) for model in models)
        what = f"{name}, variants {variants}: largest difference of mean EPE"
        number = _number(models, _largest_percent)
        yield row("variants_differ", what, number, below(paper.MINOR_PERCENT, "%"), models[0].data)


def invariance_rows(results: list[Result], paired: pd.DataFrame) -> Iterator[Row]:
    """Mean EPE with fewer invariances minus that with all, of the variant that Table 2 shows."""
    for task, name in paper.TASKS.items():
        variant = paper.BEST_VARIANT[task]
        for fewer in list(paper.TABLES["table2"].rows_mm)[1:]:
            models = [_of_model(results, task, variant, invariances) for invariances in (fewer, "T+S+H")]
            if None in models:
                yield absent("invariances_help", f"variant {variant} of {name} with {fewer} and with T+S+H")
                continue
            what = f"{name}, variant {variant}: mean EPE with {fewer} minus that with T+S+H"
            yield _worse_row("invariances_help", what, *models, paired)


def label_rows(results: list[Result]) -> Iterator[Row]:
    """By how much the median EPE of variant 3 is lower than that of variant 1, at each share of labels below all."""
    pairs = [pair for pair in semi_supervised.pairs_of(results) if None not in pair and pair[0].label_fraction < 1]
    for share in dict.fromkeys(pair[0].label_fraction for pair in pairs):
        models = next(list(pair) for pair in pairs if pair[0].label_fraction == share)
        lower = _number(models, semi_supervised.improvement_percent, bootstrap.median)
        what = f"RGB->3D STB, {100 * share:g} % labelled: median EPE of variant 3 below that of variant 1"
        yield row("few_labels", what, lower, above(0, "%"), models[0].data)
    if not pairs:
        yield absent("few_labels", "variants 1 and 3 of RGB->3D STB, T+S+H, with one label_fraction below 1")


def encoder_rows(results: list[Result], paired: pd.DataFrame) -> Iterator[Row]:
    """Mean EPE of ResNet-18 minus that of ResNet-50, of depth models that are alike in all else."""
    depth = [result for result in results if result.input == "depth" and result.compared]
    shallow = {_but_encoder(result): result for result in reversed(depth) if result.encoder == "resnet18"}
    deep = [result for result in depth if result.encoder == "resnet50" and _but_encoder(result) in shallow]
    for result in deep:
        subject = f", {result.test_subject}" if result.test_subject else ""
        what = f"{result.dataset.upper()}{subject}: mean EPE of ResNet-18 minus that of ResNet-50"
        yield _worse_row("deeper_encoder", what, shallow[_but_encoder(result)], result, paired)
    if not deep:
        yield absent("deeper_encoder", "two depth models that differ in their encoder alone")


def parameter_rows(counts: dict[int, int]) -> Iterator[Row]:
    """Exact numbers: their intervals are points."""
    data = "the networks at the paper's size: RGB of 256 px, ResNet-18 of width 64, hand side given"
    for variant, printed in paper.PARAMETERS.items():
        what = f"variant {variant}: our count minus the printed {printed:,}"
        yield row("parameters", what, counts[variant] - printed, Criterion(-1, 1, "parameters"), data)
    most = below(paper.BASELINE_PARAMETERS, "parameters")
    yield row("fewer_parameters", "the biggest of variants 1 to 4", max(counts.values()), most, data)


def _of_model(results: list[Result], task: paper.Task, variant: int, invariances: str) -> Result | None:
    """The first of these settings."""
    settings = (task, variant, invariances)
    return next(
        (r for r in results if r.compared and r.papers_encoder and (r.task, r.variant, r.invariances) == settings), None
    )


def _but_encoder(result: Result) -> tuple:
    return result.dataset, result.variant, result.invariances, result.test_subject


def _number(
    models: list[Result],
    of: Callable[..., np.ndarray],
    statistic: Callable[..., bootstrap.Statistic] = bootstrap.mean,
) -> Number:
    """What `of` makes of a statistic of each model, over the same frames."""
    return comparison.numbers_on(comparison.same_frames(models), statistic)(of, *range(len(models)))


def _largest_percent(*epe_mm: np.ndarray) -> np.ndarray:
    """The largest difference of some errors, in percent of the smallest."""
    return 100 * (np.maximum.reduce(epe_mm) / np.minimum.reduce(epe_mm) - 1)


def _worse_row(claim: str, what: str, a: Result, b: Result, paired: pd.DataFrame) -> Row:
    """The claim that model a has the larger mean EPE, as the paired comparison decides."""
    names = {a.experiment, b.experiment}
    (pair,) = (line for line in paired.to_dict("records") if {line["model_a"], line["model_b"]} == names)
    worse = comparison.B_BETTER if pair["model_a"] == a.experiment else comparison.A_BETTER
    told = {comparison.A_BETTER: FAILS, comparison.B_BETTER: FAILS, worse: HOLDS}.get(pair["verdict"], pair["verdict"])
    return row(claim, what, _number([a, b], np.subtract), above(0, "mm"), a.data, told)
