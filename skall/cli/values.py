"""Options as text: parsing their values, and formatting a command."""

import argparse
import ast
import re
import shlex
from contextlib import suppress


def format_option(name):
    """Format the name of a parameter as an option."""
    return f"--{name.replace('_', '-')}"


def parse_size(text):
    """Parse a number of gigabytes above 0."""
    with suppress(ValueError):
        if 0 < (size := float(text)) < float("inf"):
            return size
    raise argparse.ArgumentTypeError(f"{text!r} is no size above 0 in GB, such as 2.5")


def parse_names(text):
    """Parse names that are separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def parse_tune(text):
    """Parse the name of a parameter and its values."""
    name, _, values = text.partition("=")
    if not name or not parse_names(values):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=A,B, as lr=1e-4,1e-3")
    return name.replace("-", "_"), [parse_value(value) for value in parse_names(values)]


def parse_columns(text):
    """Parse the headings of a table by skall's names for them; headings may have commas."""
    pairs = [pair.partition("=") for pair in re.split(r",(?=\w+=)", text)]
    if not all(name and heading for name, _, heading in pairs):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=HEADING,..., as path=file,label=diagnosis,group=patient"
        )
    return {name.strip(): heading.strip() for name, _, heading in pairs}


def parse_cv(text):
    """Parse a number of folds, or the word ``fold``."""
    with suppress(ValueError):
        return text if text == "fold" else int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither a number of folds nor 'fold'")


def parse_value(text):
    """Parse a number, true, false, none, or a tuple of numbers; other text stays text."""
    constants = {"none": None, "true": True, "false": False}
    if text.lower() in constants:
        return constants[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def format_value(value):
    """Format a value as the text that :func:`parse_value` parses."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(format_value, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def format_command(data, options):
    """Format the command with every option that its results depend on."""
    words = ["skall", "compare"] + ([] if data is None else [data])
    for name, value in options.items():
        if name == "baselines":
            words.append("--no-baselines")
        elif name in ("ensembles", "keep_weights", "allow_missing_classes"):
            words.append(format_option(name))
        elif name == "columns":
            words += ["--columns", ",".join("=".join(pair) for pair in value.items())]
        elif name == "tune":
            for parameter, values in value.items():
                words += ["--tune", f"{parameter}={format_value(values)}"]
        else:
            words += [format_option(name), format_value(value)]
    return shlex.join(words)
