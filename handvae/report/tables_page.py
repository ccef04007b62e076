"""All tables of the report: results in, tables by file name out, and the Markdown page that holds them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from handvae.evaluation.uncertainty import LEAST_SEEDS, LEVEL
from handvae.report import comparison, notes, paper, parameters, semi_supervised, tables
from handvae.report.results import Result
from handvae.report.text import WORDS, csv_table, latex_table, markdown_table, markdown_text


@dataclass(frozen=True)
class Table:
    """One table: as data, its cells as text, its heading, what to know of it, and what its caption in LaTeX says."""

    frame: pd.DataFrame
    text: tables.Text
    heading: str
    note: str
    caption: str  # "": too long for a page


def tables_of(results: list[Result], counts: dict[int, int], layers: pd.DataFrame) -> dict[str, Table]:
    """File name without suffix -> table.

    `counts`: parameters of variants 1 to 4 at the paper's sizes; `layers`: `parameters.layer_table` of our networks.
    InputError where results do not go together.
    """
    made = {}
    for name, printed in paper.TABLES.items():
        frame = tables.joint_table(results, printed)
        made[name] = _table(name, frame, tables.joint_text(frame, printed), blocks_of="task")
    depth = tables.depth_table(results)
    made["depth"] = _table("depth", depth, tables.depth_text(depth), blocks_of="test")
    labels = semi_supervised.semi_supervised_table(results)
    made["semi_supervised"] = _table("semi_supervised", labels, semi_supervised.semi_supervised_text(labels))
    counted = parameters.parameter_table(counts, layers)
    made["parameters"] = _table("parameters", counted, parameters.parameter_text(counted))
    paired = comparison.paired_table(results)
    made["paired"] = _table("paired", paired, comparison.paired_text(paired))
    return made


def _table(name: str, frame: pd.DataFrame, text: tables.Text, blocks_of: str = "") -> Table:
    """`blocks_of`: the column of what the intervals of one number of blocks stand on, if that is to be said."""
    words = {"note": "", "caption": ""} | WORDS["tables"][name]
    numbers = {"permutations": comparison.PERMUTATIONS, "least_p": 1 / (1 + comparison.PERMUTATIONS)}
    numbers |= {"least_seeds": LEAST_SEEDS, "level": LEVEL, "tests": frame["p"].notna().sum() if "p" in frame else 0}
    note = words["note"].format(**numbers)
    caption = words["caption"].format(note=note, cells=WORDS["cells"], all_joints=WORDS["all_joints"])
    blocks = dict(zip(frame[blocks_of], frame["blocks"], strict=True)) if blocks_of else {}
    if blocks:
        each = ", ".join(f"{tested} {count:,}" for tested, count in blocks.items())
        note = f"{note} Blocks of test frames: {each}.".strip()
    heading = words["heading"]
    return Table(frame, text, heading, note, f"{heading}. {caption}" if caption else "")


def texts_of(made: dict[str, Table]) -> dict[str, str]:
    """File name -> text: CSV of every table, LaTeX of those that a page holds."""
    texts = {f"{name}.csv": csv_table(table.frame) for name, table in made.items()}
    return texts | {
        f"{name}.tex": latex_table(*table.text, table.caption) for name, table in made.items() if table.caption
    }


def markdown_page(
    results: list[Result], made: dict[str, Table], left_out: Sequence[notes.LeftOut] = (), note: str = ""
) -> str:
    """tables.md: the tables as one reads them in the paper, with what they were made from and which rows they lack."""
    parts = ["# Tables"]
    if left_out:
        reasons = "\n".join(f"- {markdown_text(text)}" for text in notes.reasons(left_out))
        counted = f"**{notes.count_text(left_out, results)}** `{notes.COMMAND}` makes the results of one."
        parts += [counted, reasons]
    introduction = WORDS["introduction"].format(within=100 * tables.WITHIN, all_joints=WORDS["all_joints"])
    data = "\n".join(f"- {markdown_text(text)}" for text in dict.fromkeys(result.data for result in results))
    parts += [markdown_text(note), introduction, "Our data:", data or "- none: no such experiment"]
    for table in made.values():
        cells = markdown_table(*table.text) if table.text[1] else "No such experiment."
        parts += [f"## {table.heading}", table.note, cells]
    return "\n\n".join(part for part in parts if part) + "\n"
