"""What the commands do.

Nothing heavy is imported before it is needed.
"""

import json
import os
import sys
import traceback
import warnings
from collections import Counter
from contextlib import contextmanager
from inspect import signature
from pathlib import Path

import skall
from skall.cli.options import DEFAULTS, make_parser
from skall.cli.values import format_command
from skall.environment.allocator import tune_allocator

PACKAGE = Path(skall.__file__).parent
# What skall's checks raise.
REFUSALS = (ValueError, TypeError, ImportError, NotImplementedError)

# Without DATA: enough patients that verdicts are worth reading, in two minutes on two cores.
SYNTHETIC_CELLS = {"n_samples": 240, "n_patients": 24, "image_size": 64, "random_state": 0}
SYNTHETIC_OPTIONS = {
    "cv": 3,
    "weights": None,
    "image_size": 48,
    "max_epochs": 8,
    "batch_size": 24,
    "lr": 2e-3,
    "lr_schedule": "cosine",
}


def main(argv=None):
    """Run a command of skall.

    Parameters
    ----------
    argv : list of str, optional
        Arguments, by default those of the process.

    Returns
    -------
    int
        Exit status: 0; 1 where an estimator failed in a fold; 2 for a mistake of the user's; 130
        when interrupted.

    Raises
    ------
    Exception
        Any error that is not a mistake of the user's (:func:`is_mistake`): Python prints its
        traceback and exits with 1.
    """
    # Waiting threads that spin slow everything down where cores are shared; torch reads it once.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    tune_allocator()
    arguments = make_parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            return COMMANDS[arguments.command](arguments)
        except BrokenPipeError:
            # The reader has closed the pipe, as `head` does; nothing more can be written there.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except Exception as exc:
            if not is_mistake(exc):
                raise
            notes = "".join(f" ({note})" for note in getattr(exc, "__notes__", ()))
            print(f"skall: error: {exc}{notes}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print(f"skall: interrupted; {_describe_kept(arguments)}", file=sys.stderr)
            return 130


def is_mistake(exc):
    """Check whether an error is a mistake of the user's, whose message says what to do.

    It is one where the traceback ends at a ``raise`` statement of skall, as all of skall's checks
    do. Where it ends elsewhere, in Python or another package, skall gave that something wrong, or
    has a bug. Errors of files, such as a missing permission, always count as mistakes: their
    message names the file.

    Parameters
    ----------
    exc : BaseException
        An error that was raised.

    Returns
    -------
    bool

    Examples
    --------
    >>> from skall import CNNClassifier
    >>> def judge(function):
    ...     try:
    ...         function()
    ...     except Exception as exc:
    ...         return is_mistake(exc)
    >>> judge(lambda: CNNClassifier(lr=-1).fit([[0, 0]], [0]))
    True
    >>> judge(lambda: None + 1)
    False
    >>> judge(lambda: open("nowhere/at/all"))
    True
    """
    if isinstance(exc, OSError):
        return True
    origin = traceback.extract_tb(exc.__traceback__)[-1]
    of_skall = PACKAGE in Path(origin.filename).parents and origin.line.startswith("raise ")
    return of_skall and isinstance(exc, REFUSALS)


def _show_warning(message, *place):
    print(f"skall: warning: {message}", file=sys.stderr)


def _describe_kept(arguments):
    if arguments.command != "compare" or "out" not in arguments:
        return "nothing was kept"
    return f"finished folds are kept in {arguments.out!r}: the same command resumes from there"


def _compare(arguments):
    """``skall compare``."""
    given = {name: value for name, value in vars(arguments).items() if name != "command"}
    as_json, quiet = given.pop("json", False), given.pop("quiet", False)
    data = given.pop("data", None)
    options = DEFAULTS | (SYNTHETIC_OPTIONS if data is None else {}) | given
    if "tune" in options:
        options["tune"] = _group_values(options["tune"])
    spelled, command = dict(options), format_command(data, options)
    ensembles = options.pop("ensembles", False)
    if ensembles and len(options["backbones"]) < 2:
        raise ValueError("--ensembles needs two backbones or more")
    if data is not None and "out" in options:
        _check_folder(data, options["out"])
    cells = _load(data, options.pop("groups", None), options.pop("columns", None), quiet)
    if options["cv"] == "fold":
        options["cv"] = _split_as_given(cells)
    elif "fold" in cells:
        warnings.warn("the data come with folds, which are not used; --cv fold does", stacklevel=2)
    if not quiet:
        _describe_cells(cells)
    backbones, seed = options.pop("backbones"), options.pop("seed")
    options.setdefault("pos_label", cells.pos_label)
    if options.get("error_score") == "nan":
        del options["error_score"]
    about = {"command": command, **_name_data(data, cells)}
    with _name_options(data, spelled):
        comparison = _run(cells, backbones, seed, quiet, ensembles, about, options)
    if as_json:
        _print_json(comparison)
    else:
        _print_tables(comparison, options.get("out"))
    return 1 if len(comparison.failures_) else 0


@contextmanager
def _name_options(data, options):
    """Name options instead of parameters in errors about folds."""
    from skall.comparison.splits import MissingClassError

    try:
        yield
    except MissingClassError as exc:
        message = exc.advise(f"--cv {exc.largest}", "--allow-missing-classes")
        if exc.largest is not None:
            message += f" The command:\n  {format_command(data, options | {'cv': exc.largest})}"
        raise ValueError(message) from exc


def _run(cells, backbones, seed, quiet, ensembles, about, options):
    """Run the comparison, and add ensembles and the command before it is written."""
    from dataclasses import replace

    from skall.comparison import compare
    from skall.comparison.cross_validation import run_comparison

    def finish(comparison):
        comparison = _add_ensembles(comparison) if ensembles else comparison
        return replace(comparison, protocol_=comparison.protocol_ | about)

    bound = signature(compare).bind(
        backbones,
        cells.data,
        cells.target,
        groups=cells.groups,
        random_state=seed,
        verbose=0 if quiet else 1,
        **options,
    )
    bound.apply_defaults()
    return run_comparison(**bound.arguments, finish=finish)


def _add_ensembles(comparison):
    """Add vote and stack, where two estimators or more have every fold."""
    if len(comparison.list_members()) < 2:
        warnings.warn("no ensembles: fewer than two networks have every fold", stacklevel=2)
        return comparison
    comparison = comparison.vote()
    try:
        return comparison.stack()
    except ValueError as exc:
        # The trained networks must not be lost.
        warnings.warn(f"no stack: {exc}", stacklevel=2)
        return comparison


def _name_data(data, cells):
    """Name the data set, and the folder or file that it was read from."""
    read = {} if data is None else {"source": os.path.basename(os.path.abspath(data))}
    return {"data": cells.name} | read


def _report(arguments):
    """``skall report``."""
    from skall.comparison import Comparison

    comparison = Comparison.read(arguments.folder)
    if arguments.json:
        _print_json(comparison)
        return 0
    path = comparison.report(arguments.out or os.path.join(arguments.folder, "report.html"))
    _print_tables(comparison, os.path.dirname(path) or ".")
    return 0


def _describe_cells(cells):
    """Print what was loaded: mistakes in the data show here first."""
    counts = sorted(Counter(cells.target).items())
    classes = ", ".join(f"{count} {label}" for label, count in counts)
    kept = "by image" if cells.groups is None else f"by {len(set(cells.groups))} patients"
    print(f"{len(cells.target)} images ({classes}), split {kept}", file=sys.stderr)


def _print_json(comparison):
    command = comparison.protocol_.get("command")
    results = {"command": command, "positive_class": comparison.pos_label_}
    if len(comparison.best_params_):
        results["best_params"] = comparison.best_params_.to_dict("records")
    if len(comparison.failures_):
        results["failures"] = comparison.failures_.to_dict("records")
    results |= {"summary": comparison.summary(), "flags": comparison.flags()}
    results |= {"estimators": comparison.to_dict()}
    print(json.dumps(results, indent=2, allow_nan=False))


def _print_tables(comparison, out):
    print(f"{comparison}\n(mean ± standard deviation over the folds)\n")
    chosen = comparison.best_params_
    if len(chosen):
        chosen = chosen.pivot(columns="parameter", index=["estimator", "repeat", "fold"])
        print(f"What was chosen in each fold:\n{chosen['value'].to_string()}\n")
    if out:
        print(f"Written to {out}: {', '.join(sorted(_list_files(out)))}")
    if "command" in comparison.protocol_:
        print(f"The full command:\n  {comparison.protocol_['command']}")


def _list_files(folder):
    endings = (".html", ".csv", ".png", ".tex", ".md")
    return [name for name in os.listdir(folder) if name.endswith(endings)]


def _group_values(tune):
    """Group the values by parameter."""
    names = [name for name, _ in tune]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"--tune {name} is there twice; give all its values at once")
    return dict(tune)


def _check_folder(data, out):
    """Refuse results among the images: they would be read as images."""
    inner, outer = os.path.realpath(out), os.path.realpath(data)
    if os.path.commonpath([inner, outer]) == outer:
        raise ValueError(f"--out {out!r} lies in the data, {data!r}; choose another folder")


def _split_as_given(cells):
    """Make a splitter of the folds that the data set comes with."""
    import numpy as np
    from sklearn.model_selection import PredefinedSplit

    if "fold" not in cells:
        raise ValueError("--cv fold: these data come without folds; give a number")
    names, numbers = np.unique(cells.fold, return_inverse=True)
    if "test" in names:
        # A single split, with one part to test on.
        return PredefinedSplit(np.where(names == "test", 0, -1)[numbers])
    return PredefinedSplit(numbers)


def _load(data, groups, columns, quiet):
    """Load the user's cells, or make the synthetic ones."""
    from skall.datasets import load_cells, make_blood_cells

    if data is not None:
        cells = load_cells(data, groups=groups, columns=columns)
        if cells.groups is None:
            warnings.warn(
                "no patients are known; a patient on both sides of a split makes scores too good: "
                "give --groups, or a CSV file with a column group",
                stacklevel=2,
            )
        return cells
    if groups is not None or columns is not None:
        raise ValueError("--groups and --columns are about DATA, which was not given")
    if not quiet:
        print(
            f"No DATA given: {SYNTHETIC_CELLS['n_samples']} synthetic cells of "
            f"{SYNTHETIC_CELLS['n_patients']} patients and small settings, about two minutes on "
            "2 cores",
            file=sys.stderr,
        )
    return make_blood_cells(**SYNTHETIC_CELLS)


def _show_cache(arguments):
    """``skall cache``."""
    from skall.cache.disk import open_cache

    store = open_cache(arguments.folder)
    if arguments.limit is not None:
        store.set_limit(round(1e9 * arguments.limit))
    if arguments.clear:
        store.clear()
    size, limit = store.nbytes / 1e9, store.max_bytes / 1e9
    print(f"{arguments.folder}: {len(store):,} arrays, {size:.3g} of {limit:g} GB")
    return 0


def _list_backbones(arguments):
    """``skall backbones``."""
    from skall.backbones.catalogue import describe_backbones

    table = describe_backbones()
    if arguments.json:
        print(table.reset_index().to_json(orient="records", indent=2))
        return 0
    broken = table["source"].str.startswith("error: ")
    shown = table[~broken].drop(columns=["source", "url"]).map(_format_cell)
    shown["license"] = shown["license"].str.ljust(shown["license"].str.len().max())
    print(shown.to_string())
    for name, error in table.loc[broken, "source"].items():
        print(f"{name}: {error}")
    print("\nWhere the weights come from: skall backbones --json. Models of timm go by timm/NAME.")
    return 0


def _format_cell(value):
    """Format numbers as 1,000, shapes as 512x7x7, and what is not known as nothing."""
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    if isinstance(value, float):
        return f"{value:,.0f}" if value == value else ""
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)


COMMANDS = {
    "compare": _compare,
    "report": _report,
    "cache": _show_cache,
    "backbones": _list_backbones,
}
