"""The page: what it shows, and how it is written."""

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from skall.displays.style import describe_metric, shorten_number
from skall.files import write_csv, write_file
from skall.metrics import LOWER_IS_BETTER
from skall.report.checklists import fill_checklists
from skall.report.drawing import draw_figures
from skall.report.facts import (
    describe_data,
    describe_facts,
    describe_partition,
    describe_performance,
    describe_spread,
    tabulate_classes,
)
from skall.report.latex import make_latex, write_interval
from skall.statistics.held_out import choose_metric

# Of the bootstrap: on the page, where a table of 20,000 images is not to take minutes.
N_RESAMPLES = 1000


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
    return (
        _make_environment()
        .get_template("page.html")
        .render(
            style=_read("page.css"),
            script=script,
            # The page's own script alone may run, and nothing may be fetched.
            policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
            f"script-src 'sha256-{digest}'",
            summary=summarise(comparison),
            table=_make_table(comparison, table),
            intervals=_make_intervals(comparison),
            n_resamples=N_RESAMPLES,
            spread=_make_spread(comparison),
            classes=_make_classes(comparison),
            figures=draw_figures(comparison),
            estimators=_make_details(comparison, table),
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


def summarise(comparison):
    """The result in sentences, the most important first.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of str
    """
    rivals, _ = comparison.split_names()
    metric = choose_metric(comparison.scores_)
    sentences = [describe_data(comparison), describe_partition(comparison)]
    sentences.append(describe_performance(comparison, metric, rivals))
    sentences += comparison.differences(metric)
    if comparison.predictions_["group"].isna().all():
        sentences.append(
            "Patients are not known: where one has images on both sides of a split, every number "
            "here is too good."
        )
    missing = comparison.scores_["value"].isna().groupby(comparison.scores_["metric"]).sum()
    for name, count in missing[missing > 0].items():
        sentences.append(f"{describe_metric(name).capitalize()} is missing in {count} results.")
    return sentences + comparison.flags()


def _make_table(comparison, table):
    """Head and rows of the main table: texts, and what to sort by."""
    metrics = comparison.scores_["metric"].unique()
    rivals, _ = comparison.split_names()
    main = describe_metric(choose_metric(comparison.scores_))
    head = ["estimator", *map(describe_metric, metrics)]
    head += ["parameters trained", "epochs", "trials", "seconds to fit", "conclusion"]
    rows = []
    for name, row in table.iterrows():
        cells = [
            (write_interval(row[m], row[f"{m}_low"], row[f"{m}_high"]), _sort_key(row[m]))
            for m in metrics
        ]
        for column in ("trainable", "epochs", "trials", "fit_seconds"):
            value = row[column]
            text = "-" if np.isnan(value) else shorten_number(value)
            cells.append((text, _sort_key(value)))
        cells.append((row["conclusion"], row["conclusion"]))
        rows.append({"name": name, "baseline": name not in rivals, "cells": cells})
    order = "ascending" if choose_metric(comparison.scores_) in LOWER_IS_BETTER else "descending"
    return {"head": head, "rows": rows, "sorted": {main: order}}


def _sort_key(value):
    """The number as a script reads it; nothing, which goes last, for NaN."""
    return "" if np.isnan(value) else repr(float(value))


def _make_intervals(comparison):
    """Rows of each estimator and metric with every kind of interval."""
    kinds = {"corrected_t": "over folds", "bootstrap": "over patients", "exact": "of a proportion"}
    if comparison.predictions_["group"].isna().all():
        kinds["bootstrap"] = "over images"
    tables = {}
    for method in kinds:
        try:
            options = {"n_resamples": N_RESAMPLES} if method == "bootstrap" else {}
            found = comparison.intervals(method=method, **options)
        except ValueError:
            # As the bootstrap where all images are of one patient.
            continue
        tables[method] = found.set_index(["estimator", "metric"])
    spread = comparison.scores_.groupby(["estimator", "metric"])["value"].std()
    rows = []
    for key in tables["corrected_t"].index:
        cells = [write_interval(tables["corrected_t"].at[key, "value"], np.nan, np.nan)]
        cells.append("-" if np.isnan(spread[key]) else f"{spread[key]:.3f}")
        for table in tables.values():
            low, high = table.loc[key, ["low", "high"]]
            cells.append("-" if np.isnan(low) else f"{low:.3f} to {high:.3f}")
        rows.append((key[0], describe_metric(key[1]), cells))
    head = ["mean", "std over folds", *(f"95 % interval {kinds[method]}" for method in tables)]
    return {"head": ["estimator", "metric", *head], "rows": rows}


def _make_spread(comparison):
    """Rows of the spread of folds and of seeds, where there are repeats."""
    spread = describe_spread(comparison)
    if spread is None:
        return None
    numbers = ["mean", "fold_std", "repeat_std", "repeat_mean_std"]
    return [
        (row["estimator"], describe_metric(row["metric"]), [f"{row[n]:.3f}" for n in numbers])
        for _, row in spread.iterrows()
    ]


def _make_classes(comparison):
    table = tabulate_classes(comparison)
    return [
        (label, [f"{value:.0f}" if pd.notna(value) else "-" for value in row])
        for label, row in zip(table.index, table.to_numpy(dtype=float), strict=True)
    ]


def _make_details(comparison, table):
    """For each estimator what it is and its folds, the best first."""
    budgets = comparison.budgets()
    details = []
    for name in table.index:
        about = comparison.estimators_.get(name, {})
        folds = comparison.scores_[comparison.scores_["estimator"] == name].pivot(
            index=["repeat", "fold"], columns="metric", values="value"
        )[list(comparison.scores_["metric"].unique())]
        chosen = comparison.best_params_[comparison.best_params_["estimator"] == name]
        details.append(
            {
                "name": name,
                "about": about,
                "members": comparison.members_.get(name, ()),
                "conclusion": table.at[name, "conclusion"],
                "size": _list_size(about.get("network"), budgets.loc[name]),
                "metrics": [describe_metric(metric) for metric in folds],
                "folds": [
                    (*key, ["-" if np.isnan(v) else f"{v:.3f}" for v in values])
                    for key, values in zip(folds.index, folds.to_numpy(), strict=True)
                ],
                "chosen": chosen[["repeat", "fold", "parameter", "value"]].to_numpy().tolist(),
            }
        )
    return details


def _list_size(network, budget):
    """What a network is and costs, as pairs of words and text."""
    pairs = []
    if network:
        pairs += [
            ("backbone", network["backbone"]),
            ("weights", network["weights"]),
            *_list_origin(network),
            ("image size", f"{network['image_size']} pixels"),
            ("features", " x ".join(map(str, network["feature_shape"]))),
            ("parameters trained", f"{network['trainable']:,}"),
            ("parameters not trained", f"{network['non_trainable']:,}"),
            ("multiply-accumulates per image", f"{network['macs']:,}"),
        ]
    numbers = [
        ("epochs", budget["epochs"], "{:.3g}"),
        ("combinations tried in each fold", budget["trials"], "{:.0f}"),
        ("seconds to fit", budget["fit_seconds"], "{:.3g}"),
        ("milliseconds to predict an image", budget["predict_ms"], "{:.3g}"),
        ("peak memory of the process", budget["peak_memory"] / 1e6, "{:,.0f} MB"),
    ]
    return pairs + [(words, form.format(v)) for words, v, form in numbers if not np.isnan(v)]


def _list_origin(network):
    """Where the weights come from; random ones from nowhere."""
    if network["weights"] == "None":
        return []
    return [
        ("weights from", network["url"] or "-"),
        ("licence of the weights", network["license"] or "-"),
    ]
