"""The options of the command line: what their words mean, and how values are spelt.

Nothing heavy is imported before it is needed.
"""

import argparse
import ast
import inspect
import re
import shlex
from contextlib import suppress

DEFAULTS = {
    "backbones": ["resnet18", "mobilenetv2", "squeezenet"],
    "cv": 10,
    "repeats": 1,
    "seed": 0,
    "n_jobs": 1,
}
# Not options: the command line has its own word for them, or they are Python objects.
NOT_OPTIONS = {"backbone", "random_state", "verbose", "callbacks", "train_split"}


def add_compare_options(parser):
    """The options of ``skall compare`` itself."""
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
        "--columns",
        type=_parse_columns,
        metavar="path=NAME,...",
        help="headings of the CSV file where they are not path, label, group, site, fold",
    )
    add(
        "--cv",
        type=_parse_cv,
        metavar="K",
        help=f"folds, or 'fold' for those that the data come with (default: {DEFAULTS['cv']})",
    )
    add(
        "--allow-missing-classes",
        action="store_true",
        help="go on where a part lacks a class, and leave out what cannot be measured there",
    )
    add("--repeats", type=int, metavar="N", help="how often they are dealt anew (default: 1)")
    add(
        "--scoring",
        type=_parse_names,
        metavar="A,B",
        help="metrics, also sensitivity_at_95_specificity (default: all but that)",
    )
    add("--pos-label", metavar="LABEL", help="the positive class (default: the leukaemic one)")
    add("--seed", type=int, metavar="N", help="of folds and networks (default: 0)")
    add("--n-jobs", type=int, metavar="N", help="worker processes (default: 1)")
    add(
        "--no-baselines",
        dest="baselines",
        action="store_false",
        help="leave the dummy and the shortcuts out",
    )
    add("--out", metavar="FOLDER", help="where results go; the same command resumes there")
    add(
        "--keep-weights",
        action="store_true",
        help="keep the network of every fold in FOLDER/folds/, which skall.load reads",
    )
    add(
        "--error-score",
        choices=("nan", "raise"),
        help="where a network raises in a fold: go on and exit with 1 at the end, or stop there "
        "(default: nan)",
    )
    add("--tracking", metavar="NAME", help="'mlflow' logs a run, with a child for each fold")
    add("--json", action="store_true", help="print the results as JSON, and nothing else")
    add("--quiet", action="store_true", help="no progress bars and no description of the data")
    group = parser.add_argument_group(
        "tuning and ensembles",
        "skall compare DATA --tune lr=1e-4,1e-3 --tune dropout=0,0.2,0.5 tries six combinations "
        "for every network, within the training part of each fold; with --strategy optuna "
        "--trials 4 it tries four.",
    )
    group.add_argument(
        "--tune",
        action="append",
        type=_parse_tune,
        metavar="NAME=A,B",
        help="values of a parameter to choose from, in every fold anew; may be given repeatedly",
    )
    group.add_argument("--strategy", metavar="NAME", help="grid, halving or optuna (default: grid)")
    group.add_argument(
        "--trials", type=int, metavar="N", help="combinations to try, for halving and optuna"
    )
    group.add_argument(
        "--ensembles",
        action="store_true",
        help="add the rows vote and stack, made of the networks' held-out probabilities",
    )


def add_report_options(parser):
    """The options of ``skall report``."""
    parser.add_argument("folder", metavar="DIR", help="what skall compare --out has written")
    parser.add_argument(
        "--out", metavar="FILE", help="where the page goes (default: DIR/report.html)"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON instead")


def add_cache_options(parser):
    """The options of ``skall cache``."""
    parser.add_argument(
        "folder", metavar="FOLDER", help="the folder that --memory named, or OUT/cache"
    )
    parser.add_argument("--limit", type=_parse_size, metavar="GB", help="the most that it may hold")
    parser.add_argument("--clear", action="store_true", help="remove every array")


def add_backbones_options(parser):
    """The options of ``skall backbones``."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="as JSON, with the source of each network and the address of its weights",
    )


def _parse_size(text):
    """A number of gigabytes above 0."""
    with suppress(ValueError):
        if 0 < (size := float(text)) < float("inf"):
            return size
    raise argparse.ArgumentTypeError(f"{text!r} is no size above 0 in GB, such as 2.5")


def add_classifier_options(parser):
    """An option for each parameter of CNNClassifier that text can express."""
    from skall.classifier import CNNClassifier

    group = parser.add_argument_group("parameters of every network (skall.CNNClassifier)")
    meanings = _read_meanings(CNNClassifier.__doc__)
    for name, parameter in inspect.signature(CNNClassifier.__init__).parameters.items():
        is_option = parameter.kind is parameter.KEYWORD_ONLY and name not in NOT_OPTIONS
        if is_option and not inspect.isclass(parameter.default):
            group.add_argument(
                _spell(name),
                type=parse_value,
                metavar="VALUE",
                help=f"{meanings[name]} (default: {format_value(parameter.default)})",
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


def _parse_tune(text):
    """The name of a parameter and its values."""
    name, _, values = text.partition("=")
    if not name or not _parse_names(values):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=A,B, as lr=1e-4,1e-3")
    return name.replace("-", "_"), [parse_value(value) for value in _parse_names(values)]


def _parse_columns(text):
    """The headings of a table by our own names; headings may hold commas."""
    pairs = [pair.partition("=") for pair in re.split(r",(?=\w+=)", text)]
    if not all(name and heading for name, _, heading in pairs):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=HEADING,..., as path=file,label=diagnosis,group=patient"
        )
    return {name.strip(): heading.strip() for name, _, heading in pairs}


def _parse_cv(text):
    """A number of folds, or the word for the data's own."""
    return text if text == "fold" else int(text)


def parse_value(text):
    """A number, true, false, none, or a tuple of numbers, where the text is one; else the text."""
    constants = {"none": None, "true": True, "false": False}
    if text.lower() in constants:
        return constants[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def format_value(value):
    """The text that :func:`parse_value` reads as this value."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(format_value, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def spell_command(data, options):
    """The command with every option that decides its results."""
    words = ["skall", "compare"] + ([] if data is None else [data])
    for name, value in options.items():
        if name == "baselines":
            words.append("--no-baselines")
        elif name in ("ensembles", "keep_weights", "allow_missing_classes"):
            words.append(_spell(name))
        elif name == "columns":
            words += ["--columns", ",".join("=".join(pair) for pair in value.items())]
        elif name == "tune":
            for parameter, values in value.items():
                words += ["--tune", f"{parameter}={format_value(values)}"]
        else:
            words += [_spell(name), format_value(value)]
    return shlex.join(words)
