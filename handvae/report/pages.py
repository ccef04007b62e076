"""The report's pages: notebooks over what lies in reports/, run by papermill, their text and outputs joined as HTML.

A page is one file that needs no network: pictures, style and script are inside it. Notebooks run without the user's
settings and are stripped of times, paths and random ids, so that the same reports give the same bytes.
"""

import base64
import html
import importlib.metadata
import json
import re
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from string import Template

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
from handvae.report import curves, paper, summary
from handvae.report.results import LeftOut, Result
from handvae.report.style import Captioned, png_bytes
from handvae.report.summary import Line
from handvae.report.text import COMMAND, WORDS, count_text, delivered, reasons

NOTEBOOKS, REPORTS, TRAINING = Path("notebooks"), Path("reports"), Path("reports/training")
OWN_PAGE = "own_experiment.html"  # in reports/, beside the page that links to it
KERNELS = 2  # that run at once

TITLE = "Cross-modal deep variational hand pose estimation, reproduced"
INTRODUCTION = """
Spurr, Song, Park and Hilliges, CVPR 2018. A variational autoencoder encodes an image, or the 2D joints in it, into a
latent space that all modalities share. From there it decodes the 3D joints of the hand. This page shows what
<code>dvc repro</code> made: every number and picture on it comes from a tracked file.
"""
OWN_LINK = (
    f'<a href="{OWN_PAGE}">Your own experiment</a>, the top of params.yaml, has a page of its own beside this one.'
)


def executed_notebooks(
    experiments: dict[str, Experiment], figures_made: list[str], opening_figure: str = "", folder: str = "."
) -> dict[str, NotebookNode]:
    """The report's notebooks by name, in the page's order, executed in `folder`, which holds reports/.

    `figures_made`: file names without suffix; `opening_figure`: the one that the page opens with, "" for none.
    InputError names the notebook and the cell that fails.
    """
    of_figures = {"reports": str(REPORTS), "figures_made": figures_made}
    tasks = {
        name: f"{paper.direction(row.input, row.variant)} {row.dataset.upper()}" for name, row in experiments.items()
    }
    parameters = {
        "claims": {"reports": str(REPORTS)},
        "tables": {"reports": str(REPORTS)},
        "curves": {**of_figures, "training": str(TRAINING), "tasks": curves.with_losses(tasks, experiments)},
        "latent_space": of_figures,
        "predictions": {**of_figures, "opening_figure": opening_figure},
        "lists": {"reports": str(REPORTS), "tasks": tasks},
    }
    with ThreadPoolExecutor(KERNELS) as pool:
        paths = [NOTEBOOKS / f"{name}.ipynb" for name in parameters]
        notebooks = pool.map(executed, paths, parameters.values(), [folder] * len(paths))
        return dict(zip(parameters, notebooks, strict=True))


def executed(path: Path, parameters: dict[str, object], folder: str = ".") -> NotebookNode:
    """The notebook run in `folder` with these parameters; the same bytes each time. InputError names the cell that
    fails."""
    with tempfile.TemporaryDirectory() as scratch:
        # the kernel looks for matplotlib's list of fonts here, and where it must search for them it may complain
        fonts = f"{scratch}/fontlist-v{font_manager.FontManager.__version__}.json"
        font_manager.json_dump(font_manager.fontManager, fonts)
        # sockets in a folder of its own need no free port; a fresh IPython folder holds no start-up files of the user's
        sockets = {"transport": "ipc", "connection_file": f"{scratch}/kernel.json"}
        kernel = {
            "kernel_manager_class": _ThisInterpreter,
            "resources": {"metadata": {"path": folder}},  # where it starts; papermill's own way moves this process too
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
        name = "share/jupyter/nbconvert/templates/basic/index.html.j2"
        delivered = next(file for file in importlib.metadata.files("nbconvert") if file.as_posix().endswith(name))
        return [str(Path(delivered.locate()).resolve().parents[3])]


def index_page(
    notebooks: dict[str, NotebookNode],
    viewer: dict,
    results: list[Result],
    answer: Sequence[Line],
    picture: Captioned | None,
    left_out: Sequence[LeftOut] = (),
) -> str:
    """reports/index.html: the answer (`summary.answer`), a picture, the words that all below uses, the viewer with its
    data (`viewer.viewer_data`), then the notebooks' text and outputs."""
    notice = ""
    if left_out:
        lines = "\n".join(f"<li>{html.escape(text)}</li>" for text in reasons(left_out))
        counted = f"{count_text(left_out, results)} <code>{html.escape(COMMAND)}</code> makes the results of one."
        notice = f'<div class="notice"><p>{counted}</p>\n<ul>\n{lines}\n</ul></div>'
    parts = ["<h2>Did it work?</h2>", _definitions(answer), _figure(picture) if picture else "", notice]
    answered = "\n".join(['<section id="answer">', *filter(None, parts), "</section>"])
    words = f'<section id="words">\n<h2>Words</h2>\n{_definitions(WORDS["glossary"].items())}\n</section>'
    opening = f"<p>{INTRODUCTION}</p>\n<p>{OWN_LINK}</p>"
    # a closing tag inside the data would end the script that holds it
    data = json.dumps(viewer, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    script = f'<script type="application/json" id="viewer-data">{data}</script>\n'
    script += f"<script>\n{delivered('viewer.js')}</script>"
    of_notebooks = (section(name, notebook) for name, notebook in notebooks.items())
    return _page(opening, [answered, words, delivered("viewer.html"), *of_notebooks], script)


def _definitions(lines: Iterable[tuple[str, str]]) -> str:
    """Labels and their sentences as an HTML list."""
    items = (f"<dt>{html.escape(label)}</dt><dd>{html.escape(text)}</dd>" for label, text in lines)
    return "<dl>\n{}\n</dl>".format("\n".join(items))


def _figure(picture: Captioned) -> str:
    data = base64.b64encode(png_bytes(picture.figure)).decode()
    image = f'<img src="data:image/png;base64,{data}" alt="{html.escape(picture.alt)}">'
    return f'<figure class="output_png">{image}<figcaption>{html.escape(picture.caption)}</figcaption></figure>'


def own_experiment_page(results: list[Result], experiments: dict[str, Experiment]) -> str:
    """reports/own_experiment.html: your experiment beside the paper's number and the grid's models like it.

    `results`: of your experiment, one for each set that it is tested on. `experiments`: the grid. Shown are its rows of
    the same task, variant and test subject that have results, unless they were tested on other data, as when only your
    experiment ran on hands of your own. InputError as of `executed_notebooks`.
    """
    sections = []
    for own in results:
        keys = ("dataset", "input", "variant", "invariances", "encoder", "label_fraction", "recipe", "profile")
        settings = {key: getattr(own, key) for key in keys}
        parameters = {
            "reports": str(REPORTS),
            "dataset": "" if own.group == "/" else own.dataset,
            "settings": settings | ({"trained on": own.trained_on} if own.of_two_sets else {}),
            "data": own.data,
            "kind": own.provenance,
            "grid": [name for name, row in experiments.items() if _is_like(own, name, row)],
            "paper_mm": {} if own.provenance == "other data" or own.validation else own.printed_mm,
        }
        notebook = executed(NOTEBOOKS / "own_experiment.ipynb", parameters)
        sections.append(section("own" if own.group == "/" else f"own-{own.dataset}", notebook))
    opening = '<p><a href="index.html">All results</a></p>'
    # of the published set nothing: an experiment with `validation` is not scored on its test images
    if other := [result for result in results if not result.published]:
        opening += f'\n<p class="notice">{html.escape(summary.data_text(other))}</p>'
    return _page(opening, sections)


def _is_like(own: Result, name: str, row: Experiment) -> bool:
    """Whether a row of the grid can stand beside your experiment.

    The mean pose's error tells sets apart, but it is of the labelled samples and, under S, of scaled hands: where an
    experiment differs in these, the number of test frames must do.
    """
    like = (own.trained_on or own.dataset, own.input, own.variant, own.test_subject, own.validation)
    if (row.dataset, row.input, row.variant, row.test_subject or "", row.validation) != like:
        return False
    metrics = REPORTS / "metrics" / f"{name}.json"
    files = (metrics, metrics.with_name(f"{name}_pck.csv"), TRAINING / f"{name}.csv")
    if not all(path.exists() for path in files):
        return False
    numbers = json.loads(metrics.read_text())
    numbers = numbers.get(own.dataset, numbers)
    same_mean = (row.label_fraction, "S" in row.invariances) == (own.label_fraction, "S" in own.invariances)
    return all(numbers[key] == own.metrics[key] for key in ["frames"] + ["mean_pose_epe_mm"] * same_mean)


def section(name: str, notebook: NotebookNode) -> str:
    """A notebook as one section: text and outputs, no code; its headings one level down, with ids of their own."""
    slugs: list[str] = []

    def heading(match: re.Match) -> str:
        level, text = int(match[1]) + 1, match[2]
        slug = re.sub(r"[^a-z0-9]+", "-", html.unescape(f"{name} {text}").lower()).strip("-")
        slugs.append(slug)
        again = f"-{slugs.count(slug)}" if slugs.count(slug) > 1 else ""
        return f'<h{level} id="{slug}{again}">{text}</h{level}>'

    without = ("exclude_input", "exclude_input_prompt", "exclude_output_prompt", "exclude_anchor_links")
    exporter = _DeliveredTemplates(template_name="basic", **dict.fromkeys(without, True))
    body = exporter.from_notebook_node(notebook)[0]
    body = re.sub(r' id="cell-id=[^"]*"', "", body)  # the same in every notebook
    body = re.sub(r"<h([1-5])[^>]*>(.*?)</h\1>", heading, body)
    return f'<section id="{name}">\n{body}\n</section>'


def _page(opening: str, sections: list[str], script: str = "") -> str:
    """The page, whose contents link to the sections and to those of their parts that have an id."""
    items = []
    for text in sections:
        anchor, title = re.search(r'<section id="(.*?)".*?<h2.*?>(.*?)</h2>', text, re.DOTALL).groups()
        parts = re.findall(r'<h3 id="(.*?)">(.*?)</h3>', text)
        inner = "".join(f'<li><a href="#{slug}">{part}</a></li>' for slug, part in parts)
        items.append(f'<li><a href="#{anchor}">{title}</a><ol>{inner}</ol></li>')
    return Template(delivered("page.html")).substitute(
        title=TITLE,
        style=delivered("page.css"),
        contents=f"<ol>{''.join(items)}</ol>",
        body="\n".join([opening, *sections]),
        script=script,
    )
