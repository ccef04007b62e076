"""The grid's predictions and metrics -> tables, figures, claims and their page

Experiments come from params.yaml, never from what lies in the folders, so that a removed one leaves no row behind. Rows
without results, or with results of other settings, are left out and named. No model is loaded: what needs one was
computed by the evaluate stage.
"""

import json
import sys
import tempfile
from collections.abc import Container
from pathlib import Path

import nbformat
from pandas import DataFrame

from handvae.base import atomic, params, workspace
from handvae.base.params import Params
from handvae.evaluation import published
from handvae.model import networks, zb17
from handvae.report import curves, grid_results, hands, latent_figures, pages, parameters, style, summary, viewer
from handvae.report import tables_page as tables
from handvae.report.results import LeftOut, Result
from handvae.report.style import Captioned
from handvae.report.text import COMMAND, csv_table, reasons
from stages import command_line, run

PREDICTIONS, PROCESSED = Path("data/predictions"), Path("data/processed")
METRICS, TRAINING = Path("data/metrics"), Path("data/training")  # of every row; copied to reports/
TABLES, FIGURES, NOTEBOOKS = Path("reports/tables"), Path("reports/figures"), Path("reports/notebooks")
PAGE = Path("reports/index.html")
CAPTION = ("title", "caption", "alt")  # of a figure in captions.json


def main(*words: str) -> None:
    command_line("stages.report", __doc__).parse_args(words)
    settings = params.load()
    results, left_out = grid_results.read_grid(settings, PREDICTIONS, METRICS, TRAINING, PROCESSED)
    print(f"report: read {len(results)} experiments", flush=True)
    if left_out:
        counted = f"{len(left_out)} of {len(settings.experiments)} rows left out"
        print(f"report: {counted}: {'; '.join(reasons(left_out))}; `{COMMAND}` makes one", flush=True)
    texts, answer = table_texts(results, left_out, settings)
    figures, embeddings = figures_of(results, settings)
    texts |= {f"tsne_{name}.csv": csv_table(frame) for name, frame in embeddings.items()}
    print(f"report: made {len(texts)} tables and {len(figures)} figures", flush=True)
    words = {name: {key: getattr(drawn, key) for key in CAPTION} for name, drawn in figures.items()}
    texts["captions.json"] = json.dumps(words, indent=1, ensure_ascii=False) + "\n"  # DVC would draw it among figures
    pictures = {f"{name}.png": style.png_bytes(drawn.figure) for name, drawn in figures.items()}
    folders = {TABLES: texts, FIGURES: pictures} | copies(settings.experiments)
    opening, tested = summary.picture_of(results), {result.experiment for result in results}
    with_results = {name: row for name, row in settings.experiments.items() if name in tested}
    with tempfile.TemporaryDirectory() as scratch:  # a notebook that fails leaves reports/ as it was
        write_all(folders, scratch)
        notebooks = pages.executed_notebooks(with_results, list(figures), opening, scratch)
    to_view = viewer.viewer_data(results, PROCESSED)
    page = pages.index_page(notebooks, to_view, results, answer, figures.get(opening), left_out)
    folders[NOTEBOOKS] = {f"{name}.ipynb": nbformat.writes(notebook) + "\n" for name, notebook in notebooks.items()}
    remove_left_over(settings.experiments)
    write_all(folders)
    atomic.write_text(PAGE, page)
    print(f"report: wrote {TABLES}, {FIGURES}, {NOTEBOOKS} and {PAGE}", flush=True)


def table_texts(
    results: list[Result], left_out: list[LeftOut], settings: Params
) -> tuple[dict[str, str], list[summary.Line]]:
    """File name -> text: CSV of every table, LaTeX of those that a page holds, Markdown of all that are to be read; and
    the lines that the page opens with."""
    modules, counts = networks.paper_modules() | zb17.paper_modules(), networks.paper_parameter_counts()
    shapes = {
        name: {key: tuple(value.shape) for key, value in module.named_parameters()} for name, module in modules.items()
    }
    layers = parameters.layer_table(shapes)
    made = tables.tables_of(results, counts, layers)
    claims = tables.claims_table(results, counts, made["paired"].frame)
    sizes = summary.profile_text(settings.profile_name, settings.profile)
    answer = summary.answer(results, made["depth"].frame, made["beyond"].frame, claims, sizes)
    inputs = {result.input for result in results}
    note = grid_results.departures(settings.profile.augmentation, inputs, settings.profile_name)
    return tables.texts_of(made) | {
        "parameters_layers.csv": csv_table(layers),
        "claims.csv": csv_table(claims),
        "claims.md": tables.claims_markdown(claims),
        "summary.md": tables.summary_markdown(answer),
        "tables.md": tables.markdown_page(results, made, left_out, note),
    }, answer


def figures_of(results: list[Result], settings: Params) -> tuple[dict[str, Captioned], dict[str, DataFrame]]:
    """File name without suffix -> figure, and the coordinates of those by t-SNE."""
    references = {}
    for name, source in settings.data.items():
        files = {method: workspace.source(file) for method, file in source.references.items()}
        references[name] = published.reference_curves(name, files, curves.THRESHOLDS_MM)
    of_latent, embeddings = latent_figures.latent_figures(results, PROCESSED)
    figures = curves.curves(results, references) | hands.hands(results, PROCESSED) | of_latent
    return dict(sorted(figures.items())), embeddings


def copies(experiments: Container[str]) -> dict[Path, dict[str, bytes]]:
    """The metrics and losses of the grid's rows, for git: by folder of reports/ and file name."""
    folders = {Path("reports", folder.name): sorted(folder.iterdir()) for folder in (METRICS, TRAINING)}
    return {
        copy: {path.name: path.read_bytes() for path in paths if experiment_of(path) in experiments}
        for copy, paths in folders.items()
    }


def remove_left_over(experiments: Container[str]) -> None:
    """Delete what experiments that are not in params.yaml any more have left beside those that are."""
    for path in sorted([*PREDICTIONS.glob("*.h5"), *METRICS.glob("*"), *TRAINING.glob("*")]):
        if experiment_of(path) not in experiments:
            path.unlink()
            print(f"report: deleted {path}: no such experiment in params.yaml", flush=True)


def experiment_of(path: Path) -> str:
    return path.stem.removesuffix("_pck")


def write_all(folders: dict[Path, dict[str, str | bytes]], root: str = ".") -> None:
    """Each folder, under `root`, with these files and no others."""
    for folder, files in folders.items():
        with atomic.replacing_folder(root / folder) as partial:
            for name, content in files.items():
                (partial / name).write_bytes(content.encode() if isinstance(content, str) else content)


if __name__ == "__main__":
    run(main, *sys.argv[1:])
