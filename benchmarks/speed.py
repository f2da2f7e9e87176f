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
from contestants import SECTIONS
from contestants.networks import choose_weights
from measuring import Race
from options import add_race_options, positive
from processor import has_bfloat16, name_processor
from reporting import measure_and_report, name_results, report, store

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


def parse(argv):
    """The options, with the plan that they make."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one network, little data: minutes")
    add_race_options(parser, SECTIONS)
    parser.add_argument("--threads", type=positive, default=os.cpu_count())
    parser.add_argument("--image-size", type=positive, default=SIZE)
    parser.add_argument("--batch-size", type=positive, default=BATCH_SIZE)
    for name, value in FULL.items():
        said = f"{value}, or {QUICK[name]} with --quick"
        parser.add_argument(f"--{name}", type=positive, help=said)
    parser.add_argument(
        "--weights",
        choices=("auto", "imagenet", "none"),
        default="auto",
        help="auto: ImageNet's where the folder SKALL_WEIGHTS has them, else random",
    )
    arguments = parser.parse_args(argv)
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
    if arguments.read is not None:
        return report(arguments.read, arguments.bounds, OURS)
    print(describe(arguments), flush=True)
    return measure_and_report(measure, arguments, OURS)


if __name__ == "__main__":
    sys.exit(main())
