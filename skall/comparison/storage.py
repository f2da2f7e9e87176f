"""The results of a comparison as files: CSV tables, images, and JSON for the rest."""

import json
import os
from dataclasses import fields
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from skall.displays.errors import find_confident_errors
from skall.displays.probabilities import list_with_probabilities
from skall.displays.style import save_figure
from skall.images.rows import FileImages
from skall.persistence.files import write_csv, write_file, write_json

TABLES = ("scores", "predictions", "folds", "samples", "history", "resources")
# Written where they have rows.
OPTIONAL = ("failures", "unlearnt", "best_params")
TEXTS = ("estimator", "metric", "group", "y_true", "file", "error", "label")
INTEGERS = ("repeat", "fold", "n_train", "n_test", "sample", "epoch")
ABOUT = "protocol.json"


class StoredImages:
    """The images of a comparison that was read from its folder.

    Parameters
    ----------
    folder : pathlib.Path
    files : sequence of str
        One per sample; relative to the folder for images that were given as arrays and stored
        there, and None for those that were not stored.
    depth : int, optional
        As in :func:`skall.compare`.
    """

    def __init__(self, folder, files, depth=None):
        self.folder = folder
        self.files = files
        self.depth = depth

    def __len__(self):
        return len(self.files)

    def open(self, sample):
        """One image as RGB; an error names the file if it does not exist."""
        file = self.files[sample]
        if not isinstance(file, str):
            raise FileNotFoundError(f"the image of sample {sample} was not stored")
        return FileImages([self.folder / file], self.depth).open(0)


def write_tables(comparison, folder):
    """Write all files of a comparison but the report."""
    folder = Path(folder)
    tables = {name: getattr(comparison, f"{name}_") for name in TABLES}
    # Removed first and written last: without it the folder has no complete comparison.
    (folder / ABOUT).unlink(missing_ok=True)
    tables["samples"] = _store_images(comparison, folder)
    for name in OPTIONAL:
        table = getattr(comparison, f"{name}_")
        if len(table):
            tables[name] = table
        else:
            (folder / f"{name}.csv").unlink(missing_ok=True)
    for name, table in tables.items():
        write_csv(folder / f"{name}.csv", table, index=False)
    write_csv(folder / "table.csv", comparison.table())
    if "accuracy" in set(comparison.scores_["metric"]):
        figure = comparison.plot_accuracy().figure
        write_file(folder / "accuracy.png", lambda path: save_figure(figure, path, "png", dpi=150))
    known = comparison.samples_ if len(comparison.samples_) else comparison.predictions_
    about = {
        "pos_label": _make_plain(comparison.pos_label_),
        "labels": _list_plain(known["y_true"]),
        "groups": _list_plain(known["group"].dropna()),
        "best_params": comparison.best_params_.to_dict("records"),
        "trials": comparison.trials_,
        "members": comparison.members_,
        "estimators": comparison.estimators_,
        "protocol": comparison.protocol_,
    }
    write_json(folder / ABOUT, about, indent=1)


def _store_images(comparison, folder):
    """Store the gallery's images that have no files; the table of samples with their files."""
    samples, images = comparison.samples_.copy(), comparison.images_
    names = list_with_probabilities(comparison.predictions_, comparison.split_names()[0])
    if images is None or not len(samples) or not names:
        return samples
    shown = find_confident_errors(comparison, names=names, distinct=True)["sample"]
    files = samples.set_index("sample")["file"].astype(object)
    for sample in shown:
        if isinstance(files[sample], str) and os.path.isabs(files[sample]):
            continue
        try:
            picture = images.open(sample)
        except (OSError, ValueError):
            # Of a comparison that was read from a folder: removed since, or never stored.
            continue
        files[sample] = f"cells/{sample}.png"
        write_file(folder / files[sample], lambda path, p=picture: p.save(path, format="png"))
    return samples.assign(file=files.to_numpy())


def read_tables(folder):
    """The attributes of the comparison that :func:`write_tables` wrote, by name.

    Raises FileNotFoundError if there is no finished comparison, ValueError if a file is damaged.
    """
    folder = Path(folder)
    _check_finished(folder)
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        tables = {name: _read_table(folder / f"{name}.csv", about) for name in TABLES}
        for name in ("failures", "unlearnt"):
            if (folder / f"{name}.csv").is_file():
                tables[name] = _read_table(folder / f"{name}.csv", about)
        if about["best_params"]:
            tables["best_params"] = pd.DataFrame(about["best_params"], dtype=object)
        files, depth = tables["samples"]["file"], about["protocol"].get("depth")
        has_images = files.notna().any()
        return {
            **{f"{name}_": table for name, table in tables.items()},
            "pos_label_": about["pos_label"],
            "members_": {name: tuple(names) for name, names in about["members"].items()},
            **{f"{key}_": about[key] for key in ("trials", "estimators", "protocol")},
            "images_": StoredImages(folder, files.tolist(), depth) if has_images else None,
        }
    except FileNotFoundError as exc:
        raise ValueError(
            f"the comparison in {str(folder)!r} has no {Path(exc.filename).name}: the file was "
            "removed, or an earlier version of skall wrote the folder. Repeat the call or command "
            "that made it: finished folds are not computed again"
        ) from exc
    except (ValueError, KeyError, TypeError) as exc:
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
    options = {"keep_default_na": False, "encoding_errors": "surrogateescape"}
    table = pd.read_csv(path, dtype=str, **options).astype(object)
    for column in table.columns.difference(TEXTS):
        kind = int if column in INTEGERS else float
        table[column] = [kind(text) if text else np.nan for text in table[column]]
    for column, values in (("y_true", "labels"), ("label", "labels"), ("group", "groups")):
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


def hash_contents(comparison):
    """A text that changes with anything that is written to files."""
    parts = {field.name: getattr(comparison, field.name) for field in fields(comparison)}
    parts["protocol_"] = {k: v for k, v in comparison.protocol_.items() if k != "finished"}
    # Files are in `samples_`, and arrays in the fingerprint of the comparison.
    del parts["images_"]
    return joblib.hash(
        {
            name: part.to_csv() if isinstance(part, pd.DataFrame) else json.dumps(part)
            for name, part in parts.items()
            if name != "pos_label_"
        }
        | {"pos_label_": str(comparison.pos_label_)}
    )


def convert_to_dict(comparison):
    """The metrics, the conclusions and the values of the folds, see :meth:`Comparison.to_dict`."""
    table = comparison.table()
    folds = comparison.scores_.groupby(["estimator", "metric"])["value"].agg(list)
    metrics = comparison.scores_["metric"].unique()
    parts = {"mean": "", "std": "_std", "low": "_low", "high": "_high"}
    return {
        name: {
            metric: {
                **{part: _none_if_nan(row[f"{metric}{suffix}"]) for part, suffix in parts.items()},
                "folds": [_none_if_nan(value) for value in folds[name, metric]],
            }
            for metric in metrics
        }
        | {"conclusion": row["conclusion"]}
        for name, row in table.iterrows()
    }


def _none_if_nan(value):
    return None if np.isnan(value) else float(value)
