"""Values of options as text: how they are read, and how a command is written."""

import argparse
import ast
import re
import shlex
from contextlib import suppress


def spell_option(name):
    """Write the name of a parameter as an option."""
    return f"--{name.replace('_', '-')}"


def parse_size(text):
    """Read a number of gigabytes above 0."""
    with suppress(ValueError):
        if 0 < (size := float(text)) < float("inf"):
            return size
    raise argparse.ArgumentTypeError(f"{text!r} is no size above 0 in GB, such as 2.5")


def parse_names(text):
    """Read names with commas between them."""
    return [name.strip() for name in text.split(",") if name.strip()]


def parse_tune(text):
    """Read the name of a parameter and its values."""
    name, _, values = text.partition("=")
    if not name or not parse_names(values):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=A,B, as lr=1e-4,1e-3")
    return name.replace("-", "_"), [parse_value(value) for value in parse_names(values)]


def parse_columns(text):
    """Read the headings of a table, which may hold commas, by skall's own names."""
    pairs = [pair.partition("=") for pair in re.split(r",(?=\w+=)", text)]
    if not all(name and heading for name, _, heading in pairs):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=HEADING,..., as path=file,label=diagnosis,group=patient"
        )
    return {name.strip(): heading.strip() for name, _, heading in pairs}


def parse_cv(text):
    """Read a number of folds, or the word ``fold``."""
    with suppress(ValueError):
        return text if text == "fold" else int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither a number of folds nor 'fold'")


def parse_value(text):
    """Read a number, true, false, none, or a tuple of numbers; any other text stays text."""
    constants = {"none": None, "true": True, "false": False}
    if text.lower() in constants:
        return constants[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def format_value(value):
    """Write a value as the text that :func:`parse_value` reads."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(format_value, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def spell_command(data, options):
    """Write the command with every option that decides its results."""
    words = ["skall", "compare"] + ([] if data is None else [data])
    for name, value in options.items():
        if name == "baselines":
            words.append("--no-baselines")
        elif name in ("ensembles", "keep_weights", "allow_missing_classes"):
            words.append(spell_option(name))
        elif name == "columns":
            words += ["--columns", ",".join("=".join(pair) for pair in value.items())]
        elif name == "tune":
            for parameter, values in value.items():
                words += ["--tune", f"{parameter}={format_value(values)}"]
        else:
            words += [spell_option(name), format_value(value)]
    return shlex.join(words)
