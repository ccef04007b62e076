"""The report stage on fabricated predictions, metrics and images: all its outputs, and what it refuses."""

import dataclasses
import functools
import html
import json
import re
import shutil
from types import SimpleNamespace

import bs4
import h5py
import numpy as np
import pandas as pd
import pytest
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from handvae.base import atomic, params
from handvae.base.errors import InputError
from handvae.evaluation import statistics
from handvae.model.settings import settings_of
from handvae.report.predictions import expected_of
from stages import report
from tests import fabricated
from tests.conftest import REPOSITORY
from tests.fabricated import FRAMES

HISTORY = "step,{pair}_reconstruction,{pair}_kl,loss\n8,2.0,1.0,2.01\n16,1.0,2.0,1.02\n"
SOURCE = "synthetic hands, 48 training and 21 test images"
LOADED = params.load(REPOSITORY / "params.yaml")
paper_modules = functools.cache(report.networks.paper_modules)


GRID = {name: LOADED.experiments[name] for name in ("rhd-rgb-v1", "rhd-rgb-v2", "rhd-2d-v3")}
ERRORS_MM = {"rhd-rgb-v1": 30, "rhd-rgb-v2": 20, "rhd-2d-v3": 10}


def write_experiment(name, row, error_mm, **changes):
    """A row's predictions, metrics and losses: joints are off by about `error_mm`, hidden ones by a mile.

    `changes`: of the attributes by which evaluate says of what settings and data they are.
    """
    made = fabricated.predicted(
        report.PROCESSED, row.dataset, row.input, error_mm, variant=row.variant, encoder=row.encoder
    )
    loaded = dataclasses.replace(LOADED, experiments={name: row})
    trained_by = json.dumps(settings_of(loaded, name).as_dict(), sort_keys=True)
    facts = {"settings": trained_by, "source": SOURCE, "synthetic": True, "published": False}
    samples, block = np.array([0, 3, 5, 8]), np.arange(FRAMES)
    with h5py.File(made.predictions, "r+") as file:
        file.attrs.update(expected_of(name, row, "small", row.dataset) | facts | changes)
        keys = ("joints_pred_mm", "joints_true_mm", "mean_pose_mm", "visible")
        pred_mm, true_mm, mean_pose_mm, visible = (file[key][:] for key in keys)
        file["latent/posterior_row"], file["latent/posterior_spread_mm"] = samples, np.ones(visible.shape)
        file["latent/posterior_joints_mm"] = pred_mm[samples, None] + np.arange(5)[:, None, None]
    if row.input == "depth":
        numbers = statistics.summarise_depth([pred_mm], true_mm, mean_pose_mm, block, seed=0)
    else:
        numbers = statistics.summarise([pred_mm], true_mm, visible, mean_pose_mm, block, 0)
    report.PREDICTIONS.mkdir(parents=True, exist_ok=True)
    made.predictions.rename(report.PREDICTIONS / f"{name}.h5")
    atomic.write_text(report.TRAINING / f"{name}.csv", HISTORY.format(pair=f"{row.input}->joints_3d"))
    atomic.write_text(report.METRICS / f"{name}.json", json.dumps(numbers))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the stage's inputs, in which the stage runs."""
    monkeypatch.chdir(tmp_path)
    settings = SimpleNamespace(**vars(LOADED), pairs=LOADED.pairs, training=LOADED.training)
    settings.experiments = dict(GRID)
    settings.data = dict.fromkeys(LOADED.data, SimpleNamespace(source="synthetic", references={}))
    settings.experiment = lambda name: settings.experiments[name]
    settings.models_of = lambda name: params.Params.models_of(settings, name)
    monkeypatch.setattr(report.params, "load", lambda: settings)
    monkeypatch.setattr(report.networks, "paper_modules", paper_modules)
    shutil.copytree(REPOSITORY / "notebooks", tmp_path / "notebooks")
    fabricated.write_processed(report.PROCESSED, "rhd", source=SOURCE)
    for name, row in GRID.items():
        write_experiment(name, row, ERRORS_MM[name])
    return SimpleNamespace(folder=tmp_path, settings=settings)


@pytest.fixture
def without_notebook(monkeypatch):
    """For tests of neither notebooks nor pictures, which take seconds to run and to draw."""
    monkeypatch.setattr(report.pages, "executed_notebooks", lambda *_: {})
    monkeypatch.setattr(report.style, "png_bytes", lambda figure: figure.get_suptitle().encode())


def outputs(*parts):
    paths = (path for part in parts for path in sorted([report.Path(part), *report.Path(part).rglob("*")]))
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


def rows_left_out(project):
    """Why each row that is left out is left out."""
    folders = report.PREDICTIONS, report.METRICS, report.TRAINING, report.PROCESSED
    return {row.experiment: row.why for row in report.grid_results.read_grid(project.settings, *folders)[1]}


def test_the_stage_writes_every_declared_file_and_the_same_bytes_twice(project, monkeypatch, capfd):
    report.main()
    tables, figures, rest = map(outputs, ("reports/tables", "reports/figures", "reports/notebooks"))
    papers = [f"table{number}" for number in (1, 2, 5, 6)] + ["depth", "parameters", "semi_supervised", "beyond"]
    names = [f"{name}.{kind}" for name in papers for kind in ("csv", "tex")]
    names += ["claims.csv", "claims.md", "paired.csv", "paired.md", "captions.json", "parameters_layers.csv"]
    names += ["summary.md", "tables.md"]
    assert {*tables} == {f"reports/tables/{name}" for name in names}
    drawn = ["fig04a", "fig10b", "fig11"]
    assert [*figures] == [f"reports/figures/{name}.png" for name in drawn]
    captions = json.loads(tables["reports/tables/captions.json"])
    assert list(captions) == drawn and all(set(words) == {"title", "caption", "alt"} for words in captions.values())
    notebooks = ("claims", "curves", "latent_space", "lists", "predictions", "tables")
    assert [*rest] == [f"reports/notebooks/{name}.ipynb" for name in notebooks]
    printed = capfd.readouterr()
    assert [line.split(":")[0] for line in printed.out.splitlines()] == ["report"] * 3 and printed.err == ""
    page = report.PAGE.read_text()
    for part in ("Table 1", "Table 5", "12,398,387", "paper 19.73", "RGB-&gt;3D RHD, synthetic", "rhd-2d-v3"):
        assert part in page
    opening = bs4.BeautifulSoup(page, "html.parser").find(id="answer")
    said = [entry.get_text() for entry in opening.find_all("dt")]
    assert said == ["In short", "What ran", "Data", "RGB image -> 3D", "2D joints -> 3D", "Claims"]
    assert opening.find("img")["alt"] == captions["fig10b"]["alt"]
    metrics = json.loads((report.METRICS / "rhd-2d-v3.json").read_text())
    ours = [f"{metrics[key]:.2f}" for key in ("epe_mean_mm", "epe_mean_mm_low", "epe_mean_mm_high")]
    assert f"\n2D->3D RHD,3,T+S+H,rhd,rhd-2d-v3,{','.join(ours)},1,17.14," in (report.TABLES / "table1.csv").read_text()
    departures = "Profile small augments otherwise than the paper. RGB: flip two_sided (the paper: always); "
    for text in (page, tables["reports/tables/tables.md"].decode()):
        assert departures in html.unescape(text)
    assert all(str(project.folder).encode() not in text for text in (page.encode(), *tables.values(), *rest.values()))
    monkeypatch.setattr(report.pages, "executed_notebooks", lambda *_: {})  # test_pages runs them twice
    report.main()
    assert outputs("reports/tables", "reports/figures") == tables | figures


def test_a_removed_experiment_leaves_no_row_though_its_files_remain(project, without_notebook):
    del project.settings.experiments["rhd-rgb-v2"]
    report.FIGURES.mkdir(parents=True)
    (report.FIGURES / "fig99.png").write_bytes(b"left by an older version")
    report.main()
    assert pd.read_csv("reports/tables/table1.csv")["experiment"].tolist() == ["rhd-2d-v3", "rhd-rgb-v1"]
    assert all(b"rhd-rgb-v2" not in text for text in outputs("reports/tables").values())
    left = [path for path in project.folder.rglob("*") if "rhd-rgb-v2" in path.name or path.name == "fig99.png"]
    assert left == []


HOSTILE = r"a <b>x</b> & | *y* $\frac{$ 5 % `c` \[z\] [l](u) #^{"


def test_names_that_users_chose_are_shown_as_they_are_wherever_they_stand(project, without_notebook):
    source, names = f"{HOSTILE}\nb (RHD's layout)", [f"_{HOSTILE}".replace("/", " "), "rhd-rgb-v1"]
    project.settings.experiments = dict.fromkeys(names, GRID["rhd-rgb-v1"])  # of one cell, which then names both
    fabricated.write_processed(report.PROCESSED, "rhd", source=source)
    for name, error_mm in zip(names, (30, 60), strict=True):
        write_experiment(name, GRID["rhd-rgb-v1"], error_mm, source=source)
    report.main()
    for file, texts in (("tables.md", [source, *names]), ("claims.md", [source, names[0]])):
        page = bs4.BeautifulSoup(markdown2html_mistune((report.TABLES / file).read_text()), "html.parser")
        said = " ".join(page.get_text(" ").split())
        assert all(" ".join(text.split()) in said for text in texts), file
        assert not {tag.name for tag in page.find_all()} & {"b", "em"} and not page.find_all("a", href="u")
        assert {tag.get_text() for tag in page.find_all("code")} <= {"evaluation.block_frames"}  # of our own words
    in_latex = r"\_a \textless{}b\textgreater{}x\textless{} b\textgreater{} \& \textbar{} *y* \$\textbackslash{}frac\{"
    assert rf"{in_latex}\$ 5 \%" in (report.TABLES / "table1.tex").read_text()
    assert names[0] in pd.read_csv("reports/tables/table1.csv")["experiment"].tolist()


def test_a_broken_input_is_named_and_earlier_outputs_stay_whole(project, without_notebook):
    report.main()
    before, path = outputs("reports"), report.PROCESSED / "rhd.h5"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=re.escape(str(path))):
        report.main()
    assert outputs("reports") == before and not list(project.folder.rglob("*.partial"))


def test_rows_without_results_are_left_out_and_named(project, capfd):
    for folder in (report.PROCESSED, report.PREDICTIONS, report.METRICS, report.TRAINING):
        shutil.rmtree(folder)
        folder.mkdir()
    project.settings.experiments = grid = LOADED.experiments
    fabricated.write_processed(report.PROCESSED, "icvl", source=SOURCE)
    write_experiment("icvl-resnet18", grid["icvl-resnet18"], 12)
    report.main()
    lacking = [name for name in grid if name != "icvl-resnet18"]
    (said,) = re.findall(r"report: (.* rows left out: .*); `python -m stages.grid", capfd.readouterr().out)
    assert said.startswith(f"{len(lacking)} of {len(grid)} rows left out: ") and "STB, no results: stb-rgb-v1, " in said
    page = bs4.BeautifulSoup(report.PAGE.read_text(), "html.parser").get_text()
    tables = (report.TABLES / "tables.md").read_text()
    for text in (said, page, tables):
        assert all(re.search(rf"\b{name}(?![\w-])", text) for name in lacking)
    assert all(f"{len(lacking)} of the grid's {len(grid)} rows are left out" in text for text in (page, tables))
    assert "icvl-resnet18" in page.split("All metrics")[1]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"source": "RHD_v1 <b>"}, f"results of RHD_v1 <b> where data/processed/rhd.h5 has {SOURCE}"),
        ({"synthetic": False}, f"results of {SOURCE} where params.yaml has another source"),
        ({"settings": "{}"}, "results of another training, loss or augmentation than params.yaml has"),
        ({"recipe": "original"}, "results of recipe 'original' where params.yaml has 'ours'"),
    ],
)
def test_results_of_other_settings_and_other_data_are_left_out(project, changes, why):
    write_experiment("rhd-rgb-v1", GRID["rhd-rgb-v1"], 30, **changes)
    assert rows_left_out(project) == {"rhd-rgb-v1": why}


def test_rows_of_another_recipe_seeds_or_a_held_out_part_do_not_stand_among_the_others(project):
    others = {"recipe": "original", "validation": 0.2}
    for key, value in others.items():
        row = dataclasses.replace(GRID["rhd-rgb-v1"], **{key: value})
        project.settings.experiments[key] = row
        write_experiment(key, row, 5)
    for variant in ("5", "laplace", "product", "maps"):  # of another recipe, which says nothing of the paper's variants
        row = dataclasses.replace(GRID["rhd-rgb-v1"], variant=variant, recipe="laplace")
        project.settings.experiments[variant] = row
        write_experiment(variant, row, 5)
    assert rows_left_out(project).keys() == others.keys()
    project.settings.repeated = {"rhd-rgb-v1"}  # at a profile that has one model of these rows too
    left_out = rows_left_out(project)
    assert left_out.keys() == others.keys() and left_out["recipe"].endswith("than most rows, ours: original")
    assert "not on the test split (validation)" in left_out["validation"]
    project.settings.profile = dataclasses.replace(project.settings.profile, repeated_seeds=3)
    seeds = "results of 1 seed(s) where params.yaml has 3"
    assert rows_left_out(project).items() - left_out.items() == {("rhd-rgb-v1", seeds)}
    project.settings.seeds = 3
    with pytest.raises(InputError, match=rf"found none \(.*{re.escape(seeds)}"):
        report.main()


def test_no_results_at_all_are_one_clear_error(project):
    shutil.rmtree(report.PREDICTIONS)
    message = r"^data/predictions: expected .* found none \(no results\); run `python -m stages\.grid"
    with pytest.raises(InputError, match=message):
        report.main()
    assert not report.Path("reports").exists()
    project.settings.experiments = {}
    with pytest.raises(InputError, match=r"expected the results of one row .* of params\.yaml's experiments"):
        report.main()


def test_a_failing_notebook_is_named_with_its_cell_and_writes_and_deletes_nothing(project):
    del project.settings.experiments["rhd-rgb-v2"]
    before = outputs("reports", "data")
    path = report.pages.NOTEBOOKS / "tables.ipynb"
    path.write_text(path.read_text().replace("tables.md", "tables.txt"))
    with pytest.raises(InputError, match=r"notebooks/tables\.ipynb: cell \d+: FileNotFoundError: .*tables\.txt"):
        report.main()
    assert outputs("reports", "data") == before
