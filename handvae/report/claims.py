"""The paper's claims, each as a number measured on this run's data and a verdict that follows from it by rule.

Every criterion stands in the code, none depends on what was measured with it. Where the paper gives no number, "little"
means 10 % and "nearer" means half. A claim is about a way of training, so that it takes several training seeds to say
anything of it. Whether one model is better than another, the paired comparison alone decides.
"""

from collections.abc import Callable, Iterator
from itertools import groupby

import numpy as np
import pandas as pd

from handvae.evaluation import bootstrap
from handvae.evaluation.uncertainty import LEAST_SEEDS, Number
from handvae.report import comparison, paper, semi_supervised
from handvae.report.claim_rows import (
    ABSENT,
    FAILS,
    HOLDS,
    Claim,
    Criterion,
    Row,
    above,
    absent,
    as_text,
    below,
    exact_row,
    row,
)
from handvae.report.latent_claims import mixing_rows, samples_rows, walk_rows
from handvae.report.results import Result
from handvae.report.table_text import interval_text, markdown_table, markdown_text
from handvae.report.tables import frame_of

INTRODUCTION = (
    "What the paper claims, measured on this run's data. A claim holds where the whole 95 % interval lies on its side "
    "of a criterion that was fixed before; it does not hold where the whole interval lies on the other side; else it "
    "cannot be told. Where the paper gives no number, “little” means 10 % and “nearer” means half. A claim speaks of "
    f"a way of training, not of one trained model: with fewer than {LEAST_SEEDS} training seeds it cannot be told, "
    "and the interval is of the test frames alone. With more the interval holds both, frames and seeds, and where it "
    "is too wide the verdict says how many seeds would be needed, were the spread as measured. Frames are drawn by "
    "blocks: all views of a moment and, in a video, a run of neighbouring frames. Whether one of two models is better "
    "is what the paired comparison says, after its correction for many tests; the other rows are single tests, of "
    "which a few are wrong by chance. A verdict on synthetic hands speaks of synthetic hands only."
)

# "minor" in the paper's words are the differences of its own Table 1
MINOR_PERCENT = max(
    100 * (max(column) / min(column) - 1) for column in zip(*paper.TABLE1.rows_mm.values(), strict=True)
)

VARIANTS_DIFFER = Claim(
    f"variants 1 to 4 differ little in accuracy, no more than in the paper: by {MINOR_PERCENT:.1f} %",
    "section 4.4, Table 1",
)
INVARIANCES_HELP = Claim("fewer invariances cost accuracy", "section 4.5, Table 2")
FEW_LABELS = Claim(
    f"with few labels variant 3 is better than variant 1 (in the paper by up to {paper.SEMI_SUPERVISED_PERCENT:.0f} %)",
    "section 4.6, Figure 3",
)
DEEPER_ENCODER = Claim("on depth ResNet-50 is better than ResNet-18", "section 7.3")
PARAMETERS = Claim("the smallest and the biggest model have so many parameters", paper.PARAMETERS_PLACE)
FEWER_PARAMETERS = Claim("every model has fewer parameters than [38]", paper.PARAMETERS_PLACE)


def claims_table(results: list[Result], counts: dict[int, int]) -> pd.DataFrame:
    """A row a claim and task: value, low and high, criterion, verdict, data. `counts`: parameters of variants 1 to 4.

    A claim or task whose experiments are not among the results has one row that says so and names them.
    """
    parts = (variant_rows, invariance_rows, label_rows, mixing_rows, walk_rows, samples_rows, encoder_rows)
    rows = [*(row for part in parts for row in part(results)), *parameter_rows(counts)]
    return frame_of(rows, tuple(rows[0]))


def claims_markdown(table: pd.DataFrame) -> str:
    """The table as one reads it, with its data numbered below."""
    data = list(dict.fromkeys(table["data"][table["verdict"] != ABSENT]))
    rows, last = [], None
    for line in table.itertuples():
        claim = f"{line.claim} ({line.place})"
        missing = line.verdict == ABSENT
        number = "" if missing else interval_text(line.value, line.low, line.high, as_text)
        where = line.data if missing else f"({data.index(line.data) + 1})"
        seeds = "" if pd.isna(line.seeds) else str(line.seeds)
        cells = [line.statistic, number, seeds, line.criterion, line.verdict, where]
        rows.append(["″" if claim == last else claim, *cells])
        last = claim
    header = ["claim", "measured", "value [95 % interval]", "seeds", "criterion", "verdict", "data"]
    numbered = "\n".join(f"- ({number}) {markdown_text(text)}" for number, text in enumerate(data, 1))
    return f"{INTRODUCTION}\n\n{markdown_table(header, rows)}\n\nData:\n\n{numbered}\n"


def variant_rows(results: list[Result]) -> Iterator[Row]:
    """Largest difference of mean EPE between two variants, in percent of the better one."""
    for task, name in paper.TASKS.items():
        of_task = [result for result in reversed(results) if _is_of(result, task, "T+S+H")]
        models = {result.variant: result for result in of_task if result.variant in paper.TABLE1.rows_mm}
        if len(models) < 2:
            yield absent(VARIANTS_DIFFER, f"two of variants 1 to 4 of {name}, T+S+H")
            continue
        spread = _number([models[variant] for variant in sorted(models)], _largest_percent)
        what = f"{name}, variants {', '.join(map(str, sorted(models)))}: largest difference of mean EPE"
        yield row(VARIANTS_DIFFER, what, spread, below(MINOR_PERCENT, "%"), models[min(models)].data)


def invariance_rows(results: list[Result]) -> Iterator[Row]:
    """Mean EPE with fewer invariances minus that with all, of the variant that Table 2 shows."""
    paired = comparison.paired_table(results)
    for task, name in paper.TASKS.items():
        variant = paper.BEST_VARIANT[task]
        for fewer in list(paper.TABLE2.rows_mm)[1:]:
            models = [
                next((r for r in results if _is_of(r, task, these) and r.variant == variant), None)
                for these in (fewer, "T+S+H")
            ]
            if None in models:
                yield absent(INVARIANCES_HELP, f"variant {variant} of {name} with {fewer} and with T+S+H")
                continue
            what = f"{name}, variant {variant}: mean EPE with {fewer} minus that with T+S+H"
            yield _worse_row(INVARIANCES_HELP, what, *models, paired)


def label_rows(results: list[Result]) -> Iterator[Row]:
    """By how much the median EPE of variant 3 is lower than that of variant 1, at each share of labels below all."""
    found = False
    few = [result for result in semi_supervised.models_of(results) if result.label_fraction < 1]
    for share, of_share in groupby(few, key=lambda result: result.label_fraction):
        models = {result.variant: result for result in reversed(list(of_share))}
        if {1, 3} <= set(models):
            found = True
            lower = _number([models[1], models[3]], semi_supervised.improvement_percent, bootstrap.median)
            what = f"RGB->3D STB, {100 * share:g} % labelled: median EPE of variant 3 below that of variant 1"
            yield row(FEW_LABELS, what, lower, above(0, "%"), models[1].data)
    if not found:
        yield absent(FEW_LABELS, "variants 1 and 3 of RGB->3D STB, T+S+H, with one label_fraction below 1")


def encoder_rows(results: list[Result]) -> Iterator[Row]:
    """Mean EPE of ResNet-18 minus that of ResNet-50, of depth models that are alike in all else."""
    found, paired = False, comparison.paired_table(results)
    depth = [result for result in results if result.input == "depth" and result.compared]
    for deep in [result for result in depth if result.encoder == "resnet50"]:
        alike = [r for r in depth if r.encoder == "resnet18" and _but_encoder(r) == _but_encoder(deep)]
        for shallow in alike[:1]:
            found = True
            subject = f", {deep.test_subject}" if deep.test_subject else ""
            what = f"{deep.dataset.upper()}{subject}: mean EPE of ResNet-18 minus that of ResNet-50"
            yield _worse_row(DEEPER_ENCODER, what, shallow, deep, paired)
    if not found:
        yield absent(DEEPER_ENCODER, "two depth models that differ in their encoder alone")


def parameter_rows(counts: dict[int, int]) -> Iterator[Row]:
    """Exact numbers: their intervals are points."""
    data = "the networks at the paper's size: RGB of 256 px, ResNet-18 of width 64, hand side given"
    for variant, printed in paper.PARAMETERS.items():
        difference = counts[variant] - printed
        what = f"variant {variant}: our count minus the printed {printed:,}"
        yield exact_row(PARAMETERS, what, difference, Criterion(-1, 1, "parameters"), data)
    biggest = max(counts.values())
    most = below(paper.BASELINE_PARAMETERS, "parameters")
    yield exact_row(FEWER_PARAMETERS, "the biggest of variants 1 to 4", biggest, most, data)


def _is_of(result: Result, task: paper.Task, invariances: str) -> bool:
    return result.compared and result.papers_encoder and (result.task, result.invariances) == (task, invariances)


def _but_encoder(result: Result) -> tuple:
    return result.dataset, result.variant, result.invariances, result.test_subject


def _number(
    models: list[Result],
    of: Callable[..., np.ndarray],
    statistic: Callable[..., bootstrap.Statistic] = bootstrap.mean,
) -> Number:
    """What `of` makes of a statistic of each model, over the same frames."""
    spread = comparison.spread_of(comparison.same_frames(models), statistic)
    return spread.number(of, *range(len(models)))


def _largest_percent(*epe_mm: np.ndarray) -> np.ndarray:
    """The largest difference of some errors, in percent of the smallest."""
    return 100 * (np.maximum.reduce(epe_mm) / np.minimum.reduce(epe_mm) - 1)


def _worse_row(claim: Claim, what: str, a: Result, b: Result, paired: pd.DataFrame) -> Row:
    """The claim that model a has the larger mean EPE, as the paired comparison decides."""
    places = {a.experiment, b.experiment}
    (pair,) = (line for line in paired.to_dict("records") if {line["model_a"], line["model_b"]} == places)
    worse = comparison.B_BETTER if pair["model_a"] == a.experiment else comparison.A_BETTER
    told = {comparison.A_BETTER: FAILS, comparison.B_BETTER: FAILS, worse: HOLDS}.get(pair["verdict"], pair["verdict"])
    return row(claim, what, _number([a, b], comparison.difference), above(0, "mm"), a.data, told)
