"""What became of the paper's claims: which held, which did not, which cannot be told and why."""

import pandas as pd

from handvae.evaluation.uncertainty import OPEN
from handvae.report.claims import ABSENT, FAILS, HOLDS, three_digits
from handvae.report.text import interval_text, markdown_table, markdown_text

HEADINGS = {HOLDS: "Held", FAILS: "Did not hold", OPEN: "Cannot be told", ABSENT: "Not in this run"}


def scope(claims: pd.DataFrame) -> str:
    """Every claim once, with its place in the paper."""
    each = claims[["claim", "place"]].drop_duplicates().to_dict("records")
    return "\n".join(f"- {markdown_text(row['claim'])} ({markdown_text(row['place'])})" for row in each)


def sections(claims: pd.DataFrame) -> str:
    """A section a verdict, in Markdown; of what is not in this run only where there is such a claim."""
    verdicts = claims["verdict"].str.partition(" (")[0]
    parts = []
    for verdict, heading in HEADINGS.items():
        rows = claims[verdicts == verdict]
        if verdict == ABSENT:
            parts += [f"### {heading}", _absent(rows)] if len(rows) else []
            continue
        count = f"{len(rows)} measurement{'s' * (len(rows) != 1)}"
        parts.append(f"### {heading}: {count}")
        parts += [_reasons(rows)] if verdict == OPEN and len(rows) else []
        parts.append(_measurements(rows) if len(rows) else "None.")
    return "\n\n".join(parts)


def _measurements(rows: pd.DataFrame) -> str:
    lines, earlier = [], ""
    for row in rows.to_dict("records"):
        claim = f"{row['claim']} ({row['place']})"
        lines.append(["" if claim == earlier else claim, row["statistic"], _number(row), row["criterion"]])
        earlier = claim
    return markdown_table(["claim", "measured", "this run", "criterion"], lines)


def _number(row: dict[str, object]) -> str:
    if pd.isna(row["seeds"]):  # counted, not measured
        return three_digits(row["value"])
    seeds = f"{row['seeds']:.0f} seed{'s' * (row['seeds'] != 1)}"
    # with the digits of the file: rounded once more, a number could differ from that in claims.md
    return f"{interval_text(row['value'], row['low'], row['high'], '{:.4f}'.format)}, {seeds}"


def _reasons(rows: pd.DataFrame) -> str:
    """What is lacking, and in how many measurements."""
    lacking = rows["verdict"].str.partition(" (")[2].str.removesuffix(")")
    counts = lacking.replace("", "the number is not finite").value_counts(sort=False)
    return "What is lacking: " + "; ".join(f"{reason} ({count})" for reason, count in counts.items()) + "."


def _absent(rows: pd.DataFrame) -> str:
    each = rows[["claim", "data"]].drop_duplicates().to_dict("records")
    return "\n".join(f"- {markdown_text(row['claim'])}: {markdown_text(row['data'])}" for row in each)
