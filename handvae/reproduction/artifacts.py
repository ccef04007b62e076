"""What the report stage left in reports/tables, as the reproduction report needs it. Nothing is measured here."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from handvae.base.errors import InputError
from handvae.report.text import WORDS

JOINTS = ("task", "variant", "invariances", "trained_on", "experiment", "seeds", "verdict", "kind", "data")
COLUMNS = {  # of each table, those that are read here
    "table1": (*JOINTS, "epe_mean_mm", "paper_epe_mean_mm", "epe_mean_all_joints_mm", "mean_pose_epe_mm", "blocks"),
    "table2": (*JOINTS, "epe_mean_mm", "paper_epe_mean_mm", "epe_mean_all_joints_mm", "mean_pose_epe_mm", "blocks"),
    "table5": (*JOINTS, "epe_median_mm", "paper_epe_median_mm"),
    "table6": (*JOINTS, "epe_median_mm", "paper_epe_median_mm"),
    "depth": ("test", "encoder", "seeds", "epe_mean_mm", "paper_epe_mean_mm", "mean_pose_epe_mm", "kind", "data"),
    "semi_supervised": ("label_percent", "improvement_percent", "paper_improvement_percent", "kind", "data"),
    "parameters": ("model", "parameters", "paper_parameters", "verdict"),
    "claims": ("claim", "place", "statistic", "value", "low", "high", "seeds", "criterion", "verdict", "data"),
}
OF_IMAGES = ("table1", "table2", "depth", "semi_supervised")  # those that name test images in `kind` and `data`
REMEDY = "`dvc repro --single-item --force report` writes it"
LINES = ("In short", "What ran", "Data", "Claims")  # of summary.md


@dataclass(frozen=True)
class Artifacts:
    """A run's tables by name, the lines of its summary by label, what tables.md says before it begins, its figures."""

    tables: dict[str, pd.DataFrame]
    summary: dict[str, str]  # Markdown
    notices: str  # Markdown: rows that are left out, and how the training departs from the paper's
    figures: dict[str, str]  # file name without suffix -> title

    def images(self) -> pd.DataFrame:
        """What the numbers were measured on, each once: `kind` and `data`."""
        frames = [self.tables[name][["kind", "data"]] for name in OF_IMAGES]
        return pd.concat(frames).drop_duplicates(ignore_index=True)

    def profiles(self) -> list[str]:
        """The profiles that the images' descriptions name."""
        names = self.images()["data"].str.extract(r"; profile (\S+);", expand=False).dropna()
        return list(dict.fromkeys(names))


def read(folder: Path) -> Artifacts:
    """InputError, naming the file, where one is missing or is not what the report writes."""
    try:
        tables = {name: _table(folder / f"{name}.csv", columns) for name, columns in COLUMNS.items()}
        figures = _figures(folder / "captions.json")
        return Artifacts(tables, _summary(folder / "summary.md"), _notices(folder / "tables.md"), figures)
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: expected a table of the report, found no file; {REMEDY}") from error


def _table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path)
        frame = frame.astype({name: "Int64" for name in frame if name.endswith("seeds")})  # blanks are in some
    except (ValueError, TypeError) as error:  # pandas' own errors are among them
        raise InputError(f"{path}: expected a table, found one that is broken ({error}); {REMEDY}") from error
    if lacking := [name for name in columns if name not in frame]:
        raise InputError(f"{path}: expected the columns {', '.join(lacking)}, found none of them; {REMEDY}")
    return frame


def _figures(path: Path) -> dict[str, str]:
    try:
        return {name: words["title"] for name, words in json.loads(path.read_text("utf-8")).items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: expected a title for each figure, found {error!r}; {REMEDY}") from error


def _summary(path: Path) -> dict[str, str]:
    lines = dict(re.findall(r"^- \*\*(.+?)\*\*: (.*)$", path.read_text("utf-8"), re.MULTILINE))
    if lacking := [label for label in LINES if label not in lines]:
        raise InputError(f"{path}: expected the lines {', '.join(lacking)}, found none of them; {REMEDY}")
    return lines


def _notices(path: Path) -> str:
    """What stands between the heading and the introduction: nothing where the run has all rows, trained as in print."""
    opening = WORDS["introduction"].partition(".")[0]
    before, separator, _ = path.read_text("utf-8").partition(f"\n{opening}.")
    if not separator:
        raise InputError(f"{path}: expected the introduction “{opening}.”, found none; {REMEDY}")
    return before.removeprefix("# Tables").strip()
