"""Numbers and tables as text: CSV for programs, Markdown to read, LaTeX for a paper; a cell may have several lines."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template

import pandas as pd

from handvae.base import yaml_text
from handvae.report.results import ENDS, LeftOut, Result

COMMAND = "python -m stages.grid <row>"  # makes the results of one row, and the report again
# what Markdown would read as markup; an underscore inside a word and most brackets it takes as they are
_MARKUP = re.compile(r"[\\`*<&|$~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|\](?=\()|:(?=//)")
_LATEX = {
    **{"->": r"$\rightarrow$", "–": "--", "±": r"$\pm$", "−": "$-$"},
    **{sign: rf"\{sign}" for sign in "&%_#${}"},
    **{"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "`": r"\textasciigrave{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
}
_LATEX_SIGNS = re.compile("|".join([*map(re.escape, _LATEX), "-(?=-)"]))  # of two hyphens LaTeX makes a dash


class Markdown(str):
    """A cell that is written in Markdown already; all others are plain text."""


def delivered(name: str) -> str:
    """The text of a file that lies beside this one: a template, or prose."""
    return Path(__file__).with_name(name).read_text("utf-8")


WORDS: dict = yaml_text.load(delivered("words.yaml"))  # the prose of tables and claims


def csv_table(frame: pd.DataFrame) -> str:
    """Columns in millimetres or percent with two decimals, other fractions with four: as far as they mean anything."""
    rounded = frame.copy()
    for name in rounded.select_dtypes("float"):
        digits = 2 if "_mm" in name or "percent" in name else 4
        rounded[name] = ["" if pd.isna(value) else f"{value:.{digits}f}" for value in rounded[name]]
    return rounded.to_csv(index=False, lineterminator="\n")


def cell(row: Mapping[str, object], statistic: str, digits: int = 2, verdict: str = "verdict") -> str:
    """A statistic of a table's row, a line each: ours with its interval, over seeds, the paper's, the verdict.

    Where the two are of different images there is no difference to speak of and no verdict. `digits`: decimals with
    which the paper prints its number; `verdict`: the column of the verdict.
    """
    ours, printed = row[statistic], row[f"paper_{statistic}"]
    lines = [row_interval(row, statistic), *over_seeds(row, statistic)]
    if pd.isna(printed):
        return "\n".join(lines)
    if row["kind"] != "published":
        return "\n".join([*lines, f"paper {printed:.{digits}f}"])
    return "\n".join([*lines, f"paper {printed:.{digits}f} (ours {signed(ours - printed)})", row[verdict]])


def interval_text(number: float, low: float, high: float, as_text: Callable[[float], str] = "{:.2f}".format) -> str:
    """A number with its interval; of a single block of frames there is none."""
    if pd.isna(low):
        return f"{as_text(number)} [1 block of frames: no interval]"
    return f"{as_text(number)} [{as_text(low)}, {as_text(high)}]"


def row_interval(row: Mapping[str, object], name: str, *as_text: Callable[[float], str]) -> str:
    """`interval_text` of a number of a table's row, a dash where it has none."""
    return "–" if pd.isna(row[name]) else interval_text(*(row[f"{name}{end}"] for end in ENDS), *as_text)


def over_seeds(row: Mapping[str, object], statistic: str, seeds: str = "seeds") -> list[str]:
    """The line of a cell that says how many seeds were trained; none where each row of the table has one."""
    deviation = row.get(f"{statistic}_sd")
    if deviation is None or pd.isna(row.get(seeds)):
        return []
    return ["1 seed"] if pd.isna(deviation) else [f"sd {deviation:.2f} over {row[seeds]} seeds"]


def signed(number: float, digits: int = 2) -> str:
    """A difference, with the sign it has in print."""
    return f"{number:+.{digits}f}".replace("-", "−")


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    def as_markdown(cell: str) -> str:
        return cell if isinstance(cell, Markdown) else "<br>".join(map(markdown_text, cell.splitlines()))

    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(as_markdown, line))} |" for line in lines)


def markdown_text(text: str) -> str:
    """Plain text as a part of a line of Markdown, where it is shown as it is."""
    return _MARKUP.sub(lambda sign: f"&#{ord(sign[0])};", " ".join(text.splitlines()))


def latex_table(header: list[str], rows: list[list[str]], caption: str) -> str:
    """The same table for a paper; the caption says what is compared."""
    first, *lines = (" & ".join(map(_latex_cell, line)) + " \\\\\n" for line in (header, *rows))
    columns = "l" + "r" * (len(header) - 1)
    template = Template(delivered("table.tex"))
    return template.substitute(header=first, rows="".join(lines), columns=columns, caption=_latex(caption))


def _latex_cell(text: str) -> str:
    # a bracket or star that follows a line break would be read as an argument of it
    lines = r" \\ ".join("{}" * line.startswith(("[", "*")) + _latex(line) for line in text.split("\n"))
    return rf"\makecell[r]{{{lines}}}" if "\n" in text else lines


def _latex(text: str) -> str:
    return _LATEX_SIGNS.sub(lambda sign: _LATEX.get(sign[0], "-{}"), text)


def count_text(left_out: Sequence[LeftOut], results: list[Result]) -> str:
    """How many rows of the grid are left out, in a sentence."""
    rows = len({result.experiment for result in results}) + len(left_out)
    return f"{len(left_out)} of the grid's {rows} rows are left out, with all that is made from them."


def reasons(left_out: Sequence[LeftOut]) -> list[str]:
    """A line for each set and reason, with its rows."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in left_out:
        groups.setdefault((row.dataset, row.why), []).append(row.experiment)
    return [f"{dataset.upper()}, {why}: {', '.join(names)}" for (dataset, why), names in groups.items()]
