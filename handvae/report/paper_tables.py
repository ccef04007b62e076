"""All tables of the report: results in, tables by file name out, and the Markdown page that holds them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from handvae.evaluation import uncertainty
from handvae.report import comparison, depth_table, paper, parameters, semi_supervised, tables
from handvae.report.left_out import LeftOut, markdown_of
from handvae.report.results import STATISTICS, Result
from handvae.report.table_text import markdown_table, markdown_text


@dataclass(frozen=True)
class Table:
    """One table: as data; where it is also to be read, its heading, what to know of it, and its cells as text."""

    frame: pd.DataFrame
    heading: str = ""
    note: str = ""
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    caption: str = ""  # in LaTeX; "": too long for a page


PRINTED = {"table1": paper.TABLE1, "table2": paper.TABLE2, "table5": paper.TABLE5, "table6": paper.TABLE6}
SHOWN = {
    "table1": "all with T+S+H",
    "table2": "the paper's best variant of each task on its own set, and variant 1 on RHD and STB together",
}
SHOWN |= {"table5": SHOWN["table1"], "table6": SHOWN["table2"]}


def tables_of(results: list[Result], counts: dict[int, int], layers: list[parameters.Layer]) -> dict[str, Table]:
    """File name without suffix -> table.

    `counts`: parameters of variants 1 to 4 at the paper's sizes; `layers`: of our networks and of [38]'s. InputError
    where results do not go together.
    """
    made = {}
    for name, printed in PRINTED.items():
        frame = tables.joint_table(results, printed)
        heading = f"{printed.place}: {STATISTICS[printed.statistic]}, {SHOWN[name]}"
        made[name] = Table(
            frame,
            heading,
            blocks_note(frame, "task"),
            *tables.matrix(frame, printed),
            f"{heading}. {CELLS} {ALL_JOINTS}",
        )
    depth, labels = depth_table.depth_table(results), semi_supervised.semi_supervised_table(results)
    paired, counted = comparison.paired_table(results), parameters.parameter_table(counts, layers)
    heading = "Depth (section 7.3)"
    note = f"{DEPTH_NOTE} {blocks_note(depth, 'test')}".strip()
    made["depth"] = Table(depth, heading, note, *depth_table.as_text(depth), f"{heading}. {CELLS} {DEPTH_NOTE}")
    heading = "Semi-supervised (section 4.6, Figure 3): RGB->3D STB with labels for a part of the training images"
    text = semi_supervised.as_text(labels)
    made["semi_supervised"] = Table(labels, heading, SEMI_SUPERVISED_NOTE, *text, f"{heading}. {CELLS}")
    heading = f"Parameters ({paper.PARAMETERS_PLACE})"
    text = parameters.as_text(counted)
    made["parameters"] = Table(counted, heading, PARAMETERS_NOTE, *text, f"{heading}. {PARAMETERS_NOTE}")
    made["parameters_layers"] = Table(parameters.layer_table(layers))
    made["paired"] = Table(paired, "Paired comparison of models", paired_note(paired), *comparison.as_text(paired))
    return made


def markdown_page(
    results: list[Result], made: dict[str, Table], left_out: Sequence[LeftOut] = (), note: str = ""
) -> str:
    """tables.md: the tables as one reads them in the paper, with what they were made from and which rows they lack."""
    data = "\n".join(f"- {markdown_text(text)}" for text in dict.fromkeys(result.data for result in results))
    lacking = markdown_of(left_out, len({result.experiment for result in results}) + len(left_out))
    known = [text for text in (lacking, markdown_text(note)) if text]
    parts = ["# Tables", *known, INTRODUCTION, "Our data:", data or "- none: no such experiment"]
    for table in made.values():
        if table.heading:
            text = markdown_table(table.header, table.rows) if table.rows else "No such experiment."
            parts.append("\n\n".join(part for part in (f"## {table.heading}", table.note, text) if part))
    return "\n\n".join(parts) + "\n"


ALL_JOINTS = (
    "All joints: 2D->3D with the hidden joints counted too, as the evaluation of [38] does; the paper does not say "
    "which of the two its number is."
)
INTRODUCTION = (
    "Errors in mm, of RGB and 2D over visible joints. Each cell: ours [95 % interval]; where several models were "
    "trained that differ in their seed, ours is their mean, and their standard deviation and number stand below it "
    "(“1 seed”: one model, in a table that has several of others); the paper's "
    "number, which was measured on the published test images, and in brackets ours minus the paper's; the verdict. "
    "Only numbers on those images can be compared with it: it is then inside our interval, or ours is "
    f"within {100 * tables.WITHIN:.0f} % of it, or it is outside. {ALL_JOINTS}\n\n"
    "Intervals are bootstraps over blocks of test frames: both views of a moment, and in a video a run of neighbouring "
    "frames (`evaluation.block_frames`), since these err alike. Fewer than some 10 blocks make a rough interval. With "
    "one seed it knows nothing of another training run; with several it holds their spread too."
)
CELLS = "Errors in mm: ours [95 % interval], the paper's and ours minus it."
DEPTH_NOTE = (
    "Absolute errors, no alignment; NYU over its 14 evaluated joints. The paper prints one mean an encoder and does "
    "not name the set, very probably ICVL."
)
SEMI_SUPERVISED_NOTE = (
    "Variant 1 learns from the labelled images alone; variant 3 also reconstructs those whose 3D joints are withheld. "
    "Differences are paired: both models on the same test frames; with one seed each they are of two trained models, "
    "with several of their means, and the interval holds the spread over seeds; claims.md says what they tell of the "
    "variants. The improvement is that of the median, as in Figure "
    '3, whose points the paper does not print; it says "up to 22 %", which stands beside our largest.'
)
PARAMETERS_NOTE = (
    "RGB->3D at the paper's size, 256 px, with H. Variant 1 is the RGB encoder and the 3D decoder, variant 2 adds the "
    "3D encoder, variant 3 the RGB decoder, variant 4 both. [38] is counted from its published architecture, without "
    "its hand segmentation. parameters_layers.csv has every layer."
)


def blocks_note(frame: pd.DataFrame, of: str) -> str:
    """On how many blocks of frames the intervals of each `of` stand."""
    counts = dict(zip(frame[of], frame["blocks"], strict=True))
    each = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return f"Blocks of test frames: {each}." if counts else ""


def paired_note(paired: pd.DataFrame) -> str:
    """What the paired comparison tests and what it cannot say."""
    tests, least = int(paired["p"].notna().sum()), uncertainty.LEAST_SEEDS
    return (
        "Every two models of a task on the same test frames: mean EPE of a minus that of b, mm [95 % interval]. “p, "
        f"frames” is of the frames alone, by {comparison.PERMUTATIONS:,} random sign flips of whole blocks (at least "
        f"{1 / (1 + comparison.PERMUTATIONS):.4f}): it compares the two trained models, of several seeds the first, "
        f"not the variants behind them. With {least} or more seeds of both, the difference is that of their means; "
        "interval and p are Student's t (Welch), whose error holds both the seeds' spread and the paired bootstrap "
        f"over blocks; then p is corrected for all {tests} such tests of this table by Holm's rule, and the verdict "
        f"is at {comparison.LEVEL:g} after it. Where nothing can be told, the verdict says what is lacking: how many "
        "seeds of each model would be needed, were the spread as measured, or more test frames. The paper's "
        "difference stands where it prints both numbers (of depth, of a set that it does not name)."
    )
