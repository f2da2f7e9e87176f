"""What the reproductions of published comparisons share: options, data, reports.

A script describes its paper as a :class:`Study` and hands it to :func:`reproduce`.
"""

import argparse
import inspect
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from comparisons import compare_honestly
from paper_tables import read_published, to_markdown
from sklearn.utils import Bunch

from skall import __version__, datasets

SMOKE = "smoke run, not results"
# Small enough for minutes on two cores, and large enough for InceptionV3, which needs 75 pixels.
QUICK_SIZE = 80
QUICK_CELLS = {"n_samples": 48, "n_patients": 12, "image_size": QUICK_SIZE}
QUICK_NETWORK = {"weights": None, "image_size": QUICK_SIZE, "max_epochs": 2, "batch_size": 12}
FOLDS, QUICK_FOLDS = 10, 2
# Options that depart from what a study has planned.
CHANGES = ("cv", "image_size", "max_epochs")
# The same for every network of an honest comparison.
EQUAL_BUDGET = {
    "trainable": "all",
    "max_epochs": 50,
    "lr_schedule": "plateau",
    "early_stopping": True,
    "validation_fraction": 0.1,
    "n_iter_no_change": 8,
}


@dataclass(frozen=True)
class Study:
    """A published comparison, and how it is redone.

    Attributes
    ----------
    section : str
        Its name in ``published.toml``, which also lists its architectures.
    get_data : str
        Where the images are to be had.
    network : Mapping
        Parameters of every network, as :class:`skall.CNNClassifier` takes them.
    metrics : Mapping of str to str
        Metrics of skall, and what the tables call them.
    follow : Callable
        ``follow(task)`` runs the paper's own protocol and returns its table, and a list of texts
        and tables that go after it.
    left_open : Mapping of str to str
        What the paper leaves open, and what is done here.
    prepare : Callable
        ``prepare(images, size)`` does what the paper did to images before training.
    folds : bool
        Whether the paper has folds; else it has a single split.
    """

    section: str
    get_data: str
    network: Mapping
    metrics: Mapping
    follow: Callable
    left_open: Mapping
    prepare: Callable = lambda images, size: images
    folds: bool = True


@dataclass(frozen=True)
class Task:
    """A study on somebody's cells.

    Attributes
    ----------
    study : Study
    published : dict
        What the paper has published.
    cells : Bunch
    backbones : list of str
    network : dict
        Parameters of every network in this run.
    n_folds : int
    seed : int
    folder : pathlib.Path
        For the comparison and its tables.
    """

    study: Study
    published: dict
    cells: Bunch
    backbones: list
    network: dict
    n_folds: int
    seed: int
    folder: Path


def reproduce(study, argv=None):
    """Run a study as the command line says, and print its tables.

    Parameters
    ----------
    study : Study
    argv : list of str, optional
        Arguments, those of the process by default.
    """
    published = read_published()[study.section]
    parser = make_parser(study, published)
    arguments = parser.parse_args(argv)
    check_arguments(parser, study, published, arguments)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as scratch:
        warnings.showwarning = lambda message, *place: print(f"warning: {message}", file=sys.stderr)
        name = f"{study.section}-{'honest' if arguments.honest else 'protocol'}"
        name += f"-{SMOKE.replace(',', '').replace(' ', '-')}" if arguments.quick else ""
        try:
            task = plan(study, published, arguments, Path(arguments.out or scratch, name))
            table, blocks = compare_honestly(task) if arguments.honest else study.follow(task)
        except (ValueError, OSError, ImportError) as exc:
            notes = "".join(f" ({note})" for note in getattr(exc, "__notes__", ()))
            parser.exit(2, f"{parser.prog}: error: {exc}{notes}\n")
        report = compose(task, arguments, [table, *blocks])
        if arguments.out:
            write(task.folder, table.assign(note=SMOKE) if arguments.quick else table, report)
        print(report)


# -- what is asked for ----------------------------------------------------------------------------


def make_parser(study, published):
    """The options of a script."""
    about = f"{published['citation']}: its comparison, redone."
    parser = argparse.ArgumentParser(description=about, allow_abbrev=False)
    add = parser.add_argument
    add("data", nargs="?", metavar="DATA", help="folder or CSV file of cells, as skall loads it")
    add("--honest", action="store_true", help="equal budgets, folds by patient, inner splits")
    add("--quick", action="store_true", help=f"minutes on synthetic cells: {SMOKE}")
    names = ",".join(published["results"])
    add("--backbones", metavar="A,B", default=names, help=f"some of {names}")
    add("--cv", type=int, metavar="K", help=f"folds (default: {FOLDS}; with --quick {QUICK_FOLDS})")
    add("--image-size", type=int, metavar="N", help=f"default: {study.network['image_size']}")
    add("--max-epochs", type=int, metavar="N", help="epochs at most, instead of what is planned")
    add("--pos-label", metavar="LABEL", help="the leukaemic class, where the data do not say")
    add("--seed", type=int, default=0, metavar="N", help="of folds and networks (default: 0)")
    add("--out", metavar="DIR", help="keep finished folds, to go on from, and the tables there")
    return parser


def check_arguments(parser, study, published, arguments):
    """Leave with the usage where the arguments do not fit, or there are no images."""
    arguments.backbones = [name.strip() for name in arguments.backbones.split(",")]
    for name in arguments.backbones:
        if name not in published["results"]:
            known = ", ".join(published["results"])
            parser.error(f"--backbones: {name!r} is not in the paper, which compares {known}")
    if arguments.cv is not None and not (study.folds or arguments.honest):
        parser.error("--cv goes with --honest: the paper's own protocol is a single split")
    if arguments.quick and arguments.data:
        parser.error("--quick draws its own cells: give DATA or --quick, not both")
    if not (arguments.quick or arguments.data):
        parser.error(f"there is no DATA. {study.get_data} Or try --quick, on synthetic cells")
    if arguments.data and arguments.out:
        inner, outer = Path(arguments.out).resolve(), Path(arguments.data).resolve()
        if inner.is_relative_to(outer):
            parser.error(f"--out {arguments.out} lies in DATA, where figures would pass for cells")


def plan(study, published, arguments, folder):
    """Load the cells, and settle what every network gets."""
    network = dict(study.network)
    network |= EQUAL_BUDGET if arguments.honest else {}
    network |= QUICK_NETWORK if arguments.quick else {}
    for name in ("image_size", "max_epochs"):
        if getattr(arguments, name) is not None:
            network[name] = getattr(arguments, name)
    cells = load(arguments)
    cells.data = study.prepare(cells.data, network["image_size"])
    planned = QUICK_FOLDS if arguments.quick else FOLDS
    n_folds = planned if arguments.cv is None else arguments.cv
    return Task(
        study, published, cells, arguments.backbones, network, n_folds, arguments.seed, folder
    )


def load(arguments):
    """The user's cells, or synthetic ones."""
    if arguments.quick:
        return datasets.make_blood_cells(**QUICK_CELLS, random_state=arguments.seed)
    cells = datasets.load_cells(arguments.data, pos_label=arguments.pos_label)
    if len(cells.target_names) != 2:
        raise ValueError(
            f"{arguments.data} has {len(cells.target_names)} classes "
            f"({', '.join(cells.target_names)}); the paper tells two apart, healthy and leukaemic"
        )
    return cells


# -- reports --------------------------------------------------------------------------------------


def compose(task, arguments, blocks):
    """The report as Markdown."""
    title = "The same networks, compared honestly" if arguments.honest else "The paper's protocol"
    parts = [f"# {SMOKE}"] if arguments.quick else []
    parts += [f"# {title}: {task.published['citation']}", *blocks]
    if not arguments.honest:
        choices = "\n".join(f"- {what}: {choice}." for what, choice in task.study.left_open.items())
        parts += ["## What the paper leaves open, and what was done here", choices]
    parts += ["## What was run", describe_run(task, arguments)]
    if arguments.quick:
        parts.append(f"({SMOKE})")
    return "\n\n".join(part if isinstance(part, str) else to_markdown(part) for part in parts)


def describe_run(task, arguments):
    """Data and settings of this run, as Markdown."""
    counts = pd.Series(task.cells.target).value_counts()
    cells = ", ".join(f"{count} {label}" for label, count in counts.items())
    groups = task.cells.groups
    patients = "patients unknown" if groups is None else f"{pd.Series(groups).nunique()} patients"
    network = ", ".join(
        f"{name}={value.__name__ if inspect.isclass(value) else value!r}"
        for name, value in task.network.items()
    )
    changed = [
        f"--{name.replace('_', '-')} {value}"
        for name in CHANGES
        if (value := getattr(arguments, name)) is not None
    ]
    changed = f"- Other than planned: {', '.join(changed)}.\n" if changed else ""
    return (
        f"- Cells: {arguments.data or 'synthetic'}: {cells}; {patients}.\n{changed}"
        f"- Every network, but for what is said above: {network}.\n"
        f"- Seed {task.seed}; skall {__version__}."
    )


def write(folder, table, report):
    """Keep a table as CSV, and the report."""
    table.to_csv(folder / "table.csv")
    (folder / "report.md").write_text(f"{report}\n", encoding="utf-8")
    print(f"Written to {folder}: table.csv, report.md", file=sys.stderr)
