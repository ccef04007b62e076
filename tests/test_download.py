import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from handvae.base.errors import InputError
from handvae.datasets import rhd
from handvae.synthetic import generate
from stages import download
from tests.test_rhd import write_set

COUNTS = {"training": 3, "evaluation": 2}
SIZES = {"training": 2, "evaluation": 1, "image_px": 64}


@pytest.fixture
def data(tmp_path, monkeypatch) -> SimpleNamespace:
    """RHD's settings as the stage reads them; the working folder is empty."""
    monkeypatch.chdir(tmp_path)
    data = SimpleNamespace(source="own", sha256=None, seed=7)
    settings = SimpleNamespace(data={"rhd": data}, profile=SimpleNamespace(synthetic={"rhd": SIZES}))
    monkeypatch.setattr(download.params, "load", lambda: settings)
    return data


def downloaded() -> dict:
    """The manifest."""
    download.main("rhd")
    return json.loads(Path("data/raw/rhd.json").read_text())


def test_a_folder_stays_where_it_is_and_the_manifest_says_what_it_holds_and_changes_with_it(data, capsys):
    write_set(Path("own"), COUNTS)
    manifest = downloaded()
    assert (manifest["kind"], manifest["description"], manifest["root"]) == ("folder", "own (RHD's layout)", "own")
    assert not manifest["published"] and manifest["splits"] == rhd.inspect(Path("own"))["splits"]
    assert os.listdir("data/raw") == ["rhd.json"]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "training 3, evaluation 2" in lines[1]
    assert downloaded() == manifest
    write_set(Path("own"), COUNTS, seed=1)
    assert downloaded() != manifest


def test_synthetic_hands_have_the_seed_and_sizes_of_the_parameters_and_are_never_the_published_set(data, monkeypatch):
    calls = []

    def make(name, root, sizes, seed, processes):
        calls.append((name, root, sizes, seed))
        write_set(root, {"training": 2, "evaluation": 1}, seed)

    monkeypatch.setattr(generate, "generate", make)
    monkeypatch.setattr(rhd, "PUBLISHED_COUNTS", {"training": 2, "evaluation": 1})
    data.source = "synthetic"
    manifest = downloaded()
    assert calls == [("rhd", Path("data/raw/rhd"), SIZES, 7)]
    assert manifest["kind"] == "synthetic" and "seed 7" in manifest["description"] and not manifest["published"]
    data.source = "data/raw/rhd"
    assert downloaded()["published"]


def test_a_bad_source_leaves_no_manifest_old_or_new(data):
    with pytest.raises(InputError, match="own: expected a folder"):
        downloaded()
    write_set(Path("own"), COUNTS)
    downloaded()
    os.unlink("own/evaluation/mask/00001.png")
    with pytest.raises(InputError, match=r"mask: expected 00000\.png to 00001\.png .* found no 00001\.png"):
        downloaded()
    assert os.listdir("data/raw") == []
