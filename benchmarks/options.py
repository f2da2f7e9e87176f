"""Options that the scripts of speed share; a mistake in one is told before anything is measured."""

import argparse
import tomllib
from functools import partial

import pandas as pd
from ratios import BOUNDS, read_bounds

from skall.backbones.registry import get_backbone

# Without these a file is none of results.
COLUMNS = {
    *("section", "network", "contestant", "measure", "round", "seconds", "scale", "threads"),
    *("precision", "allocator", "note", "full", "bfloat16"),
}


def add_race_options(parser, sections):
    """What is measured, what it is held against, and where it is written.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    sections : dict of str to list of Contestant
    """
    add = parser.add_argument
    add("--sections", type=partial(choose_sections, sections), default=list(sections))
    add("--networks", type=choose_backbones, help="for every section")
    add(
        "--contestants",
        type=partial(choose_contestants, sections),
        help="these alone, by name, with semicolons between",
    )
    add("--bounds", type=choose_bounds, default=str(BOUNDS), help="TOML file of bounds")
    add("--out", help="CSV file; by default in benchmarks/results")
    add("--read", metavar="CSV", type=read_results, help="judge what was stored; measure nothing")


def positive(text):
    """An integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no integer of at least 1")
    return int(text)


def choose_sections(sections, text):
    """Sections by their names or first words: ``frozen`` is both of its heads."""
    chosen = []
    for word in text.split(","):
        found = [name for name in sections if word in (name, name.partition(" ")[0])]
        if not found:
            raise argparse.ArgumentTypeError(f"no section {word!r}; there are {list(sections)}")
        chosen += found
    return chosen


def choose_contestants(sections, text):
    """Names of contestants."""
    known = {contestant.name for section in sections.values() for contestant in section}
    names = text.split(";")
    unknown = sorted(set(names) - known)
    if unknown:
        raise argparse.ArgumentTypeError(f"no contestants {unknown}; there are {sorted(known)}")
    return names


def choose_backbones(text):
    """Names of backbones."""
    names = text.split(",")
    for name in names:
        try:
            get_backbone(name)
        except (ValueError, ImportError) as exc:
            raise argparse.ArgumentTypeError(str(exc)) from exc
    return names


def choose_bounds(path):
    """The bounds in a file."""
    try:
        return read_bounds(path)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as exc:
        raise argparse.ArgumentTypeError(
            f"{path!r} holds no bounds ({exc}); see {BOUNDS.name}"
        ) from exc


def read_results(path):
    """Measurements that were stored."""
    try:
        measurements = pd.read_csv(path)
    except (OSError, ValueError) as exc:
        raise argparse.ArgumentTypeError(f"{path!r} cannot be read: {exc}") from exc
    missing = sorted(COLUMNS - set(measurements))
    if missing:
        raise argparse.ArgumentTypeError(f"{path!r} holds no results: it lacks {missing}")
    return measurements
