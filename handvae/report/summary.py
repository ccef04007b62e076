"""The answer that the page opens with, from the results, the depth table and the claims: did the reproduction work?"""

from collections.abc import Iterable

import pandas as pd

from handvae.report import claims, paper
from handvae.report.results import Result, best, share_of_mean_pose, weakness
from handvae.report.text import WORDS

Line = tuple[str, str]  # a label, and one sentence or several
TABLE1 = paper.TABLES["table1"]


def answer(results: list[Result], depth: pd.DataFrame, claimed: pd.DataFrame) -> list[Line]:
    """What ran, on which data, what was learned and how well, and what became of the claims; five to eight lines.

    `depth`: `tables.depth_table`; `claimed`: `tables_page.claims_table`.
    """
    rows = {result.experiment: result for result in results}
    models = sum(result.seeds for result in rows.values())
    profiles = ", ".join(dict.fromkeys(result.profile for result in results))
    lines = [("What ran", f"{len(rows)} rows of the paper's grid, {models} models, by profile {profiles}.")]
    lines.append(("Data", _data(results)))
    lines.append(("Learned", _learned(results)))
    lines += [(label, ". ".join(numbers) + ".") for label, numbers in _errors(results, depth).items() if numbers]
    return [*lines, *_latent_space(claimed), ("Claims", _claims(claimed))]


def picture_of(results: list[Result]) -> str:
    """The figure that shows it best: of the best colour model, measured by the mean pose; "" without a colour model."""
    models = {"fig10b": best(results, ("rhd", "rgb")), "fig10a": best(results, ("stb", "rgb"))}
    shares = {name: share_of_mean_pose([model]) for name, model in models.items() if model}
    return min(shares, key=shares.get, default="")


def _data(results: list[Result]) -> str:
    sets: dict[str, list[str]] = {}
    for result in results:
        sets.setdefault(result.provenance, []).append(result.dataset.upper())
    return " ".join(WORDS["data"][kind].format(sets=_listed(dict.fromkeys(names))) for kind, names in sets.items())


def _learned(results: list[Result]) -> str:
    """How many models are clearly better than the mean pose, and which are not."""
    weak = {result.experiment: sentence for result in results if (sentence := weakness([result]))}
    good = [result for result in results if result.experiment not in weak]
    shares, parts = [100 * share_of_mean_pose([result]) for result in good], []
    if shares:
        rows = len({result.experiment for result in good})
        counted = f"{rows} of {rows + len(weak)} rows" if weak else f"All {rows} rows"
        parts.append(
            f"{counted} learned: their errors are {min(shares):.0f} to {max(shares):.0f} % of the mean pose's."
        )
    return " ".join([*parts, *weak.values()])


def _errors(results: list[Result], depth: pd.DataFrame) -> dict[str, list[str]]:
    """By what is predicted from, the lowest mean EPE on each set, beside the mean pose and the paper's lowest."""
    errors: dict[str, list[str]] = {"RGB image -> 3D": [], "2D joints -> 3D": [], "Depth image -> 3D": []}
    for task, name in paper.TASKS.items():
        if model := best(results, task):
            printed = min(TABLE1.cell_mm(variant, task) for variant in TABLE1.rows_mm)
            label = "2D joints -> 3D" if task[1] == "joints_2d" else "RGB image -> 3D"
            mean_pose_mm = model.metrics["mean_pose_epe_mm"]
            set_name = name.split()[-1]
            errors[label].append(_beside(set_name, model.metrics["epe_mean_mm"], mean_pose_mm, printed))
    whole = depth[~depth["test"].str.contains("sequence", regex=False)]
    for _, rows in whole.groupby(whole["test"].str.split(",").str[0], sort=False):
        row = rows.loc[rows["epe_mean_mm"].idxmin()]
        printed = row["paper_epe_mean_mm"]
        numbers = row["epe_mean_mm"], row["mean_pose_epe_mm"], None if pd.isna(printed) else printed
        errors["Depth image -> 3D"].append(_beside(row["test"], *numbers))
    return errors


def _beside(name: str, epe_mm: float, mean_pose_mm: float, printed_mm: float | None) -> str:
    printed = "" if printed_mm is None else f", the paper {printed_mm:.1f} mm"
    return f"{name}: mean error {epe_mm:.1f} mm; the mean pose has {mean_pose_mm:.1f} mm{printed}"


def _latent_space(claimed: pd.DataFrame) -> list[Line]:
    """How far the modalities lie apart."""
    apart = {}
    for claim in ("mixes", "separates"):
        rows = claimed[(claimed["claim"] == WORDS["claims"][claim]["text"]) & claimed["value"].notna()]
        if len(rows):
            apart[claim] = rows["value"].iloc[0]
    texts = []
    if "mixes" in apart:
        texts.append(f"trained across modalities they lie {apart['mixes']:.0f} % apart")
    if "separates" in apart:
        texts.append(f"trained separately {apart['separates']:.0f} %")
    scale = "0: RGB, 2D and 3D are mixed as if shuffled; 100: each lies by itself"
    return [("Latent space", f"The modalities: {', '.join(texts)} ({scale}).")] if texts else []


def _claims(claimed: pd.DataFrame) -> str:
    """How many measurements of the paper's claims hold, do not hold and cannot be told, and which do and do not."""
    verdicts = claimed["verdict"].str.partition(" (")[0]
    measured = claimed[verdicts != claims.ABSENT]
    counts = verdicts[measured.index].value_counts()
    holds, fails = counts.get(claims.HOLDS, 0), counts.get(claims.FAILS, 0)
    untold = len(measured) - holds - fails
    one_seed = int((measured["seeds"].eq(1) & ~verdicts[measured.index].isin([claims.HOLDS, claims.FAILS])).sum())
    why = f" ({one_seed} of these have one seed where three are needed)" if one_seed else ""
    counted = f"{len(measured)} measurements of {measured['claim'].nunique()} claims: {holds} hold, {fails} do not hold"
    parts = [f"{counted}, {untold} cannot be told{why}."]
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
