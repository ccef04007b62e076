"""The reproduction report on fabricated tables: their numbers stand in it, and it says what the run can mean."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from handvae.report import paper, parameters, summary, tables_page
from handvae.report.claims import ABSENT, FAILS, HOLDS
from handvae.reproduction import artifacts, document
from stages import reproduction, run
from tests.conftest import REPOSITORY
from tests.test_comparison import FRAMES, hard_frames, write
from tests.test_semi_supervised import write_model
from tests.test_tables import icvl, numbers, result, seeds

COUNTS = {1: 12_398_387, 2: 13_512_679, 3: 13_233_054, 4: 14_347_346}
LAYERS = parameters.layer_table(
    {"RGB encoder": {"conv1.weight": (64, 3, 7, 7)}, "[38] PoseNet": {"a.weight": (21_394_529,)}}
)
SPREAD = {"posterior_spread_mm": np.full((FRAMES, 21), 2.0)}
NAMES = [*(f"{name}.csv" for name in artifacts.COLUMNS), "summary.md", "tables.md", "captions.json"]
# the kept runs that have what this version reads
COMMITTED = [path.parent for path in sorted(REPOSITORY.glob("re*/**/tables/summary.md"))]


def write_tables(folder, results, note=""):
    """What the report stage writes of these results, as far as the reproduction report reads it."""
    made = tables_page.tables_of(results, COUNTS, LAYERS)
    claims = tables_page.claims_table(results, COUNTS, made["paired"].frame)
    answer = summary.answer(
        results, made["depth"].frame, made["beyond"].frame, claims, "Profile small: images of 64 px."
    )
    texts = tables_page.texts_of(made) | {
        "claims.csv": tables_page.text.csv_table(claims),
        "summary.md": tables_page.summary_markdown(answer),
        "tables.md": tables_page.markdown_page(results, made, (), note),
        "captions.json": json.dumps({"fig04a": {"title": "Figure 4a: PCK on RHD"}}),
    }
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """2D->3D of three seeds, in which S alone is better than S and H; RGB, depth and few labels of one seed."""
    folder = tmp_path_factory.mktemp("predictions")
    lifting = ((1, "T+S+H", 0.0), (2, "T+S+H", 0.5), (3, "T+S+H", 0.2), (3, "T+S", -3.0))
    models = []
    for variant, invariances, more_mm in lifting:
        name = f"rhd-2d-v{variant}-{invariances}"
        path = write(folder / f"{name}.h5", 3 * [hard_frames() + more_mm])
        changes = {"invariances": invariances, "predictions": path, "metrics": numbers(20.13 + more_mm) | seeds()}
        models.append(result(name, "joints_2d", variant, **changes))
    path = write(folder / "rgb.h5", hard_frames(1), latent=(SPREAD,))
    models.append(result("rhd-rgb-v1", predictions=path, epe_mean_mm=31.57))
    models += [write_model(folder, variant, 0.1, hard_frames(2) + variant) for variant in (1, 3)]
    return [*models, icvl(folder / "icvl.h5", [10, 20, 61], sequences=[1, 1, 2])]


@pytest.fixture(scope="module")
def tables(tmp_path_factory, results):
    return write_tables(tmp_path_factory.mktemp("run") / "reports/tables", results, "Profile small augments otherwise.")


@pytest.fixture
def workspace(tmp_path, monkeypatch, tables):
    """A folder with these tables, in which the stage runs."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tables, reproduction.TABLES)


def page_of(folder):
    return document.text(artifacts.read(folder))


def part(page, heading):
    """What stands under a heading, down to the next of its level or above."""
    level = heading.partition(" ")[0]
    after = page.partition(f"\n{heading}")[2]
    assert after, heading
    return re.split(rf"\n#{{1,{len(level)}}} ", after)[0]


def decimals(text):
    """The numbers with a point; a sign that is not ASCII's is one too."""
    return {float(number) for number in re.findall(r"-?\d+\.\d+", text.replace("−", "-"))}


def test_the_numbers_are_those_of_the_files_and_all_of_the_mean_errors_are_there(tables):
    page = page_of(tables)
    written = decimals("".join(path.read_text() for path in tables.glob("*.csv")))
    baseline = {number for of_statistic in paper.BASELINE_MM.values() for number in of_statistic}
    shown = decimals(part(page, "## Results") + part(page, "## Claims"))
    assert len(shown) > 60 and shown <= written | baseline
    for name in ("table1", "table2", "depth"):
        frame = pd.read_csv(tables / f"{name}.csv")
        columns = [f"epe_mean_mm{end}" for end in ("", "_low", "_high")]
        assert set(frame[[*columns, "paper_epe_mean_mm"]].to_numpy().ravel()) <= shown
    assert "sd 1.25 over 3 seeds" in page and "Profile small augments otherwise." in page
    assert "images of 64 px" in part(page, "## Data and size") and "figures/fig04a.png" in page


def test_the_stage_writes_the_same_bytes_twice_and_other_bytes_of_another_number(workspace):
    reproduction.main()
    first = reproduction.PAGE.read_bytes()
    reproduction.main()
    assert reproduction.PAGE.read_bytes() == first and b"31.57" in first
    table = reproduction.TABLES / "table1.csv"
    table.write_text(table.read_text().replace("31.57", "31.58"))
    reproduction.main()
    assert b"31.57" not in reproduction.PAGE.read_bytes() and b"31.58" in reproduction.PAGE.read_bytes()


def refused():
    with pytest.raises(SystemExit) as ended:
        run(reproduction.main)
    assert "\n" not in ended.value.code and not reproduction.PAGE.exists()
    return ended.value.code


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_missing_or_broken_is_one_line(workspace, name):
    path = reproduction.TABLES / name
    path.write_text("[]" if name == "captions.json" else "a,b\n1,2\n")
    assert refused().startswith(f"error: {path}: expected ")
    path.write_text("")
    assert refused().startswith(f"error: {path}: expected ")
    path.unlink()
    said = f"error: {path}: expected a table of the report, found no file; `dvc repro --single-item --force report` "
    assert refused().startswith(said)


PAPERS = {"profile": "paper", "synthetic": False, "published": True, "source": "RHD"}


@pytest.mark.parametrize(
    ("changes", "lead", "size"),
    [
        ([{}], "none", "other"),
        ([{"synthetic": False}], "none", "other"),
        ([PAPERS | {"profile": "small"}], "size", "other"),
        ([PAPERS, {"profile": "paper", "dataset": "stb", "experiment": "stb"}], "some", "full"),
        ([PAPERS], "all", "full"),
    ],
)
def test_the_page_says_first_whether_the_papers_numbers_can_be_tested(tmp_path, changes, lead, size):
    path = write(tmp_path / "rgb.h5", hard_frames(), latent=(SPREAD,))
    models = [replace(result("rhd", predictions=path, epe_mean_mm=19.9), **change) for change in changes]
    page = page_of(write_tables(tmp_path / "tables", models))
    said = part(page, "## In short")
    assert said.strip().startswith(document.WORDS["lead"][lead].strip())
    opening = document.WORDS["size"][size].partition("{")[0].strip()
    assert opening in said and ("profile `small`, not of the paper's size" in said) == (models[0].profile == "small")
    compared = "as seen from ours: 1 inside interval." in page
    assert compared == (lead in ("all", "size", "some")) and compared == ("| inside interval |" in page)
    assert (document.WORDS["nothing_counted"] in page) != compared


def test_every_claim_stands_under_its_verdict(tables):
    claims, page = pd.read_csv(tables / "claims.csv"), part(page_of(tables), "## Claims")
    held, failed, untold, absent = (
        part(f"\n{page}", f"### {heading}") for heading in document.verdicts.HEADINGS.values()
    )
    assert "variants 1, 2, 3: largest difference" in held and "with T+S minus mean EPE with T+S+H" in failed
    assert "RGB->3D STB, 10 % labelled" in untold and "1 seed; at least 3 are needed (" in untold
    for verdict, text in ((HOLDS, held), (FAILS, failed), (ABSENT, absent)):
        chosen = claims[claims["verdict"] == verdict]
        assert len(chosen) and all(claim in text for claim in chosen["claim"].str.partition(" (")[0])
    assert "None." not in page and "needs an experiment of variant cross" in absent


def test_a_run_without_results_says_so_and_not_more(tmp_path):
    page = page_of(write_tables(tmp_path / "tables", []))
    assert page.count("\n\nNot in this run.") == 5 and "- none: no such experiment" in page
    assert document.WORDS["lead"]["none"].strip() in page and "12,398,387" in page


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.parent.name)
def test_the_verdicts_of_committed_runs_are_counted_as_in_their_claims(folder):
    assert REPOSITORY / reproduction.TABLES in COMMITTED
    verdicts = pd.read_csv(folder / "claims.csv")["verdict"].str.partition(" (")[0]
    page = page_of(folder)
    for verdict, heading in document.verdicts.HEADINGS.items():
        assert verdict == ABSENT or f"### {heading}: {(verdicts == verdict).sum()} measurement" in page


def test_the_committed_page_is_that_of_the_committed_tables_and_its_links_lead_somewhere():
    page = (REPOSITORY / reproduction.PAGE).read_text()
    assert page == page_of(REPOSITORY / reproduction.TABLES)
    links = re.findall(r"\]\(([^)#:]+)\)", page)
    assert len(links) > 20 and all((REPOSITORY / "reports" / link).exists() for link in links)


def test_no_number_is_typed_in_the_prose():
    folder = Path(document.__file__).parent
    prose = (folder / "report.md").read_text() + (folder / "words.yaml").read_text()
    assert re.findall(r"\d+\.\d|\d+,\d{3}|\d ?(?:mm|%|px|hours|minutes)", prose) == []
