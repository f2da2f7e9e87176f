"""Is skall as fast as it claims to be, beside its peers and beside what is possible?

Every ratio is measured side by side in one run: the contestants wait in processes of their own, and
each round runs each of them once, in another order. Prints medians, paired ratios with
intervals, and bounds; exits with 1 where a ratio is beyond its bound or a contestant failed.

    python benchmarks/speed.py --quick
    python benchmarks/speed.py --sections training --networks resnet50
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import pandas as pd
from cells import FILE_SIZE, write_cells
from contestants import SECTIONS, check_contestants
from contestants.networks import choose_weights
from measuring import Race
from processor import has_bfloat16, name_processor
from ratios import BOUNDS, read_bounds
from reporting import name_results, report, store

OURS = "skall, tuned"
NETWORKS = ["mobilenetv2", "resnet50", "densenet201"]
FROZEN_NETWORKS = QUICK_NETWORKS = ["mobilenetv2"]
# Images and folds of a frozen trunk; steps of an epoch; batches of a prediction; rounds.
FULL = {"images": 260, "folds": 10, "epochs": 5, "steps": 5, "repeats": 5, "rounds": 7}
QUICK = {"images": 64, "folds": 2, "epochs": 5, "steps": 2, "repeats": 2, "rounds": 5}
SIZE, BATCH_SIZE = 224, 32
LEAST_ROUNDS = 5


# -- what is measured -----------------------------------------------------------------------------


def make_task(section, network, arguments, folder):
    """What the contestants of a section are told, with the images written for it."""
    kind, _, head = section.partition(" ")
    plan = arguments.plan
    n_images = plan["images"] if kind == "frozen" else plan["steps"] * arguments.batch_size
    write_cells(folder, n_images, arguments.image_size)
    return {
        "network": network,
        "weights": choose_weights(network, arguments.weights),
        "head": head or "linear",
        "size": arguments.image_size,
        "batch_size": arguments.batch_size,
        "threads": arguments.threads,
        "folder": str(folder),
        **{name: plan[name] for name in ("folds", "epochs", "steps", "repeats")},
    }


def choose_networks(section, arguments):
    """The networks of a section, unless others are asked for."""
    if arguments.networks:
        return arguments.networks
    if arguments.quick:
        return QUICK_NETWORKS
    return FROZEN_NETWORKS if section.startswith("frozen") else NETWORKS


def is_full(arguments):
    """Whether nothing was made smaller than what the bounds of a whole run are for."""
    sizes = arguments.image_size, arguments.batch_size
    parts = {**arguments.plan, "rounds": FULL["rounds"]}
    enough = arguments.plan["rounds"] >= LEAST_ROUNDS
    return parts == FULL and sizes == (SIZE, BATCH_SIZE) and enough


def measure(arguments):
    """Run every chosen section and network."""
    facts = {"full": is_full(arguments), "bfloat16": has_bfloat16()}
    frames = []
    for section in arguments.sections:
        for network in choose_networks(section, arguments):
            with tempfile.TemporaryDirectory() as folder:
                task = make_task(section, network, arguments, Path(folder))
                with Race(section, network, task, facts) as race:
                    race.prepare(SECTIONS[section], arguments.contestants)
                    frames.append(race.run(arguments.plan["rounds"]))
            store(frames[-1], arguments.out)
    return pd.concat(frames, ignore_index=True)


# -- what is printed ------------------------------------------------------------------------------


def describe(arguments):
    """What the numbers were measured on, and what they mean."""
    plan = arguments.plan
    bfloat16 = "bfloat16 instructions" if has_bfloat16() else "no bfloat16 instructions"
    return (
        f"# Speed{' (quick run)' if arguments.quick else ''}\n\n"
        f"{name_processor()}, {bfloat16}, {arguments.threads} threads, batches of "
        f"{arguments.batch_size}, {arguments.image_size} px; {plan['rounds']} rounds after one to "
        f"warm up. Frozen trunks: {plan['images']} JPEG files of {FILE_SIZE} px, {plan['folds']} "
        f"folds, {plan['epochs']} epochs. Training: {plan['steps']} steps an epoch. Ratios are "
        "medians of the ratios within rounds, with the interval of the sign test (95 %, or that of "
        "the extremes: 93.8 % of 5 rounds, 96.9 % of 6). `tuned`: with `skall.tune_allocator()`."
    )


# -- command line ---------------------------------------------------------------------------------


def split_words(text):
    return text.split(",")


def choose_sections(text):
    """Sections by their names or first words: ``frozen`` is both of its heads."""
    chosen = []
    for word in split_words(text):
        found = [name for name in SECTIONS if word in (name, name.partition(" ")[0])]
        if not found:
            raise argparse.ArgumentTypeError(f"no section {word!r}; there are {list(SECTIONS)}")
        chosen += found
    return chosen


def parse(argv):
    """The options, with the plan that they make."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one network, little data: minutes")
    parser.add_argument("--sections", type=choose_sections, default=list(SECTIONS))
    parser.add_argument("--networks", type=split_words, help="for every section")
    parser.add_argument(
        "--contestants",
        type=lambda text: text.split(";"),
        help="these alone, by name, with semicolons between",
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--image-size", type=int, default=SIZE)
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE)
    for name, value in FULL.items():
        parser.add_argument(f"--{name}", type=int, help=f"{value}, or {QUICK[name]} with --quick")
    parser.add_argument(
        "--weights",
        choices=("auto", "imagenet", "none"),
        default="auto",
        help="auto: ImageNet's where the folder SKALL_WEIGHTS has them, else random",
    )
    parser.add_argument("--bounds", default=BOUNDS, help="TOML file of bounds")
    parser.add_argument("--out", help="CSV file; by default in benchmarks/results")
    parser.add_argument("--read", metavar="CSV", help="judge what was stored; measure nothing")
    arguments = parser.parse_args(argv)
    check_contestants(arguments.contestants, SECTIONS, parser)
    plan = QUICK if arguments.quick else FULL
    arguments.plan = {
        name: value if getattr(arguments, name) is None else getattr(arguments, name)
        for name, value in plan.items()
    }
    if arguments.out is None:
        kind = "speed-quick" if arguments.quick else "speed"
        hardware = f"cpu-{name_processor()}-{arguments.threads}-threads"
        arguments.out = name_results(kind, hardware)
    return arguments


def main(argv=None):
    arguments = parse(argv)
    bounds = read_bounds(arguments.bounds)
    if arguments.read:
        return report(pd.read_csv(arguments.read), bounds, OURS)
    print(describe(arguments), flush=True)
    status = report(measure(arguments), bounds, OURS)
    print(f"\nWritten to {arguments.out}")
    return status


if __name__ == "__main__":
    sys.exit(main())
