"""The answer that the page opens with, from the results, the depth table and the claims: did the reproduction work?"""

from collections.abc import Iterable

import pandas as pd

from handvae.base.sections import Profile
from handvae.evaluation.uncertainty import LEAST_SEEDS
from handvae.report import claims, paper
from handvae.report.paper import DIRECTIONS
from handvae.report.results import Result, best
from handvae.report.text import WORDS
from handvae.report.weakness import WEAK, share_of_mean_pose, weakness

Line = tuple[str, str]  # a label, and one sentence or several
TABLE1 = paper.TABLES["table1"]
PAPER_PX, PAPER_WIDTH = 256, 64


def answer(
    results: list[Result], depth: pd.DataFrame, beyond: pd.DataFrame, claimed: pd.DataFrame, profile: str
) -> list[Line]:
    """Whether it worked, what ran, on which data, what was learned and how well, and what became of the claims.

    `depth`: `tables.depth_table`; `beyond`: `beyond.beyond_table`; `claimed`: `tables_page.claims_table`; `profile`:
    the run's sizes, in words.
    """
    rows = {result.experiment: result for result in results}
    models = sum(result.seeds for result in rows.values())
    papers = [result for result in results if result.is_papers]
    others = len(rows) - len({result.experiment for result in papers})
    further = f" and {others} beyond it" if others else ""
    lines = [("In short", _in_short(papers))]
    lines.append(("What ran", f"{len(rows) - others} rows of the paper's grid{further}, {models} models. {profile}"))
    lines.append(("Data", data_text(results)))
    lines += [(label, ". ".join(numbers) + ".") for label, numbers in _errors(papers, depth).items() if numbers]
    return [*lines, *_latent_space(claimed), *_beyond(beyond), ("Claims", _claims(claimed))]


def profile_text(name: str, profile: Profile) -> str:
    """A profile's sizes beside the paper's."""
    steps = profile.training["rgb"].steps
    return (
        f"Profile {name}: images of {profile.crop_px} px (the paper: {PAPER_PX}), image encoders of "
        f"{profile.encoder_width / PAPER_WIDTH:.0%} of the paper's width, {steps:,} training steps for RGB on RHD."
    )


def picture_of(results: list[Result]) -> str:
    """The figure that shows it best: of the best colour model, measured by the mean pose; "" without a colour model."""
    models = {"fig10b": best(results, ("rhd", "rgb")), "fig10a": best(results, ("stb", "rgb"))}
    shares = {name: share_of_mean_pose([model]) for name, model in models.items() if model}
    return min(shares, key=shares.get, default="")


def data_text(results: list[Result]) -> str:
    """What the test images are, and what numbers on them can mean."""
    sets: dict[str, list[str]] = {}
    for result in results:
        sets.setdefault(result.provenance, []).append(result.dataset.upper())
    return " ".join(WORDS["data"][kind].format(sets=_listed(dict.fromkeys(names))) for kind, names in sets.items())


def _in_short(results: list[Result]) -> str:
    rows = {result.experiment for result in results}
    learned = rows - {result.experiment for result in results if weakness([result])}
    counted = "every row of the grid learned" if learned == rows else f"{len(learned)} of {len(rows)} rows learned"
    text = f"Yes, {counted}. {_learned(results)}" if learned else "No: no row of the grid learned."
    if any(result.published for result in results):
        return f"{text} On the published images the paper's numbers are tested below."
    return f"{text} Whether the paper's numbers are right cannot be tested on these images."


def _learned(results: list[Result]) -> str:
    """How good the models are that are clearly better than the mean pose, by what they see, and which are not."""
    parts = []
    for direction in DIRECTIONS.values():
        good = [r for r in results if r.task_name.startswith(f"{direction} ") and not weakness([r])]
        if good:
            shares = [100 * share_of_mean_pose([result]) for result in good]
            parts.append(f"{direction} {min(shares):.0f} to {max(shares):.0f} %")
    weak = {result.experiment: sentence for result in results if (sentence := weakness([result]))}
    errors = [f"Errors in % of the mean pose's: {', '.join(parts)} (weak from {100 * WEAK:.0f} %)."] if parts else []
    return " ".join([*errors, *weak.values()])


def _errors(results: list[Result], depth: pd.DataFrame) -> dict[str, list[str]]:
    """By what is predicted from, the lowest mean EPE on each set, beside the mean pose and the paper's lowest."""
    errors: dict[str, list[str]] = {"RGB image -> 3D": [], "2D joints -> 3D": [], "Depth image -> 3D": []}
    for task, name in paper.TASKS.items():
        if model := best(results, task):
            variant = min(TABLE1.rows_mm, key=lambda variant, task=task: TABLE1.cell_mm(variant, task))
            printed = f"{TABLE1.cell_mm(variant, task):.1f} mm, variant {variant}"
            label = "2D joints -> 3D" if task[1] == "joints_2d" else "RGB image -> 3D"
            mean_pose_mm = model.metrics["mean_pose_epe_mm"]
            set_name = name.split()[-1]
            ours = f"{set_name}, variant {model.variant}"
            errors[label].append(_beside(ours, model.metrics["epe_mean_mm"], mean_pose_mm, printed))
    whole = depth[~depth["test"].str.contains("sequence", regex=False)]
    for _, rows in whole.groupby(whole["test"].str.split(",").str[0], sort=False):
        row = rows.loc[rows["epe_mean_mm"].idxmin()]
        printed = (
            "" if pd.isna(row["paper_epe_mean_mm"]) else f"{row['paper_epe_mean_mm']:.1f} mm, of a set it does not name"
        )
        ours = f"{row['test']}, {row['encoder']}"
        errors["Depth image -> 3D"].append(_beside(ours, row["epe_mean_mm"], row["mean_pose_epe_mm"], printed))
    return errors


def _beside(name: str, epe_mm: float, mean_pose_mm: float, printed: str) -> str:
    paper_has = f" (the paper: {printed})" if printed else ""
    return f"{name}: mean error {epe_mm:.1f} mm, the mean pose {mean_pose_mm:.1f} mm{paper_has}"


def _latent_space(claimed: pd.DataFrame) -> list[Line]:
    """How far the modalities lie apart."""
    apart = {}
    for claim in ("mixes", "separates"):
        rows = claimed[(claimed["claim"] == WORDS["claims"][claim]["text"]) & claimed["value"].notna()]
        if len(rows):
            apart[claim] = rows["value"].iloc[0]
    texts = []
    if "mixes" in apart:
        texts.append(f"{apart['mixes']:.0f} when trained across modalities")
    if "separates" in apart:
        texts.append(f"{apart['separates']:.0f} when each is trained by itself")
    scale = "0: RGB, 2D and 3D are mixed as if shuffled; 100: each lies by itself"
    return [("Latent space", f"10-NN purity of the modalities: {', '.join(texts)} ({scale}).")] if texts else []


def _beyond(beyond: pd.DataFrame) -> list[Line]:
    """Variant 5 with all labels, beside the best of variants 1 to 4."""
    rows = beyond[(beyond["variant"] == 5) & (beyond["label_percent"] == 100)]
    texts = [
        f"{row['task']}: {row['epe_mean_mm']:.1f} mm{_turned(row)}, {abs(row['lower_percent']):.0f} % "
        f"{'lower' if row['lower_percent'] > 0 else 'higher'}"
        for row in rows.to_dict("records")
        if not pd.isna(row["lower_percent"])
    ]
    if not texts:
        return []
    return [("Beyond the paper", f"Variant 5 against the best of variants 1 to 4. {'. '.join(texts)}.")]


def _turned(row: dict[str, object]) -> str:
    return f" with {row['turned_crops']:.0f} turned crops" if row["turned_crops"] > 1 else ""


def _claims(claimed: pd.DataFrame) -> str:
    """How many measurements of the paper's claims hold, do not hold and cannot be told, and which do and do not."""
    verdicts = claimed["verdict"].str.partition(" (")[0]
    measured = claimed[verdicts != claims.ABSENT]
    counts = verdicts[measured.index].value_counts()
    holds, fails = counts.get(claims.HOLDS, 0), counts.get(claims.FAILS, 0)
    untold = len(measured) - holds - fails
    one_seed = int((measured["seeds"].eq(1) & ~verdicts[measured.index].isin([claims.HOLDS, claims.FAILS])).sum())
    counted = (
        f"Of {len(measured)} measurements of {measured['claim'].nunique()} claims {holds} hold, {fails} do not hold"
    )
    parts = [f"{counted}, {untold} cannot be told."]
    if one_seed:
        these = "These" if one_seed == untold else f"{one_seed} of these"
        parts.append(f"{these} have one training seed; a verdict needs {LEAST_SEEDS}.")
    for verdict, label in ((claims.HOLDS, "Holds"), (claims.FAILS, "Does not hold")):
        named = _listed(_named(measured[verdicts[measured.index] == verdict]), "; ")
        parts += [f"{label}: {named}."] if named else []
    return " ".join(parts)


def _named(rows: pd.DataFrame) -> list[str]:
    """Each claim with the parts of the measurements that tell of which task they are."""
    names = []
    for claim, of_claim in rows.groupby("claim", sort=False):
        tasks = dict.fromkeys(part for part, colon, _ in of_claim["statistic"].str.partition(": ").to_numpy() if colon)
        names.append(
            f"{claim[0].lower()}{claim[1:]} ({', '.join(tasks)})" if tasks else f"{claim[0].lower()}{claim[1:]}"
        )
    return names


def _listed(names: Iterable[str], comma: str = ", ") -> str:
    names = list(names)
    last = " and " if comma == ", " else comma
    return names[0] if len(names) == 1 else last.join([comma.join(names[:-1]), names[-1]]) if names else ""
