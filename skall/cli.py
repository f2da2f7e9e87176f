"""The command line.

Nothing heavy is imported before it is needed: ``skall --help`` answers at once.
"""

import argparse
import ast
import inspect
import json
import os
import re
import shlex
import sys
import warnings

DEFAULTS = {
    "backbones": ["resnet18", "mobilenetv2", "squeezenet"],
    "cv": 10,
    "repeats": 1,
    "seed": 0,
    "n_jobs": 1,
}
# Without DATA: enough to see networks learn within minutes on two cores.
SYNTHETIC_CELLS = {"n_samples": 240, "n_patients": 24, "image_size": 64, "random_state": 0}
SYNTHETIC_OPTIONS = {
    "cv": 3,
    "weights": None,
    "image_size": 64,
    "max_epochs": 8,
    "batch_size": 24,
    "lr": 2e-3,
    "lr_schedule": "cosine",
}
# Not options: the command line has its own word for them, or they are Python objects.
NOT_OPTIONS = {"backbone", "random_state", "verbose", "callbacks", "train_split"}


def main(argv=None):
    """Run a command of skall.

    Parameters
    ----------
    argv : list of str, optional
        Arguments, those of the process by default.

    Returns
    -------
    int
        Exit status: 0, 2 for a mistake of the user's, 130 when interrupted.
    """
    # Waiting threads that spin slow everything down where cores are shared; torch reads it once.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    argv = sys.argv[1:] if argv is None else argv
    arguments = _make_parser(argv).parse_args(argv)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            arguments.run(arguments)
        except (ValueError, TypeError, OSError, ImportError, NotImplementedError) as exc:
            notes = "".join(f" ({note})" for note in getattr(exc, "__notes__", ()))
            print(f"skall: error: {exc}{notes}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print(f"skall: interrupted; {_describe_kept(arguments)}", file=sys.stderr)
            return 130
    return 0


def _show_warning(message, *place):
    print(f"skall: warning: {message}", file=sys.stderr)


def _describe_kept(arguments):
    if "out" not in arguments:
        return "nothing was kept"
    return f"finished folds are kept in {arguments.out!r}: the same command goes on from there"


def _make_parser(argv):
    """The parser; options that need the library only for the command that has them."""
    parser = argparse.ArgumentParser(
        prog="skall",
        description="Compare convolutional networks on blood-cell images.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        default=argparse.SUPPRESS,
        help="print the version and exit",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    compare = commands.add_parser(
        "compare",
        help="cross-validate backbones over the same folds",
        description="Cross-validate backbones over the same folds, patient by patient.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    compare.set_defaults(run=_compare)
    _add_compare_options(compare)
    if "compare" in argv:
        _add_classifier_options(compare)
    backbones = commands.add_parser(
        "backbones", help="list the backbones", description="List the backbones and their size."
    )
    backbones.set_defaults(run=_list_backbones)
    return parser


class _Version(argparse.Action):
    """Prints the version, which is looked up only now."""

    def __call__(self, parser, *parsed):
        from skall import __version__

        print(f"skall {__version__}")
        parser.exit()


def _add_compare_options(parser):
    add = parser.add_argument
    add(
        "data",
        metavar="DATA",
        nargs="?",
        help="folder or CSV file of labelled images; synthetic cells with small settings if left "
        "out",
    )
    names = ",".join(DEFAULTS["backbones"])
    add("--backbones", type=_parse_names, metavar="A,B", help=f"names (default: {names})")
    add(
        "--groups",
        metavar="REGEX",
        help="finds the patient in the names of files in class folders, as '(.+)_[0-9]+'",
    )
    add(
        "--cv",
        type=_parse_cv,
        metavar="K",
        help=f"folds, or 'fold' for those that the data come with (default: {DEFAULTS['cv']})",
    )
    add("--repeats", type=int, metavar="N", help="how often they are dealt anew (default: 1)")
    add("--scoring", type=_parse_names, metavar="A,B", help="metrics (default: all)")
    add("--pos-label", metavar="LABEL", help="the positive class (default: the leukaemic one)")
    add("--seed", type=int, metavar="N", help="of folds and networks (default: 0)")
    add("--n-jobs", type=int, metavar="N", help="worker processes (default: 1)")
    add("--no-baselines", dest="baselines", action="store_false", help="leave the dummy out")
    add("--out", metavar="FOLDER", help="where results go; the same command resumes there")
    add("--json", action="store_true", help="print the results as JSON, and nothing else")


def _add_classifier_options(parser):
    """An option for each parameter of CNNClassifier that text can express."""
    from skall.classifier import CNNClassifier

    group = parser.add_argument_group("parameters of every network (skall.CNNClassifier)")
    meanings = _read_meanings(CNNClassifier.__doc__)
    for name, parameter in inspect.signature(CNNClassifier.__init__).parameters.items():
        is_option = parameter.kind is parameter.KEYWORD_ONLY and name not in NOT_OPTIONS
        if is_option and not inspect.isclass(parameter.default):
            group.add_argument(
                _spell(name),
                type=_parse_value,
                metavar="VALUE",
                help=f"{meanings[name]} (default: {_format_value(parameter.default)})",
            )


def _read_meanings(docstring):
    """Type and description of each parameter of a numpydoc docstring, as one line of help."""
    section = inspect.cleandoc(docstring).partition("Parameters\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^(\w+) : (.+)\n((?: +.+\n?)*)", section, flags=re.MULTILINE)
    meanings = {}
    for name, kind, text in entries:
        kind = kind.partition(", default")[0].removesuffix(", optional")
        words = re.sub(r":\w+:`([^`]+)`", r"\1", " ".join(text.split()))
        words = words.replace("``", "").replace("%", "%%")
        meanings[name] = f"{kind}. {words}" if words else kind
    return meanings


def _spell(name):
    return f"--{name.replace('_', '-')}"


def _parse_names(text):
    return [name.strip() for name in text.split(",") if name.strip()]


def _parse_cv(text):
    """A number of folds, or the word for the data's own."""
    return text if text == "fold" else int(text)


def _parse_value(text):
    """A number, true, false, none, or a tuple of numbers, where the text is one; else the text."""
    constants = {"none": None, "true": True, "false": False}
    if text.lower() in constants:
        return constants[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _format_value(value):
    """The text that :func:`_parse_value` reads as this value."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _compare(arguments):
    """``skall compare``."""
    from skall.comparison import compare

    given = {name: value for name, value in vars(arguments).items() if name != "run"}
    as_json = given.pop("json", False)
    data = given.pop("data", None)
    options = DEFAULTS | (SYNTHETIC_OPTIONS if data is None else {}) | given
    command = _spell_command(data, options)
    if data is not None and "out" in options:
        _keep_apart(data, options["out"])
    cells = _load(data, options.pop("groups", None))
    if options["cv"] == "fold":
        options["cv"] = _split_as_given(cells)
    elif "fold" in cells:
        warnings.warn("the data come with folds, which are not used; --cv fold does", stacklevel=2)
    backbones, seed = options.pop("backbones"), options.pop("seed")
    options.setdefault("pos_label", cells.pos_label)
    comparison = compare(
        backbones, cells.data, cells.target, groups=cells.groups, random_state=seed, **options
    )
    if as_json:
        results = {"command": command, "positive_class": comparison.pos_label_}
        print(json.dumps(results | {"estimators": comparison.to_dict()}, indent=2, allow_nan=False))
        return
    print(f"{comparison}\nmean ± standard deviation over the folds\n")
    if "out" in options:
        print(f"Written to {options['out']}: scores.csv, predictions.csv, table.csv, accuracy.png")
    print(f"The full command:\n  {command}")


def _keep_apart(data, out):
    """Results among the images would be taken for images."""
    inner, outer = os.path.realpath(out), os.path.realpath(data)
    if os.path.commonpath([inner, outer]) == outer:
        raise ValueError(f"--out {out!r} lies in the data, {data!r}; choose another folder")


def _split_as_given(cells):
    """The folds that the data set comes with."""
    import numpy as np
    from sklearn.model_selection import PredefinedSplit

    if "fold" not in cells:
        raise ValueError("--cv fold: these data come without folds; give a number")
    return PredefinedSplit(np.unique(cells.fold, return_inverse=True)[1])


def _load(data, groups):
    """The user's cells, or the synthetic ones."""
    from skall.datasets import load_cells, make_blood_cells

    if data is not None:
        cells = load_cells(data, groups=groups)
        if cells.groups is None:
            warnings.warn(
                "no patients are known; a patient on both sides of a split makes scores too good: "
                "give --groups, or a CSV file with a column group",
                stacklevel=2,
            )
        return cells
    cells = make_blood_cells(**SYNTHETIC_CELLS)
    print(
        f"No DATA given: {SYNTHETIC_CELLS['n_samples']} synthetic cells of "
        f"{SYNTHETIC_CELLS['n_patients']} patients and small settings, a minute or two on 2 cores",
        file=sys.stderr,
    )
    return cells


def _spell_command(data, options):
    """The command with every option that decides its results."""
    words = ["skall", "compare"] + ([] if data is None else [data])
    for name, value in options.items():
        if name == "baselines":
            words.append("--no-baselines")
        else:
            words += [_spell(name), _format_value(value)]
    return shlex.join(words)


def _list_backbones(arguments):
    """``skall backbones``."""
    from skall.summary import describe_backbones

    table = describe_backbones().map(_format_cell)
    for column in table.columns.intersection(["source", "license", "url"]):
        table[column] = table[column].str.ljust(table[column].str.len().max())
    print(table.to_string())


def _format_cell(value):
    """Whole numbers with thousands apart, nothing for what is not known."""
    if isinstance(value, float):
        return f"{value:,.0f}" if value == value else ""
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)
