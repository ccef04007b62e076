"""Tables and claims of a run as files: CSV, LaTeX, and tables.md, paired.md, claims.md and README.md of a snapshot."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import Template

import pandas as pd

from handvae.evaluation.uncertainty import LEAST_SEEDS, LEVEL
from handvae.report import beyond, claims, comparison, latent_claims, paper, parameters, semi_supervised, tables, text
from handvae.report.results import LeftOut, Result
from handvae.report.text import WORDS, markdown_table, markdown_text

SNAPSHOT_MARK = text.delivered("snapshot.md").splitlines()[0]
TABLE1 = paper.TABLES["table1"]


@dataclass(frozen=True)
class Table:
    """One table: as data, its cells as text, its heading, what to know of it, and what its caption in LaTeX says."""

    frame: pd.DataFrame
    cells: tables.Text
    heading: str
    note: str
    caption: str  # "": too long for a page

    def markdown(self, level: int = 2) -> str:
        """Heading, note and cells."""
        header, rows = self.cells
        cells = markdown_table(header, rows) if rows else "No such experiment."
        return "\n\n".join(part for part in (f"{'#' * level} {self.heading}", self.note, cells) if part)


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
    others = {
        "semi_supervised": (semi_supervised.semi_supervised_table(results), semi_supervised.semi_supervised_text),
        "parameters": (parameters.parameter_table(counts, layers), parameters.parameter_text),
        "beyond": (beyond.beyond_table(results), beyond.beyond_text),
        "paired": (comparison.paired_table(results), comparison.paired_text),
    }
    return made | {name: _table(name, frame, cells_of(frame)) for name, (frame, cells_of) in others.items()}


def _table(name: str, frame: pd.DataFrame, cells: tables.Text, blocks_of: str = "") -> Table:
    """`blocks_of`: the column that names the test sets, where the note gives their numbers of blocks of frames."""
    words = {"note": "", "caption": ""} | WORDS["tables"][name]
    numbers = {"permutations": comparison.PERMUTATIONS, "least_p": 1 / (1 + comparison.PERMUTATIONS)}
    numbers |= {"least_seeds": LEAST_SEEDS, "level": LEVEL, "tests": frame["p"].notna().sum() if "p" in frame else 0}
    note = words["note"].format(**numbers)
    caption = words["caption"].format(note=note, cells=WORDS["cells"], all_joints=WORDS["all_joints"])
    if blocks_of and len(frame):
        blocks = dict(zip(frame[blocks_of], frame["blocks"], strict=True))
        each = ", ".join(f"{tested} {count:,}" for tested, count in blocks.items())
        note = f"{note} Blocks of test frames: {each}.".strip()
    heading = words["heading"]
    return Table(frame, cells, heading, note, f"{heading}. {caption}" if caption else "")


def texts_of(made: dict[str, Table]) -> dict[str, str]:
    """File name -> text: CSV of every table, LaTeX of those that a page holds; the long list of pairs to read."""
    texts = {f"{name}.csv": text.csv_table(table.frame) for name, table in made.items()}
    texts["paired.md"] = f"{made['paired'].markdown(1)}\n"
    captioned = {name: table for name, table in made.items() if table.caption}
    return texts | {f"{name}.tex": text.latex_table(*table.cells, table.caption) for name, table in captioned.items()}


def markdown_page(
    results: list[Result], made: dict[str, Table], left_out: Sequence[LeftOut] = (), note: str = ""
) -> str:
    """tables.md: the tables as one reads them in the paper, with what they were made from and which rows they lack."""
    parts = ["# Tables"]
    if left_out:
        parts.append(f"**{text.count_text(left_out, results)}** `{text.COMMAND}` makes the results of one.")
        parts.append(_list(text.reasons(left_out)))
    introduction = WORDS["introduction"].format(within=100 * tables.WITHIN, all_joints=WORDS["all_joints"])
    data = _list(result.data for result in results)
    parts += [markdown_text(note), introduction, "Our data:", data or "- none: no such experiment"]
    parts += [table.markdown() for name, table in made.items() if name != "paired"]
    return "\n\n".join(part for part in parts if part) + "\n"


def _list(items: Iterable[str]) -> str:
    """A list in Markdown, of items that may repeat."""
    return "\n".join(f"- {markdown_text(item)}" for item in dict.fromkeys(items))


def claims_table(results: list[Result], counts: dict[int, int], paired: pd.DataFrame) -> pd.DataFrame:
    """A row a claim and task: value, low and high, criterion, verdict, data.

    `counts`: parameters of variants 1 to 4; `paired`: `comparison.paired_table` of the results.

    A claim or task whose experiments are not among the results has one row that says so and names them.
    """
    rows = [
        *claims.variant_rows(results),
        *claims.invariance_rows(results, paired),
        *claims.rival_rows(results, paired),
        *claims.label_rows(results),
        *latent_claims.mixing_rows(results),
        *latent_claims.walk_rows(results),
        *latent_claims.samples_rows(results),
        *claims.encoder_rows(results, paired),
        *claims.parameter_rows(counts),
    ]
    return tables.frame_of(rows, tuple(rows[0]))


def summary_markdown(answer: Iterable[tuple[str, str]]) -> str:
    """summary.md: the lines that the page opens with."""
    return "\n".join(f"- **{label}**: {markdown_text(sentences)}" for label, sentences in answer) + "\n"


def claims_markdown(table: pd.DataFrame) -> str:
    """claims.md: each claim with its verdicts and what was measured, and the data, numbered, below."""
    data = list(dict.fromkeys(table["data"][table["verdict"] != claims.ABSENT]))
    parts = [WORDS["claims_introduction"].format(least_seeds=LEAST_SEEDS)]
    for (claim, place), rows in table.groupby(["claim", "place"], sort=False):
        parts.append(f"### {markdown_text(claim)}\n\nThe paper: {place}.")
        parts.append("\n".join(_claim_line(row, data) for row in rows.to_dict("records")))
    numbered = "\n".join(f"- ({number}) {markdown_text(source)}" for number, source in enumerate(data, 1))
    return "\n\n".join([*parts, "Data:", numbered]) + "\n"


def _claim_line(row: dict[str, object], data: list[str]) -> str:
    """A measurement in Markdown: its verdict, what it is, its number and criterion, and the number of its data."""
    verdict, _, lacking = row["verdict"].partition(" (")
    if verdict == claims.ABSENT:
        return f"- **{verdict}**: {markdown_text(row['data'])}"
    number = text.interval_text(row["value"], row["low"], row["high"], claims.three_digits)
    if pd.isna(row["seeds"]):  # counted, not measured
        number = claims.three_digits(row["value"])
    lacking = f" ({lacking}" if lacking else ""
    measured = f"{markdown_text(row['statistic'])}: {number}; criterion: {row['criterion']}"
    return f"- **{verdict}**{lacking}. {measured}; data ({data.index(row['data']) + 1})"


def snapshot_page(facts: dict[str, str], summary: str, table1: pd.DataFrame, depth: pd.DataFrame) -> str:
    """README.md of a committed run. `facts`: what is known of it, by name; `summary`: the text of summary.md; the
    tables as the report writes them."""
    main_tables = [f"## Table 1: mean EPE\n\n{readme_table1(table1)}"] if len(table1) else []
    main_tables += [f"## Depth: mean EPE, absolute\n\n{readme_depth(depth)}"] if len(depth) else []
    return Template(text.delivered("snapshot.md")).substitute(
        facts="\n".join(f"| {name} | {fact} |" for name, fact in facts.items()),
        summary=summary.rstrip(),
        data=_list([*table1["data"], *depth["data"]]),
        tables="\n\n".join(main_tables),
        profile=facts["profile"],
    )


def readme_table1(table1: pd.DataFrame) -> str:
    """Table 1 in Markdown: a row a variant and the mean pose; a task's numbers and beside them the paper's."""
    columns = [["", "---", *(f"Var. {variant}" for variant in TABLE1.rows_mm), "mean pose of the training set"]]
    for task, name in paper.TASKS.items():
        rows = table1[table1["task"] == name]
        if len(rows):
            data = "/".join(rows["kind"].unique())
            title = f"{name}, {data if data == 'published' else f'**{data}**'}"
            cells = [_readme_cell(rows[rows["variant"] == variant]) for variant in TABLE1.rows_mm]
            printed = [f"{TABLE1.cell_mm(variant, task):.2f}" for variant in TABLE1.rows_mm]
            columns += [[title, "---", *cells, _mean_pose(rows)], ["paper", "---", *printed, "–"]]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in zip(*columns, strict=True)).replace("|  |", "| |")


def readme_depth(depth: pd.DataFrame) -> str:
    """The depth results in Markdown: a row a test and encoder, the mean pose beside."""
    lines = ["| | mean EPE | mean pose |", "| --- | --- | --- |"]
    for (test, encoder), rows in depth.groupby(["test", "encoder"], sort=False):
        lines.append(f"| {test}, {encoder} | {_readme_cell(rows)} | {_mean_pose(rows)} |")
    return "\n".join(lines)


def _mean_pose(rows: pd.DataFrame) -> str:
    return "/".join(dict.fromkeys(map("{:.2f}".format, rows["mean_pose_epe_mm"])))


def _readme_cell(rows: pd.DataFrame) -> str:
    """Of each model the number, with its interval and, of several seeds, its spread."""
    texts = []
    for row in rows.to_dict("records"):
        deviation = row.get("epe_mean_mm_sd")
        spread = "" if pd.isna(deviation) else f", sd {deviation:.2f} ({row['seeds']:.0f} seeds)"
        texts.append(text.row_interval(row, "epe_mean_mm") + spread)
    return "; ".join(texts) or "–"
