"""Is skall as fast on a GPU as it claims to be?

Images a second in training and prediction, beside the loop of PyTorch's tutorials and the best
hand-written step, and a comparison of ten backbones end to end. Measured as `speed.py` does, and
exits with 1 as it does. On a machine with one GPU, nothing has to be said; where a command must
not take long, its parts one after the other, which add to one file:

    python benchmarks/gpu.py
    python benchmarks/gpu.py --sections "gpu comparison" --backbones vgg16 --out gpu.csv
    python benchmarks/gpu.py --read gpu.csv

That the script works is seen without a GPU, in minutes:

    python benchmarks/gpu.py --device cpu --quick --no-compile
"""

import argparse
import sys
import tempfile
from pathlib import Path

import pandas as pd
import torch
from cells import FILE_SIZE, write_cells
from contestants.gpu_ways import SECTIONS, WORKERS
from contestants.networks import choose_weights
from measuring import Race
from options import add_race_options, choose_backbones, positive
from processor import has_bfloat16, name_processor
from reporting import measure_and_report, name_results, report, store

OURS, COMPARISON = "skall", "gpu comparison"
NETWORKS = ["mobilenetv2", "resnet50", "densenet201", "efficientnet_b3", "vgg16"]
BACKBONES = [
    *NETWORKS,
    "densenet121",
    "efficientnet_b0",
    "mobilenetv3_large",
    "resnet18",
    "resnet34",
]
QUICK_NETWORKS, QUICK_BACKBONES = ["timm/test_resnet"], ["timm/test_resnet", "squeezenet"]
# `part`: images of the tutorial loop that are measured, and scaled up, for the comparison.
FULL = {"images": 3000, "folds": 10, "epochs": 5, "part": 1280, "rounds": 5, "image_size": 224}
QUICK = {"images": 24, "folds": 2, "epochs": 2, "part": 8, "rounds": 5, "image_size": 64}
BATCH_SIZE, QUICK_BATCH_SIZE = 32, 8
# What makes a comparison whole.
WHOLE = ("images", "folds", "epochs", "part")


def measure(arguments):
    """Run every section."""
    frames = []
    with tempfile.TemporaryDirectory() as folder:
        write_cells(Path(folder), arguments.images, arguments.image_size)
        for section in arguments.sections:
            for network in choose_networks(section, arguments):
                task = make_task(network, arguments, folder)
                frames.append(race(section, network, task, arguments))
                store(frames[-1], arguments.out)
    return pd.concat(frames, ignore_index=True)


def choose_networks(section, arguments):
    """What a section is measured for, one after the other and each stored when it is done."""
    return arguments.backbones if section == COMPARISON else arguments.networks


def race(section, network, task, arguments):
    """Measure one section and network."""
    full = is_full(section, arguments)
    facts = {"full": full, "bfloat16": has_bfloat16(), "device": arguments.name}
    with Race(section, network, task, facts) as contest:
        contest.prepare(SECTIONS[section], arguments.contestants)
        if section == COMPARISON:
            # Long enough to be run once, and not to need warming up.
            return contest.run(1, warm_up=False)
        return contest.run(arguments.rounds)


def is_full(section, arguments):
    """Whether the bounds of a section, which are for a GPU and these sizes, bind."""
    if not arguments.on_gpu or arguments.quick:
        return False
    sizes = (arguments.image_size, arguments.batch_size) == (FULL["image_size"], BATCH_SIZE)
    if section == COMPARISON:
        return sizes and all(getattr(arguments, name) == FULL[name] for name in WHOLE)
    return sizes and arguments.rounds >= FULL["rounds"]


def make_task(network, arguments, folder):
    """What the contestants are told."""
    return {
        "network": network,
        "weights": choose_weights(network, arguments.weights),
        "head": "linear",
        "size": arguments.image_size,
        "threads": torch.get_num_threads(),
        "folder": folder,
        **{
            name: getattr(arguments, name)
            for name in (
                "batch_size",
                "compile",
                "device",
                "epochs",
                "folds",
                "part",
                "workers",
            )
        },
    }


def describe(arguments):
    """What the numbers were measured on."""
    return (
        f"# Speed on a GPU{' (quick run, not results)' if arguments.quick else ''}\n\n"
        f"{arguments.name}, batches of {arguments.batch_size}, {arguments.image_size} px, "
        f"{arguments.images} JPEG files of {FILE_SIZE} px; {arguments.rounds} rounds after one to "
        f"warm up; the tutorial loop decodes with {arguments.workers} processes. The comparison of "
        f"{len(arguments.backbones)} backbones, {arguments.folds} folds and {arguments.epochs} "
        "epochs is run once for each backbone. Intervals as those of `speed.py`."
    )


# -- command line ---------------------------------------------------------------------------------


def parse(argv):
    """The options, with those that `--quick` makes smaller."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny: only whether the script works")
    add_race_options(parser, SECTIONS)
    parser.add_argument("--backbones", type=choose_backbones, help="of the comparison")
    for name, value in FULL.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=positive, help=f"by default {value}"
        )
    parser.add_argument("--batch-size", type=positive)
    parser.add_argument("--workers", type=int, default=WORKERS, help="of the tutorial loop")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--weights", choices=("auto", "none"), default="auto")
    arguments = parser.parse_args(argv)
    fill_in(arguments)
    return arguments


def fill_in(arguments):
    """Give the options that were left out their values."""
    quick = arguments.quick
    defaults = {
        **(QUICK if quick else FULL),
        "networks": QUICK_NETWORKS if quick else NETWORKS,
        "backbones": QUICK_BACKBONES if quick else BACKBONES,
        "batch_size": QUICK_BATCH_SIZE if quick else BATCH_SIZE,
    }
    for name, value in defaults.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    on_gpu = arguments.device.startswith("cuda") and torch.cuda.is_available()
    arguments.on_gpu = on_gpu
    arguments.name = torch.cuda.get_device_name(arguments.device) if on_gpu else name_processor()
    if arguments.out is None:
        arguments.out = name_results("gpu-quick" if quick else "gpu", arguments.name)


def main(argv=None):
    arguments = parse(argv)
    if arguments.read is not None:
        return report(arguments.read, arguments.bounds, OURS)
    if arguments.device.startswith("cuda") and not torch.cuda.is_available():
        print("There is no GPU here that torch can use; --device cpu --quick tests the script.")
        return 2
    print(describe(arguments), flush=True)
    return measure_and_report(measure, arguments, OURS)


if __name__ == "__main__":
    sys.exit(main())
