"""The pages of docs/ tell the truth: their code runs, their commands exist."""

import re
from pathlib import Path

import numpy as np

from handvae import doctor
from handvae.base.dataset_params import DATASETS
from handvae.datasets import rhd
from tests.conftest import REAL, REPOSITORY, needs_real


def block(page: str, language: str) -> str:
    return re.search(rf"```{language}\n(.*?)```", (REPOSITORY / page).read_text(), re.DOTALL)[1]


@needs_real
def test_the_code_for_ones_own_hands_writes_a_set_that_reads_back(tmp_path):
    """With the real photographs as somebody's own: what the page's function writes is what they were."""
    code = block("docs/own_hands.md", "python")
    definitions = code[: code.index("\nwrite(Path(")]
    names: dict = {}
    exec(definitions, names)
    for split in rhd.SPLITS.values():
        annotations = rhd.read_annotations(REAL / "photos", split)[:5]
        folder = REAL / "photos" / split
        images, masks = (
            np.stack([read(folder / kind / f"{number:05d}.png") for number in range(5)])
            for kind, read in (("color", rhd.png.read_rgb_u8), ("mask", rhd.png.read_grey_u8))
        )
        xyz_m, visible, K = (np.stack([getattr(one, key) for one in annotations]) for key in ("xyz_m", "visible", "K"))
        names["write"](tmp_path / split, images, masks, xyz_m, visible, K)
    assert {split: facts["frames"] for split, facts in rhd.inspect(tmp_path)["splits"].items()} == {
        "training": 5,
        "evaluation": 5,
    }
    for ours, theirs in zip(
        *(rhd.frames(root, "dominant")["test"] for root in (tmp_path, REAL / "photos")), strict=False
    ):
        (a,), (b,) = rhd.read(ours), rhd.read(theirs)
        np.testing.assert_allclose(a.joints_mm, b.joints_mm, atol=1e-3)
        np.testing.assert_array_equal(a.image_u8, b.image_u8)
        assert a.side == b.side
    assert doctor.examine(rhd.labelled_hands(tmp_path)).problems == []


def test_the_page_of_the_datasets_names_every_protocol_parameter():
    page = (REPOSITORY / "docs/data.md").read_text()
    for dataset in DATASETS.values():
        for name in dataset.protocol.__dataclass_fields__:
            assert f"`{name}`" in page, name


def test_the_programs_that_the_pages_name_exist():
    for page in (REPOSITORY / "docs").glob("*.md"):
        for program in re.findall(r"python -m (stages\.\w+|benchmarks\.\w+)", page.read_text()):
            assert Path(REPOSITORY, *program.split(".")).with_suffix(".py").is_file(), (page.name, program)
