"""A comparison as files: CSV tables, and JSON for the rest."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from skall.displays.errors import find_confident_errors
from skall.files import write_file, write_json
from skall.images.rows import FileImages

TABLES = ("scores", "predictions", "samples", "history", "resources")
TEXTS = ("estimator", "metric", "group", "y_true", "file")
WHOLE = ("repeat", "fold", "sample", "epoch")
ABOUT = "protocol.json"


class CellFiles:
    """Images of a comparison that was read from files.

    Parameters
    ----------
    folder : pathlib.Path
        Of the comparison.
    files : sequence of str
        One per sample; relative to the folder where the comparison has written them itself, and
        NaN where there is none.
    """

    def __init__(self, folder, files):
        self.folder = folder
        self.files = files

    def __len__(self):
        return len(self.files)

    def open(self, sample):
        """One image as RGB; an error that names the file where it is not there."""
        file = self.files[sample]
        if not isinstance(file, str):
            raise FileNotFoundError(f"the image of sample {sample} was not stored")
        return FileImages([self.folder / file]).open(0)


def write_tables(comparison, folder):
    """Write ``scores.csv``, ``predictions.csv``, ``table.csv``, ``accuracy.png`` and the rest.

    Parameters
    ----------
    comparison : Comparison
    folder : path-like
    """
    folder = Path(folder)
    tables = {name: getattr(comparison, f"{name}_") for name in TABLES}
    tables["samples"] = _keep_cells(comparison, folder)
    for name, table in tables.items():
        write_file(folder / f"{name}.csv", lambda path, t=table: t.to_csv(path, index=False))
    write_file(folder / "table.csv", comparison.table().to_csv)
    chosen = comparison.best_params_
    if len(chosen):
        write_file(folder / "best_params.csv", lambda path: chosen.to_csv(path, index=False))
    if "accuracy" in set(comparison.scores_["metric"]):
        figure = comparison.plot_accuracy().figure
        write_file(
            folder / "accuracy.png", lambda path: figure.savefig(path, format="png", dpi=150)
        )
    # Last: with it, the comparison is whole.
    about = {
        "pos_label": _make_plain(comparison.pos_label_),
        "labels": _list_plain(comparison.predictions_["y_true"]),
        "groups": _list_plain(comparison.predictions_["group"].dropna()),
        "best_params": chosen.to_dict("records"),
        "trials": comparison.trials_,
        "members": comparison.members_,
        "estimators": comparison.estimators_,
        "protocol": comparison.protocol_,
    }
    write_json(folder / ABOUT, about, indent=1)


def _keep_cells(comparison, folder):
    """The samples, with files of the cells that the gallery shows where there were none."""
    samples, images = comparison.samples_.copy(), comparison.images_
    if images is None or not len(samples) or samples["file"].notna().any():
        return samples
    try:
        shown = find_confident_errors(comparison)["sample"].unique()
    except ValueError:
        # No estimator has probabilities.
        return samples
    samples["file"] = samples["file"].astype(object)
    for sample in shown:
        name, picture = f"cells/{sample}.png", images.open(sample)
        write_file(folder / name, lambda path, p=picture: p.save(path, format="png"))
        samples.loc[samples["sample"] == sample, "file"] = name
    return samples


def read_tables(folder):
    """The attributes of a comparison that :func:`write_tables` wrote, by name.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    dict

    Raises
    ------
    FileNotFoundError
        If there is no finished comparison.
    ValueError
        If a file is damaged.
    """
    folder = Path(folder)
    _check_finished(folder)
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        tables = {name: _read_table(folder / f"{name}.csv", about) for name in TABLES}
        chosen = pd.DataFrame(about["best_params"], dtype=object)
        return {
            **{f"{name}_": table for name, table in tables.items()},
            "pos_label_": about["pos_label"],
            **({"best_params_": chosen} if len(chosen) else {}),
            "members_": {name: tuple(names) for name, names in about["members"].items()},
            **{f"{key}_": about[key] for key in ("trials", "estimators", "protocol")},
            "images_": CellFiles(folder, tables["samples"]["file"].tolist()),
        }
    except (ValueError, KeyError, TypeError, FileNotFoundError) as exc:
        raise ValueError(
            f"the comparison in {str(folder)!r} is damaged ({type(exc).__name__}: {exc}); repeat "
            "the call or command that made it: finished folds are not computed again"
        ) from exc


def _check_finished(folder):
    if (folder / ABOUT).is_file():
        return
    if (folder / "comparison.json").is_file():
        n_finished = len(list(folder.glob("folds/*/*.json")))
        raise FileNotFoundError(
            f"the comparison in {str(folder)!r} is not finished ({n_finished} results of folds are "
            "kept): repeat the call or command that began it, which goes on from there"
        )
    raise FileNotFoundError(
        f"{str(folder)!r} holds no comparison: there is no {ABOUT}, which compare(out=...) and "
        "skall compare --out write"
    )


def _read_table(path, about):
    # As text first: an estimator or a patient may be called "NA", and pandas rounds numbers.
    table = pd.read_csv(path, dtype=str, keep_default_na=False).astype(object)
    for column in table.columns.difference(TEXTS):
        kind = int if column in WHOLE else float
        table[column] = [kind(text) if text else np.nan for text in table[column]]
    for column, values in (("y_true", "labels"), ("group", "groups")):
        if column in table:
            known = {str(value): value for value in about[values]}
            table[column] = table[column].map(known).infer_objects()
    if "file" in table:
        table["file"] = table["file"].replace("", None)
    return table


def _list_plain(values):
    return [_make_plain(value) for value in pd.unique(values)]


def _make_plain(value):
    return value.item() if isinstance(value, np.generic) else value
