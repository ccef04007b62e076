"""The report's pages: notebooks run by papermill over what lies in reports/, their text and outputs joined as HTML.

A page is one file that needs no network: pictures, style and script are inside it. A notebook runs in a kernel of its
own, without the user's settings, and is stripped of times, paths and random ids, so that the same reports give the same
bytes.
"""

import html
import importlib.metadata
import json
import re
import string
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import papermill
from ipykernel.kernelspec import make_ipkernel_cmd
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from matplotlib import font_manager
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from handvae.base.errors import InputError
from handvae.base.params import Experiment
from handvae.report import paper
from handvae.report.left_out import LeftOut, html_of
from handvae.report.results import Result

NOTEBOOKS, REPORTS, TRAINING = Path("notebooks"), Path("reports"), Path("reports/training")
OWN_PAGE = "own_experiment.html"  # in reports/, beside the page that links to it
KERNELS = 2  # that run at once
HERE = Path(__file__).parent  # page.html, page.css, viewer.html and viewer.js lie beside this file

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
    shown = {"reports": str(REPORTS), "figures_made": figures_made}
    tasks = {name: f"{paper.DIRECTIONS[row.input]} {row.dataset.upper()}" for name, row in experiments.items()}
    parameters = {
        "tables": {"reports": str(REPORTS), "experiments": list(experiments)},
        "curves": {**shown, "training": str(TRAINING), "tasks": tasks},
        "latent_space": shown,
        "predictions": shown,
    }
    with ThreadPoolExecutor(KERNELS) as pool:
        notebooks = pool.map(executed, [NOTEBOOKS / f"{name}.ipynb" for name in parameters], parameters.values())
        return dict(zip(parameters, notebooks, strict=True))


def index_page(
    notebooks: dict[str, NotebookNode],
    viewer: dict,
    results: list[Result],
    left_out: Sequence[LeftOut] = (),
    note: str = "",
) -> str:
    """reports/index.html: the viewer with its data (`viewer.viewer_data`), then the notebooks' text and outputs.

    `note`: a sentence more on what was run, "" for none.
    """
    lacking = html_of(left_out, len({result.experiment for result in results}) + len(left_out))
    noted = f'<p class="notice">{html.escape(note)}</p>\n' if note else ""
    opening = f"<p>{INTRODUCTION}</p>\n<p>{OWN_LINK}</p>\n{lacking}{noted}{data_notice(results)}"
    # a closing tag inside the data would end the script that holds it
    data = json.dumps(viewer, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    script = (
        f'<script type="application/json" id="viewer-data">{data}</script>\n<script>\n{_file("viewer.js")}</script>'
    )
    sections = [_file("viewer.html"), *(section(name, notebook) for name, notebook in notebooks.items())]
    return _page(opening, sections, script)


def own_experiment_page(results: list[Result], experiments: dict[str, Experiment]) -> str:
    """reports/own_experiment.html: your experiment beside the paper's number and the grid's models like it.

    `results`: of your experiment, one for each set that it is tested on. `experiments`: the grid, of which those of the
    same task, variant and test subject are shown that have results, unless they were tested on other data, as when only
    your experiment ran on hands of your own. InputError as of `executed_notebooks`.
    """
    parts = [
        section("own" if own.group == "/" else f"own-{own.dataset}", _own_part(own, experiments)) for own in results
    ]
    opening = f'<p><a href="index.html">All results</a></p>\n{data_notice(results)}'
    return _page(opening, parts)


def _own_part(own: Result, experiments: dict[str, Experiment]) -> NotebookNode:
    """Your experiment on one set."""
    settings = {name: getattr(own, name) for name in ("dataset", "input", "variant", "invariances", "encoder")}
    settings |= {"label_fraction": own.label_fraction, "recipe": own.recipe, "profile": own.profile}
    if own.of_two_sets:
        settings["trained on"] = own.trained_on
    like = (own.trained_on or own.dataset, own.input, own.variant, own.test_subject)
    parameters = {
        "reports": str(REPORTS),
        "dataset": "" if own.group == "/" else own.dataset,
        "settings": settings,
        "data": own.data,
        "kind": own.kind,
        "grid": [
            name
            for name, row in experiments.items()
            if (row.dataset, row.input, row.variant, row.test_subject or "") == like
            and all(path.exists() for path in _shown_of(name))
            and row.validation == own.validation
            and _on_the_same_data(own, name, row)
        ],
        "paper_mm": {} if own.kind == "other data" or own.validation else paper_numbers_mm(own),
    }
    return executed(NOTEBOOKS / "own_experiment.ipynb", parameters)


def _shown_of(name: str) -> list[Path]:
    """The files of a row of the grid that your experiment's page reads."""
    return [*(REPORTS / "metrics" / f"{name}{end}" for end in (".json", "_pck.csv")), TRAINING / f"{name}.csv"]


def _on_the_same_data(own: Result, name: str, row: Experiment) -> bool:
    """The mean pose's error tells sets apart, but it is of the labelled samples and, under S, of scaled hands: where an
    experiment differs in these, the number of test frames must do."""
    found = json.loads((REPORTS / "metrics" / f"{name}.json").read_text())
    found = found.get(own.dataset, found)
    same_mean = (row.label_fraction, "S" in row.invariances) == (own.label_fraction, "S" in own.invariances)
    return all(found[key] == own.metrics[key] for key in ["frames"] + ["mean_pose_epe_mm"] * same_mean)


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


def paper_numbers_mm(own: Result) -> dict[str, float]:
    """What the paper prints for a model of these settings, by the metric's name; nothing where it prints nothing.

    Of depth it prints one mean an encoder and names no set; ICVL is very probably meant.
    """
    if own.input == "depth":
        return {"epe_mean_mm": paper.DEPTH_MM[own.encoder]} if own.dataset == "icvl" and own.compared else {}
    if own.task not in paper.TASKS or not (own.compared and own.papers_encoder):
        return {}
    return {
        printed.statistic: printed.cell_mm(row, own.task)
        for printed in (paper.TABLE1, paper.TABLE2, paper.TABLE5, paper.TABLE6)
        for row in printed.rows_mm
        if printed.model(row, own.task) == (own.variant, own.invariances)
    }


def executed(path: Path, parameters: dict[str, object]) -> NotebookNode:
    """The notebook run with these parameters, stripped of times, paths and random ids: the same bytes each time."""
    with tempfile.TemporaryDirectory() as scratch:
        # the kernel looks for matplotlib's list of fonts here, and where it must search for them it may complain
        fonts = f"{scratch}/fontlist-v{font_manager.FontManager.__version__}.json"
        font_manager.json_dump(font_manager.fontManager, fonts)
        # sockets in a folder of its own need no free port; a fresh IPython folder holds no start-up files of the user's
        sockets = {"transport": "ipc", "connection_file": f"{scratch}/kernel.json"}
        kernel = {
            "kernel_manager_class": _ThisInterpreter,
            "config": Config(KernelManager=sockets),
            "extra_arguments": [f"--ipython-dir={scratch}"],
            "shutdown_kernel": "immediate",  # the graceful way sends an interrupt, of which the kernel may complain
        }
        try:
            notebook = papermill.execute_notebook(str(path), None, parameters, progress_bar=False, **kernel)
        except PapermillExecutionError as error:
            raise InputError(f"{path}: cell {error.cell_index}: {error.ename}: {error.evalue}") from error
    notebook.metadata = nbformat.from_dict({"language_info": {"name": "python"}})
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        cell.metadata = nbformat.from_dict({"tags": cell.metadata.get("tags", [])})
    return notebook


def section(name: str, notebook: NotebookNode) -> str:
    """A notebook as one section: text and outputs, no code; its headings one level down, with ids of their own."""
    exporter = _DeliveredTemplates(
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    body, _ = exporter.from_notebook_node(notebook)
    taken: list[str] = []

    def heading(match: re.Match) -> str:
        level, text = int(match[1]) + 1, match[2]
        slug = re.sub(r"[^a-z0-9]+", "-", html.unescape(f"{name} {text}").lower()).strip("-")
        taken.append(slug)
        return f'<h{level} id="{slug}{f"-{again}" if (again := taken.count(slug)) > 1 else ""}">{text}</h{level}>'

    body = re.sub(r' id="cell-id=[^"]*"', "", body)  # the same in every notebook
    body = re.sub(r"<h([1-5])[^>]*>(.*?)</h\1>", heading, body)
    return f'<section id="{name}">\n{body}\n</section>'


def _page(opening: str, sections: list[str], script: str = "") -> str:
    body = "\n".join([opening, *sections])
    parts = {"style": _file("page.css"), "contents": _contents(sections), "body": body, "script": script}
    return string.Template(_file("page.html")).substitute(title=TITLE, **parts)


def _contents(sections: list[str]) -> str:
    """Links to the sections and to those of their parts that have an id."""
    items = []
    for text in sections:
        anchor, title = re.search(r'<section id="(.*?)".*?<h2.*?>(.*?)</h2>', text, re.DOTALL).groups()
        parts = re.findall(r'<h3 id="(.*?)">(.*?)</h3>', text)
        inner = "".join(f'<li><a href="#{slug}">{part}</a></li>' for slug, part in parts)
        items.append(f'<li><a href="#{anchor}">{title}</a><ol>{inner}</ol></li>')
    return f"<ol>{''.join(items)}</ol>"


def _file(name: str) -> str:
    return (HERE / name).read_text("utf-8")


class _ThisInterpreter(AsyncKernelManager):
    """Starts the kernel with the Python that runs the stage, whatever kernels the machine has under that name, and
    without what the user has set for his own work."""

    @property
    def kernel_spec(self) -> KernelSpec:
        scratch = str(Path(self.connection_file).parent)
        own = {"MPLCONFIGDIR": scratch, "MATPLOTLIBRC": "", "MPLBACKEND": "agg"}
        own |= {"PYTHONSTARTUP": "", "PYTHONWARNINGS": "", "PYTHONUTF8": "1"}
        return KernelSpec(argv=make_ipkernel_cmd(python_arguments=["-Xfrozen_modules=off"]), language="python", env=own)


class _DeliveredTemplates(HTMLExporter):
    """Takes nbconvert's own templates, whatever the user has put under their names."""

    def get_prefix_root_dirs(self) -> list[str]:
        one = "share/jupyter/nbconvert/templates/basic/index.html.j2"
        delivered = next(file for file in importlib.metadata.files("nbconvert") if file.as_posix().endswith(one))
        return [str(Path(delivered.locate()).resolve().parents[3])]
