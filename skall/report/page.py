"""The page: what it shows, and how it is written."""

import re
import tomllib
from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from skall.displays.style import describe_metric
from skall.persistence.files import write_csv, write_file
from skall.report.facts import (
    choose_estimators,
    describe_facts,
    describe_shortly,
    describe_silent,
    title_page,
)
from skall.report.figures import draw_figures, make_confusions, make_gallery, make_keys
from skall.report.tables import (
    N_RESAMPLES,
    make_classes,
    make_costs,
    make_details,
    make_intervals,
    make_latex,
    make_spread,
    make_table,
    write_interval,
)

# What a reader wants to know first, by the keys of :meth:`Comparison.summary`.
QUESTIONS = {
    "best": "Which estimators are best?",
    "shortcuts": "Does any beat the best shortcut?",
    "patients": "How many patients stand behind it?",
}


def write_report(comparison, path):
    """Write the page, and the tables and model card beside it.

    Parameters
    ----------
    comparison : Comparison
    path : path-like
        Of the page.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ValueError
        If the path does not end in ``.html``, or the folder holds another comparison.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"the report is a page: give a path that ends in .html, not {str(path)!r}")
    _refuse_foreign(comparison, path.parent)
    facts, table = describe_facts(comparison), comparison.table()
    texts = {
        path.name: render_page(comparison, facts, table),
        "table.tex": make_latex(table),
        "model_card.md": render_model_card(comparison, facts, table),
    }
    for name, text in texts.items():
        write_file(path.with_name(name), lambda p, t=text: p.write_text(t, encoding="utf-8"))
    write_csv(path.with_name("table.csv"), table)
    write_csv(path.with_name("predictions.csv"), comparison.predictions_, index=False)
    return path


def _refuse_foreign(comparison, folder):
    """Raise where the tables beside the page would replace those of another comparison."""
    stored = folder / "scores.csv"
    if not stored.is_file():
        return
    # As that file is written, so that the texts can be equal.
    own = comparison.scores_.to_csv(index=False, lineterminator="\n").splitlines()
    if stored.read_text(encoding="utf-8").splitlines() != own:
        raise ValueError(
            f"{str(folder)!r} holds another comparison, whose tables the report would replace; "
            "give a path in another folder"
        )


def render_page(comparison, facts, table):
    """The page as HTML, which needs no other file.

    Parameters
    ----------
    comparison : Comparison
    facts : dict of str to str
        From :func:`skall.report.facts.describe_facts`.
    table : DataFrame
        From :meth:`skall.comparison.Comparison.table`.

    Returns
    -------
    str
    """
    script = _read("page.js")
    digest = b64encode(sha256(script.encode()).digest()).decode()
    ranking = table.index.tolist()
    names, n_left_out = choose_estimators(comparison, ranking)
    gallery, no_gallery = make_gallery(comparison)
    summary = comparison.summary()
    return (
        _make_environment()
        .get_template("page.html")
        .render(
            style=_read("page.css"),
            script=script,
            # The page's own script alone may run, and nothing may be fetched.
            policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
            f"script-src 'sha256-{digest}'",
            title=title_page(comparison),
            about=describe_shortly(comparison),
            answers=[(QUESTIONS[key], said) for key, said in summary.items() if said],
            flags=comparison.flags(),
            notes=describe_silent(comparison),
            keys=make_keys(comparison),
            table=make_table(comparison, table),
            intervals=make_intervals(comparison),
            n_resamples=N_RESAMPLES,
            spread=make_spread(comparison),
            costs=make_costs(comparison),
            classes=make_classes(comparison),
            figures=draw_figures(comparison, ranking, names, n_left_out),
            confusions=make_confusions(comparison, names),
            gallery=gallery,
            no_gallery=no_gallery,
            estimators=make_details(comparison, table),
            facts=facts,
            protocol=comparison.protocol_,
            checklists=fill_checklists(facts),
        )
    )


def render_model_card(comparison, facts, table):
    """A model card, after Mitchell et al. 2019 (doi 10.1145/3287560.3287596), in Markdown.

    Parameters
    ----------
    comparison : Comparison
    facts : dict of str to str
        From :func:`skall.report.facts.describe_facts`.
    table : DataFrame
        From :meth:`skall.comparison.Comparison.table`.

    Returns
    -------
    str
        Of the best estimator that is no baseline.
    """
    rivals, _ = comparison.split_names()
    name = next((name for name in table.index if name in rivals), table.index[0])
    metrics = comparison.scores_["metric"].unique()
    template = _make_environment(autoescape=False).get_template("model_card.md")
    return template.render(
        name=name,
        about=comparison.estimators_.get(name, {}),
        facts=facts,
        rows=[
            (describe_metric(m), write_interval(*table.loc[name, [m, f"{m}_low", f"{m}_high"]]))
            for m in metrics
        ],
        conclusion=table.at[name, "conclusion"],
        flags=comparison.flags(),
    )


@cache
def _make_environment(autoescape=True):
    return Environment(
        loader=PackageLoader("skall.report", "templates"),
        autoescape=autoescape,
        finalize=None if autoescape else _escape_markdown,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def _escape_markdown(value):
    """Text that Markdown shows as it stands: no HTML, link, emphasis, cell or line of its own."""
    return re.sub(r"([][`*|\\])", r"\\\1", escape(" ".join(str(value).split()), quote=False))


def _read(name):
    return files("skall.report").joinpath("templates", name).read_text(encoding="utf-8")


def fill_checklists(facts):
    """The items of CLAIM, STARD-AI and TRIPOD+AI with what is known.

    Parameters
    ----------
    facts : dict of str to str
        From :func:`skall.report.facts.describe_facts`.

    Returns
    -------
    list of dict
        For each guideline ``name, citation, note, items, n_filled``; an item has ``number,
        section, topic`` and ``answer``, None where it is to be filled in.
    """
    text = files("skall.report").joinpath("checklists.toml").read_text(encoding="utf-8")
    filled = []
    for guideline in tomllib.loads(text)["guideline"]:
        items = [item | {"answer": _answer(item, facts)} for item in guideline["item"]]
        n_filled = sum(item["answer"] is not None for item in items)
        filled.append({"note": "", **guideline, "items": items, "n_filled": n_filled})
    return filled


def _answer(item, facts):
    """What is known of an item, from one fact or several."""
    names = item.get("fact", [])
    names = [names] if isinstance(names, str) else names
    return " ".join(facts[name] for name in names if name in facts) or None
