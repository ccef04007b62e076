"""The report's pages: notebooks over what lies in reports/, their text and outputs joined as HTML.

A page is one file that needs no network: pictures, style and script are inside it.
"""

import html
import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from string import Template

from nbformat import NotebookNode

from handvae.base.params import Experiment
from handvae.report import notes, paper
from handvae.report.notebooks import as_html, executed
from handvae.report.results import Result
from handvae.report.text import delivered

NOTEBOOKS, REPORTS, TRAINING = Path("notebooks"), Path("reports"), Path("reports/training")
OWN_PAGE = "own_experiment.html"  # in reports/, beside the page that links to it
KERNELS = 2  # that run at once

TITLE = "Cross-modal deep variational hand pose estimation, reproduced"
INTRODUCTION = """
Spurr, Song, Park and Hilliges, CVPR 2018: an image, or the 2D joints in it, is encoded into a latent space that all
modalities share, from which the 3D joints of the hand are decoded. This page shows what <code>dvc repro</code> made:
every number and picture in it comes from a tracked file.
"""
OWN_LINK = (
    f'<a href="{OWN_PAGE}">Your own experiment</a>, the top of params.yaml, has a page of its own beside this one.'
)


def executed_notebooks(experiments: dict[str, Experiment], figures_made: dict[str, str]) -> dict[str, NotebookNode]:
    """The report's notebooks by name, executed; `figures_made`: file name without suffix -> title.

    InputError names the notebook and the cell that fails.
    """
    of_figures = {"reports": str(REPORTS), "figures_made": figures_made}
    tasks = {name: f"{paper.DIRECTIONS[row.input]} {row.dataset.upper()}" for name, row in experiments.items()}
    parameters = {
        "tables": {"reports": str(REPORTS), "experiments": list(experiments)},
        "curves": {**of_figures, "training": str(TRAINING), "tasks": tasks},
        "latent_space": of_figures,
        "predictions": of_figures,
    }
    with ThreadPoolExecutor(KERNELS) as pool:
        notebooks = pool.map(executed, [NOTEBOOKS / f"{name}.ipynb" for name in parameters], parameters.values())
        return dict(zip(parameters, notebooks, strict=True))


def index_page(
    notebooks: dict[str, NotebookNode],
    viewer: dict,
    results: list[Result],
    left_out: Sequence[notes.LeftOut] = (),
    note: str = "",
) -> str:
    """reports/index.html: the viewer with its data (`viewer.viewer_data`), then the notebooks' text and outputs.

    `note`: a sentence more on what was run, "" for none.
    """
    noted = f'<p class="notice">{html.escape(note)}</p>\n' if note else ""
    opening = f"<p>{INTRODUCTION}</p>\n<p>{OWN_LINK}</p>\n{_lacking(left_out, results)}{noted}{data_notice(results)}"
    # a closing tag inside the data would end the script that holds it
    data = json.dumps(viewer, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    holder = f'<script type="application/json" id="viewer-data">{data}</script>'
    sections = [delivered("viewer.html"), *(section(name, notebook) for name, notebook in notebooks.items())]
    return _page(opening, sections, f"{holder}\n<script>\n{delivered('viewer.js')}</script>")


def _lacking(left_out: Sequence[notes.LeftOut], results: list[Result]) -> str:
    if not left_out:
        return ""
    lines = "\n".join(f"<li>{html.escape(text)}</li>" for text in notes.reasons(left_out))
    command = f"<code>{html.escape(notes.COMMAND)}</code> makes the results of one."
    counted = notes.count_text(left_out, results)
    return f'<div class="notice"><p>{counted} {command}</p>\n<ul>\n{lines}\n</ul></div>\n'


def own_experiment_page(results: list[Result], experiments: dict[str, Experiment]) -> str:
    """reports/own_experiment.html: your experiment beside the paper's number and the grid's models like it.

    `results`: of your experiment, one for each set that it is tested on. `experiments`: the grid, of which those of the
    same task, variant and test subject are shown that have results, unless they were tested on other data, as when only
    your experiment ran on hands of your own. InputError as of `executed_notebooks`.
    """
    parts = []
    for own in results:
        grid_rows = [name for name, row in experiments.items() if _is_like(own, name, row)]
        notebook = executed(NOTEBOOKS / "own_experiment.ipynb", _own_parameters(own, grid_rows))
        parts.append(section("own" if own.group == "/" else f"own-{own.dataset}", notebook))
    opening = f'<p><a href="index.html">All results</a></p>\n{data_notice(results)}'
    return _page(opening, parts)


def _own_parameters(own: Result, grid_rows: list[str]) -> dict[str, object]:
    keys = ("dataset", "input", "variant", "invariances", "encoder", "label_fraction", "recipe", "profile")
    settings = {key: getattr(own, key) for key in keys}
    if own.of_two_sets:
        settings["trained on"] = own.trained_on
    return {
        "reports": str(REPORTS),
        "dataset": "" if own.group == "/" else own.dataset,
        "settings": settings,
        "data": own.data,
        "kind": own.provenance,
        "grid": grid_rows,
        "paper_mm": {} if own.provenance == "other data" or own.validation else own.printed_mm,
    }


def _is_like(own: Result, name: str, row: Experiment) -> bool:
    """Whether a row of the grid can stand beside your experiment.

    The mean pose's error tells sets apart, but it is of the labelled samples and, under S, of scaled hands: where an
    experiment differs in these, the number of test frames must do.
    """
    like = (own.trained_on or own.dataset, own.input, own.variant, own.test_subject, own.validation)
    metrics = REPORTS / "metrics" / f"{name}.json"
    files = (metrics, metrics.with_name(f"{name}_pck.csv"), TRAINING / f"{name}.csv")
    if (row.dataset, row.input, row.variant, row.test_subject or "", row.validation) != like:
        return False
    if not all(path.exists() for path in files):
        return False
    numbers = json.loads(metrics.read_text())
    numbers = numbers.get(own.dataset, numbers)
    same_mean = (row.label_fraction, "S" in row.invariances) == (own.label_fraction, "S" in own.invariances)
    return all(numbers[key] == own.metrics[key] for key in ["frames"] + ["mean_pose_epe_mm"] * same_mean)


def data_notice(results: list[Result]) -> str:
    """As HTML: what numbers that were not measured on the published sets cannot mean; nothing if all were."""
    other = [result for result in results if not result.published]
    if not other:
        return ""
    sets = ", ".join(sorted({result.dataset.upper() for result in other}))
    synthetic = all(result.synthetic for result in other)
    what = "synthetic hands in each set's own format" if synthetic else "other images than the published ones"
    return (
        f'<p class="notice">Not the paper\'s data: the numbers of {sets} were measured on {what}. They show what the '
        "method learns from those; they can neither confirm nor contradict the paper's numbers, which stand beside "
        "them.</p>"
    )


def section(name: str, notebook: NotebookNode) -> str:
    """A notebook as one section: text and outputs, no code; its headings one level down, with ids of their own."""
    taken: list[str] = []

    def heading(match: re.Match) -> str:
        level, text = int(match[1]) + 1, match[2]
        slug = re.sub(r"[^a-z0-9]+", "-", html.unescape(f"{name} {text}").lower()).strip("-")
        taken.append(slug)
        again = f"-{taken.count(slug)}" if taken.count(slug) > 1 else ""
        return f'<h{level} id="{slug}{again}">{text}</h{level}>'

    body = re.sub(r' id="cell-id=[^"]*"', "", as_html(notebook))  # the same in every notebook
    body = re.sub(r"<h([1-5])[^>]*>(.*?)</h\1>", heading, body)
    return f'<section id="{name}">\n{body}\n</section>'


def _page(opening: str, sections: list[str], script: str = "") -> str:
    body = "\n".join([opening, *sections])
    parts = {"style": delivered("page.css"), "contents": _contents(sections), "body": body, "script": script}
    return Template(delivered("page.html")).substitute(title=TITLE, **parts)


def _contents(sections: list[str]) -> str:
    """Links to the sections and to those of their parts that have an id."""
    items = []
    for text in sections:
        anchor, title = re.search(r'<section id="(.*?)".*?<h2.*?>(.*?)</h2>', text, re.DOTALL).groups()
        parts = re.findall(r'<h3 id="(.*?)">(.*?)</h3>', text)
        inner = "".join(f'<li><a href="#{slug}">{part}</a></li>' for slug, part in parts)
        items.append(f'<li><a href="#{anchor}">{title}</a><ol>{inner}</ol></li>')
    return f"<ol>{''.join(items)}</ol>"
