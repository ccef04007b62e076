"""The notebooks, run on fabricated reports, and the pages made of them."""

import dataclasses
import html
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import bs4
import nbformat
import pandas as pd
import pytest
from matplotlib.figure import Figure

from handvae.base import params
from handvae.base.errors import InputError
from handvae.report import pages, style
from handvae.report.notebooks import executed
from tests.conftest import REPOSITORY
from tests.fabricated import predicted

REPORT = ("tables", "curves", "latent_space", "predictions")
FIGURES = {"fig04a": "Figure 4a: PCK on RHD", "fig10b": "Figure 10b: predictions on RHD"}
GRID = {
    "rhd-rgb-v1": params.Experiment("rhd", "rgb", 1, "T+S+H", "resnet18", 0, None, 1.0, 0.0, "ours", "proportional"),
    "rhd-2d-v3": params.Experiment(
        "rhd", "joints_2d", 3, "T+S+H", "resnet18", 0, None, 1.0, 0.0, "ours", "proportional"
    ),
}
METRICS = {"epe_mean_mm": 48.5027, "epe_mean_mm_low": 47.4, "epe_mean_mm_high": 49.6, "epe_median_mm": 47.0683}
METRICS |= {"auc_20_50": 0.347, "auc_21_50": 0.355, "mean_pose_epe_mm": 76.4, "frames": 300}


def write_reports(folder):
    """What the other stages leave in reports/, in small."""
    for part in ("tables", "figures", "metrics", "training"):
        (folder / part).mkdir(parents=True)
    (folder / "tables/tables.md").write_text(
        "# Tables\n\nErrors in mm.\n\n## Table 1\n\n| | RHD |\n| --- | --- |\n| Var. 1 | 48.50 |\n"
    )
    for name in ("table1", "table2", "table5", "table6", "depth"):
        pd.DataFrame({"task": ["RGB->3D RHD"], "verdict": ["not comparable (synthetic)"]}).to_csv(
            folder / f"tables/{name}.csv"
        )
    (folder / "tables/parameters_layers.csv").write_text("network,layer,parameters\nRGB encoder,conv1,9408\n")
    (folder / "tables/claims.md").write_text("| claim | verdict |\n| --- | --- |\n| variants differ little | holds |\n")
    for name in FIGURES:
        (folder / f"figures/{name}.png").write_bytes(style.png_bytes(Figure(figsize=(2, 1))))
    for name in ("", *GRID):
        metrics, training = (f"metrics/{name}", f"training/{name}") if name else ("metrics", "training")
        (folder / f"{metrics}.json").write_text(json.dumps(METRICS))
        (folder / f"{metrics}_pck.csv").write_text("threshold_mm,pck\n0.0,0.0\n50.0,0.6\n")
        terms = "rgb->joints_3d_reconstruction,rgb->joints_3d_kl"
        (folder / f"{training}.csv").write_text(f"step,loss,{terms}\n8,60.0,50.0,30.0\n16,50.0,40.0,25.0\n")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    write_reports(folder / "reports")
    (folder / "notebooks").mkdir()
    for path in (REPOSITORY / "notebooks").glob("*.ipynb"):
        (folder / "notebooks" / path.name).write_bytes(path.read_bytes())
    # a kernel of the same name that does not start: the notebooks must not use it
    kernel = folder / "elsewhere/kernels/python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps({"argv": ["/none"], "display_name": "x", "language": "python"}))
    return folder


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project)
    monkeypatch.setenv("JUPYTER_PATH", str(project / "elsewhere"))
    return project


def texts(notebooks):
    return {name: nbformat.writes(notebook) for name, notebook in notebooks.items()}


def shown(notebook):
    """A notebook's section as a reader sees it: without tags and pictures."""
    return re.sub(r"<[^>]*>", " ", pages.section("x", notebook))


LOUD = """
text.usetex: True
font.family: monospace
font.size: 30
savefig.dpi: 10
savefig.bbox: tight
figure.facecolor: black
axes.prop_cycle: cycler('color', ['ff0000'])
lines.linewidth: 9
"""
WRITE = """
import sys
from pathlib import Path
from handvae.report import pages, style
from handvae.report.notebooks import executed
from tests import test_pages, test_style

folder = Path(sys.argv[1])
for name in ("curves_figure", "predictions_figure"):
    (folder / f"{name}.png").write_bytes(style.png_bytes(getattr(test_style, name)()))
found = pages.executed_notebooks(test_pages.GRID, test_pages.FIGURES)
found["own"] = executed(Path("notebooks/own_experiment.ipynb"), {})
for name, text in test_pages.texts(found).items():
    (folder / f"{name}.ipynb").write_text(text)
    (folder / f"{name}.html").write_text(pages.section(name, found[name]))
"""


def loud_settings(folder):
    """A user's settings for his own work, which must change nothing here; the variables that name them."""
    for part in ("", "stylelib/", "other/", "ipython/profile_default/startup/", "jupyter/nbconvert/templates/basic/"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "matplotlibrc").write_text(LOUD)
    (folder / "other/matplotlibrc").write_text(LOUD)
    (folder / "stylelib/tableau-colorblind10.mplstyle").write_text(LOUD)
    start = "get_ipython().ast_node_interactivity = 'all'"
    (folder / "startup.py").write_text(start)
    (folder / "ipython/profile_default/startup/00.py").write_text(start)
    (folder / "ipython/profile_default/ipython_config.py").write_text("c.InlineBackend.figure_formats = {'svg'}")
    (folder / "jupyter/nbconvert/templates/basic/index.html.j2").write_text("mine")
    (folder / "jupyter/nbconvert/templates/basic/conf.json").write_text("{}")
    return {
        **{"MPLCONFIGDIR": str(folder), "MATPLOTLIBRC": str(folder / "other"), "MPLBACKEND": "Qt4Agg"},
        **{"PYTHONSTARTUP": str(folder / "startup.py"), "PYTHONWARNINGS": "always"},
        **{"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_PATH": str(folder / "jupyter")},
    }


def test_no_setting_of_the_users_changes_a_figure_or_a_notebook(project, tmp_path):
    written = []
    for settings in ({}, loud_settings(tmp_path / "loud")):
        folder = tmp_path / str(len(written))
        folder.mkdir()
        if settings:
            (project / "matplotlibrc").write_text(LOUD)  # in the working folder it is read before all others
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **settings}
        command = [sys.executable, "-c", WRITE, str(folder)]
        result = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
        (project / "matplotlibrc").unlink(missing_ok=True)
        assert result.returncode == 0, result.stderr
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert len(written[0]) == 2 + 2 * 5
    assert [name for name, content in written[0].items() if written[1][name] != content] == []


@pytest.mark.parametrize("name", [*REPORT, "own_experiment"])
def test_the_committed_notebooks_have_no_outputs_and_one_cell_of_parameters(name):
    notebook = json.loads((REPOSITORY / f"notebooks/{name}.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert [cell["metadata"].get("tags") for cell in code].count(["parameters"]) == 1
    assert notebook["cells"][0]["source"][0].startswith("# ")
    assert "handvae" not in str(code)  # it reads files and shows them


def test_the_notebooks_show_the_reports_and_have_the_same_bytes_twice(here, capfd):
    first = pages.executed_notebooks(GRID, FIGURES)
    assert tuple(first) == REPORT
    for name, text in texts(first).items():
        assert str(here) not in text and not re.search(r" at 0x|\d{4}-\d\d-\d\dT", text), name
    assert re.search(r"Var\. 1\s+48\.50", shown(first["tables"])) and "48.503" in shown(first["tables"])
    assert "RGB->3D RHD" in str(first["curves"]["cells"]) and "Figure 4a" in shown(first["curves"])
    assert "variants differ little" in shown(first["latent_space"])
    pictures = {name: pages.section(name, notebook).count("data:image/png;base64") for name, notebook in first.items()}
    assert pictures == {"tables": 0, "curves": 2, "latent_space": 0, "predictions": 1}
    assert texts(pages.executed_notebooks(GRID, FIGURES)) == texts(first)
    assert capfd.readouterr() == ("", "")


def test_figures_that_the_grid_does_not_make_are_named_and_left_out(here):
    (here / "reports/figures/fig12.png").write_bytes(b"left by an older version")
    text = shown(executed(here / "notebooks/predictions.ipynb", {"reports": "reports", "figures_made": FIGURES}))
    (here / "reports/figures/fig12.png").unlink()
    assert "Figure 10b" in text and "Figure 12" not in text and "no model for them: figure 10a, figure 12" in text


def test_a_failing_notebook_is_named_with_its_cell(here):
    (here / "reports/tables/claims.md").rename(here / "claims.md")
    with pytest.raises(InputError, match=r"notebooks/latent_space\.ipynb: cell \d+: FileNotFoundError: .*claims\.md"):
        pages.executed_notebooks(GRID, FIGURES)
    (here / "claims.md").rename(here / "reports/tables/claims.md")


def test_every_notebook_runs_by_hand_in_its_own_folder_as_it_is(here, monkeypatch):
    monkeypatch.chdir(here / "notebooks")  # where Jupyter starts a kernel; the stage starts it at the root
    with ThreadPoolExecutor(pages.KERNELS) as pool:
        notebooks = pool.map(lambda name: executed(here / f"notebooks/{name}.ipynb", {}), (*REPORT, "own_experiment"))
        pictures = [pages.section("x", notebook).count("data:image/png;base64") for notebook in notebooks]
    assert pictures == [0, 2, 0, 1, 1]


def notebook(*markdown):
    cells = [*(nbformat.v4.new_markdown_cell(text) for text in markdown), nbformat.v4.new_code_cell("secret = 1")]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:02d}"
    return nbformat.v4.new_notebook(cells=cells)


def test_a_section_has_its_headings_one_level_down_with_ids_of_their_own_and_no_code():
    text = pages.section("curves", notebook("# Curves", "## RHD & STB: a", "## RHD & STB: a", "### Deeper"))
    assert re.findall(r'<h(\d) id="(.*?)">(.*?)</h\d>', text) == [
        ("2", "curves-curves", "Curves"),
        ("3", "curves-rhd-stb-a", "RHD &amp; STB: a"),
        ("3", "curves-rhd-stb-a-2", "RHD &amp; STB: a"),
        ("4", "curves-deeper", "Deeper"),
    ]
    assert "secret" not in text and text.startswith('<section id="curves">')


def index(results=()):
    data = {"predictions": [], "walks": None, "x": "</script>"}
    books = {name: notebook(f"# {name}", "## One", "## Two") for name in REPORT}
    return pages.index_page(books, data, list(results))


def test_the_page_needs_nothing_else_and_its_contents_lead_somewhere():
    page = index()
    assert not re.search(r"<(link|iframe)|(src|href)=[\"']?(https?:)?//|@import|url\(", page)
    ids = re.findall(r'\bid="(.*?)"', page)
    assert len(ids) == len(set(ids))
    links = re.findall(r'href="#(.*?)"', page)
    assert len(links) == 1 + 3 * len(REPORT) and set(links) <= set(ids)
    assert re.findall(r'href="([^#].*?)"', page) == ["own_experiment.html"]
    assert page.count("<h1") == page.count("</html>") == 1 and page.count("</script>") == 3
    assert "$" not in re.sub(r"(?s)<script>.*?</script>", "", page)  # nothing of the template is left
    assert index() == page


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([(True, False)], "RHD were measured on synthetic hands"),
        ([(True, False), (False, True)], "RHD were measured on synthetic hands"),
        ([(False, False)], "RHD were measured on other images than the published ones"),
        ([(False, True)], None),
    ],
)
def test_the_page_says_what_numbers_on_other_data_cannot_mean(facts, expected):
    results = [
        SimpleNamespace(experiment="x", dataset="stb" if published else "rhd", synthetic=synthetic, published=published)
        for synthetic, published in facts
    ]
    page = index(results)
    assert expected in page if expected else "Not the paper" not in page


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (("rhd", "rgb", 1, "T+S+H"), {"epe_mean_mm": 19.73, "epe_median_mm": 16.74}),
        (("stb", "rgb", 3, "T+S"), {"epe_mean_mm": 10.16, "epe_median_mm": 9.11}),
        (("rhd", "joints_2d", 4, "T+S+H"), {"epe_mean_mm": 17.63, "epe_median_mm": 14.83}),
        (("rhd", "rgb", 4, "T"), {}),  # fewer invariances: of the best variant only
        (("rhd", "rgb", "cross", "T+S+H"), {}),
        (("stb", "joints_2d", 1, "T+S+H"), {}),
        (("icvl", "depth", 1, "T+H"), {"epe_mean_mm": 8.5}),
        (("nyu", "depth", 1, "T+H"), {}),
    ],
)
def test_an_experiment_stands_beside_what_the_paper_prints_for_its_settings(tmp_path, settings, expected):
    dataset, input_, variant, invariances = settings
    result = predicted(tmp_path, dataset, input_, 20, variant=variant)
    assert dataclasses.replace(result, invariances=invariances).printed_mm == expected


def same_data(own):
    """Tested on what the grid of `write_reports` was tested on."""
    return dataclasses.replace(own, metrics=own.metrics | {key: METRICS[key] for key in ("frames", "mean_pose_epe_mm")})


def test_your_own_experiments_page_compares_it_with_the_grid_and_the_paper(here, tmp_path):
    own = same_data(predicted(tmp_path, "rhd", "rgb", 20))
    page = pages.own_experiment_page([own], GRID)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))
    assert "epe_mean_mm 48.503 48.503 19.730" in text and "rhd-rgb-v1" in text and "rhd-2d-v3" not in text
    assert "yours, synthetic" in text and "Not the paper's data: the numbers of RHD" in text
    assert page.count("data:image/png;base64") == 1 and 'id="viewer-data"' not in page and "0x" not in text
    assert pages.own_experiment_page([own], GRID) == page


def test_rows_of_the_grid_without_results_do_not_stand_beside_yours(here, tmp_path):
    own = same_data(predicted(tmp_path, "rhd", "rgb", 20))
    for place, lacking in enumerate(("metrics/{}.json", "metrics/{}_pck.csv", "training/{}.csv")):
        parts = [path.relative_to(here / "reports") for path in (here / "reports").rglob("rhd-rgb-v1*")]
        for path in parts:
            other = here / "reports" / str(path).replace("rhd-rgb-v1", f"row-{place}")
            other.write_bytes((here / "reports" / path).read_bytes())
        (here / "reports" / lacking.format(f"row-{place}")).unlink()
    grid = GRID | {f"row-{place}": GRID["rhd-rgb-v1"] for place in range(4)}
    page = pages.own_experiment_page([own], grid)
    for path in (here / "reports").rglob("row-*"):
        path.unlink()
    assert "rhd-rgb-v1" in page and "row-" not in page


HOSTILE = r"_a <b>x</b> & | *y* $\frac{$ 5 % `c` \[z\] </script> [l](u)"


def text_of(page):
    """What a page says, and the tags in its body, but for the script that holds data."""
    soup = bs4.BeautifulSoup(page, "html.parser")
    for script in soup.find_all(["script", "style"]):
        script.decompose()
    return " ".join(soup.get_text().split()), {tag.name for tag in soup.find_all()}


def test_names_that_users_chose_are_shown_as_they_are(here, tmp_path):
    own = same_data(predicted(tmp_path, "rhd", "rgb", 20))
    name = HOSTILE.replace("/", " ")  # it names files
    for folder, end in (("metrics", ".json"), ("metrics", "_pck.csv"), ("training", ".csv")):
        (here / f"reports/{folder}/{name}{end}").write_text((here / f"reports/{folder}/rhd-rgb-v1{end}").read_text())
    page = pages.own_experiment_page(
        [dataclasses.replace(own, source=f"{HOSTILE}\nb", profile=HOSTILE)], {name: GRID["rhd-rgb-v1"]}
    )
    text, tags = text_of(page)
    assert f"Data: RHD: {HOSTILE} b; profile {HOSTILE}; " in text and f"profile {HOSTILE} Data" in text
    assert f"yours, synthetic {name} the paper" in text and page.count("data:image/png;base64") == 1
    assert "b" not in tags and "em" not in tags
    notebook = pages.executed_notebooks({name: GRID["rhd-rgb-v1"]}, {"fig04a": HOSTILE})
    for folder, end in (("metrics", ".json"), ("metrics", "_pck.csv"), ("training", ".csv")):
        (here / f"reports/{folder}/{name}{end}").unlink()
    text, tags = text_of(pages.index_page(notebook, {"predictions": [], "walks": None, "x": HOSTILE}, [own]))
    assert f" {name} 48.503" in text and "b" not in tags
    assert f'alt="{html.escape(HOSTILE)}"' in pages.section("curves", notebook["curves"])


def test_numbers_of_other_data_do_not_stand_beside_yours(here, tmp_path):
    own = same_data(predicted(tmp_path, "rhd", "rgb", 20))
    mine = dataclasses.replace(own, synthetic=False, metrics=own.metrics | {"mean_pose_epe_mm": 38.0})
    assert "19.730" in pages.own_experiment_page([own], GRID)
    page = pages.own_experiment_page([mine], GRID)
    assert "yours, other data" in page and "19.730" not in page and "rhd-rgb-v1" not in page
    few_labels = dataclasses.replace(own, label_fraction=0.1, metrics=own.metrics | {"mean_pose_epe_mm": 80.0})
    assert "rhd-rgb-v1" in pages.own_experiment_page([few_labels], GRID)
    unscaled = dataclasses.replace(few_labels, label_fraction=1.0, invariances="T+H")
    assert "rhd-rgb-v1" in pages.own_experiment_page([unscaled], GRID)
    held_out = dataclasses.replace(own, validation=0.2)  # of as many rows as the test split
    assert "rhd-rgb-v1" not in pages.own_experiment_page([held_out], GRID)
    assert "19.730" not in pages.own_experiment_page([held_out], GRID)
    other_frames = dataclasses.replace(few_labels, metrics=few_labels.metrics | {"frames": 57})
    assert "rhd-rgb-v1" not in pages.own_experiment_page([other_frames], GRID)


def test_an_experiment_on_two_sets_has_a_part_for_each(here, tmp_path):
    own = predicted(tmp_path, "rhd", "rgb", 20)
    of_sets = {"rhd": METRICS, "stb": METRICS | {"epe_mean_mm": 31.25}}
    (here / "reports/metrics.json").write_text(json.dumps(of_sets))
    curves = pd.DataFrame({"threshold_mm": [0, 50], "pck_rhd": [0.0, 0.5], "pck_stb": [0.0, 0.7]})
    curves.to_csv(here / "reports/metrics_pck.csv", index=False)
    both = [
        dataclasses.replace(
            own, dataset=dataset, group=dataset, trained_on="rhd+stb", metrics=of_sets[dataset], invariances="T"
        )
        for dataset in of_sets
    ]
    page = pages.own_experiment_page(both, GRID)
    assert 'id="own-rhd"' in page and 'id="own-stb"' in page and "48.503" in page and "31.250" in page
    assert "trained on <code>rhd+stb</code>" in page and page.count("data:image/png;base64") == 2
