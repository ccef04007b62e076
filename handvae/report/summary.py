"""The answer that the page opens with, from the results, the depth table and the claims: did the reproduction work?"""

import pandas as pd

from handvae.base.sections import Profile
from handvae.evaluation.uncertainty import LEAST_SEEDS
from handvae.report import claims, paper
from handvae.report.paper import DIRECTIONS
from handvae.report.results import WEAK, Result, best, mean_errors_mm, share_of_mean_pose, weakness
from handvae.report.text import WORDS

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
    lines = [("In short", _in_short(papers or results))]
    of_paper = f"{len(rows) - others} row{'s' * (len(rows) - others != 1)} of the paper's grid"
    lines.append(("What ran", f"{of_paper}{further}, {models} model{'s' * (models != 1)}. {profile}"))
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
    texts = []
    for provenance, names in sets.items():
        *names, last = dict.fromkeys(names)
        listed = f"{', '.join(names)} and {last}" if names else last
        texts.append(WORDS["data"][provenance].format(sets=listed))
    return " ".join(texts)


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
    labels = {"rgb": "RGB image -> 3D", "joints_2d": "2D joints -> 3D", "depth": "Depth image -> 3D"}
    errors: dict[str, list[str]] = {label: [] for label in labels.values()}
    for task, variant in paper.BEST_VARIANT.items():
        if model := best(results, task):
            printed = f"{TABLE1.cell_mm(variant, task):.1f} mm, variant {variant}"
            name = f"{model.dataset.upper()}, variant {model.variant}"
            errors[labels[model.input]].append(_beside(name, *mean_errors_mm([model]), printed))
    whole = depth[~depth["test"].str.contains("sequence", regex=False)]
    for _, rows in whole.groupby(whole["test"].str.split(",").str[0], sort=False):
        row = rows.loc[rows["epe_mean_mm"].idxmin()]
        printed_mm = row["paper_epe_mean_mm"]
        printed = "" if pd.isna(printed_mm) else f"{printed_mm:.1f} mm, of a set it does not name"
        name = f"{row['test']}, {row['encoder']}"
        errors[labels["depth"]].append(_beside(name, row["epe_mean_mm"], row["mean_pose_epe_mm"], printed))
    return errors


def _beside(name: str, epe_mm: float, mean_pose_mm: float, printed: str) -> str:
    paper_has = f" (the paper: {printed})" if printed else ""
    return f"{name}: mean error {epe_mm:.1f} mm, the mean pose {mean_pose_mm:.1f} mm{paper_has}"


def _latent_space(claimed: pd.DataFrame) -> list[Line]:
    """How far the modalities lie apart."""
    texts = []
    for claim, trained in (("mixes", "trained across modalities"), ("separates", "each is trained by itself")):
        rows = claimed[(claimed["claim"] == WORDS["claims"][claim]["text"]) & claimed["value"].notna()]
        if len(rows):
            texts.append(f"{rows['value'].iloc[0]:.0f} when {trained}")
    scale = "0: RGB, 2D and 3D are mixed as if shuffled; 100: each lies by itself"
    return [("Latent space", f"10-NN purity of the modalities: {', '.join(texts)} ({scale}).")] if texts else []


def _beyond(beyond: pd.DataFrame) -> list[Line]:
    """Variant 5 with all labels, beside the best of variants 1 to 4."""
    texts = []
    for row in beyond[(beyond["variant"] == 5) & (beyond["label_percent"] == 100)].to_dict("records"):
        if pd.isna(lower := row["lower_percent"]):
            continue
        if row["turned_crops"] > 1:  # no percentage: variants 1 to 4 would gain by it too
            texts[-1] += f" ({row['epe_mean_mm']:.1f} mm over {row['turned_crops']:.0f} turned crops)"
        else:
            than = f"{abs(lower):.0f} % {'lower' if lower > 0 else 'higher'}"
            texts.append(f"{row['task']}: {row['epe_mean_mm']:.1f} mm, {than}")
    if not texts:
        return []
    return [("Beyond the paper", f"Variant 5 against the best of variants 1 to 4. {'. '.join(texts)}.")]


def _claims(claimed: pd.DataFrame) -> str:
    """How many measurements of the paper's claims hold, do not hold and cannot be told, and which do and do not."""
    measured = claimed[claimed["verdict"] != claims.ABSENT]
    side = measured["verdict"].str.split(" (", regex=False).str[0]
    holds, fails = measured[side == claims.HOLDS], measured[side == claims.FAILS]
    untold = measured[~side.isin([claims.HOLDS, claims.FAILS])]
    counted = f"{len(holds)} hold, {len(fails)} do not hold, {len(untold)} cannot be told"
    parts = [f"Of {len(measured)} measurements of {measured['claim'].nunique()} claims {counted}."]
    if one_seed := int(untold["seeds"].eq(1).sum()):
        these = "These" if one_seed == len(untold) else f"{one_seed} of these"
        parts.append(f"{these} have one training seed; a verdict needs {LEAST_SEEDS}.")
    parts += [f"{label}: {_named(rows)}." for label, rows in (("Holds", holds), ("Does not hold", fails)) if len(rows)]
    return " ".join(parts)


def _named(rows: pd.DataFrame) -> str:
    """Each claim with the parts of the measurements that tell of which task they are."""
    names = []
    for claim, of_claim in rows.groupby("claim", sort=False):
        tasks = dict.fromkeys(text.partition(": ")[0] for text in of_claim["statistic"] if ": " in text)
        names.append(f"{claim[0].lower()}{claim[1:]}" + (f" ({', '.join(tasks)})" if tasks else ""))
    return "; ".join(names)
