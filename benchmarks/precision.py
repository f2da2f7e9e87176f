"""In which precision and memory format is each family of backbones fastest on this device?

Times a step of training and a batch of prediction of one network a family, in every precision and
memory format by turns, and writes the rows of this device's capability into the table that
`precision="auto"` follows. A family whose differences are within the noise gets the default.

    python benchmarks/precision.py                # prints what it finds
    python benchmarks/precision.py --write        # and writes it into skall/network/precision.csv
"""

import argparse
import csv
import itertools
import platform
import statistics
import time
from pathlib import Path

import torch
from options import choose_backbones, positive
from torch import nn

from skall import tune_allocator
from skall.network.device import resolve_device
from skall.network.folding import accelerate
from skall.network.heads import make_head
from skall.network.network import Network
from skall.network.precision import (
    MEMORY_FORMATS,
    Numerics,
    name_capability,
    name_family,
    read_table,
)
from skall.network.trunk import build_extractor, measure_features

TABLE = Path(__file__).parents[1] / "skall" / "network" / "precision.csv"
COLUMNS = ["family", "capability", "precision", "memory_format", "speedup", "source"]
# One of each family.
NETWORKS = (
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnetv2_s"),
    *("inceptionv3", "mobilenet", "mobilenetv2", "mobilenetv3_large", "resnet50"),
    *("resnet50v2", "squeezenet", "vgg16", "xception"),
)
# Below this gain over the default nothing is changed for.
LEAST_GAIN = 1.05


class Trial:
    """One network in one precision and memory format.

    Parameters
    ----------
    name : str
        The backbone's.
    numerics : Numerics
    images : torch.Tensor
        uint8 ``(n, 3, size, size)`` on the device.
    """

    def __init__(self, name, numerics, images):
        size, device = images.shape[-1], images.device
        torch.manual_seed(0)
        extractor = build_extractor(name, None, "avg")
        head = make_head("linear", measure_features(extractor, name, size), 1, 0.2)
        extractor.numerics = numerics
        self.images = images
        self.targets = torch.arange(len(images), device=device) % 2
        self.network = Network(extractor, head).to(device)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-4, fused=True)

    def train(self):
        """Seconds of one step."""
        self.network.train()

        def step():
            self.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self.network(self.images), self.targets)
            loss.backward()
            self.optimizer.step()

        return self._time(step)

    def predict(self):
        """Seconds of one batch."""
        self.network.eval()
        fast = accelerate(self.network.extractor, self.images[:1].float() / 255)
        with torch.no_grad():
            fast(self.images[:2])
            return self._time(lambda: self.network.classify(fast(self.images)))

    def _time(self, function):
        self._wait()
        start = time.perf_counter()
        function()
        self._wait()
        return time.perf_counter() - start

    def _wait(self):
        if self.images.device.type == "cuda":
            torch.cuda.synchronize()


def measure(name, arguments, device):
    """Median seconds of a step and a batch together, for each way of computing a network."""
    images = torch.randint(
        256,
        (arguments.batch_size, arguments.image_size, arguments.image_size, 3),
        dtype=torch.uint8,
    )
    images = images.permute(0, 3, 1, 2).to(device)
    precisions = ["float32", "bfloat16"] if name_capability(device) != "cpu" else ["float32"]
    ways = [Numerics(*way) for way in itertools.product(precisions, MEMORY_FORMATS)]
    trials = {way: Trial(name, way, images) for way in ways}
    for trial in trials.values():
        trial.train()
    seconds = {way: [] for way in ways}
    for turn in range(arguments.rounds):
        # Another one begins each time.
        for way in ways[turn % len(ways) :] + ways[: turn % len(ways)]:
            seconds[way].append(trials[way].train() + trials[way].predict())
    return seconds


def choose(seconds):
    """The fastest way, and its gain over the default; the default where that is no faster.

    Parameters
    ----------
    seconds : dict of Numerics to list of float
        By turns: those at one place were taken one after the other.
    """
    default = Numerics()
    best = min(seconds, key=lambda way: statistics.median(seconds[way]))
    gains = [slow / fast for slow, fast in zip(seconds[default], seconds[best], strict=True)]
    gain = statistics.median(gains)
    # In nearly all turns, and not in the median alone.
    clear = gain >= LEAST_GAIN and sum(each > 1 for each in gains) >= 0.8 * len(gains)
    return (best, gain) if clear else (default, 1.0)


def write(rows):
    """Put rows into the table, in the place of those of the same family and capability."""
    new = {(row["family"], row["capability"]) for row in rows}
    kept = [row for row in read_table() if (row["family"], row["capability"]) not in new]
    rows = sorted(kept + rows, key=lambda row: (row["capability"], row["family"]))
    with open(TABLE, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def describe_machine(device):
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cores = f"{torch.get_num_threads()} threads"
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}, {cores}"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    add = parser.add_argument
    add(
        "--backbones",
        metavar="A,B",
        type=choose_backbones,
        default=",".join(NETWORKS),
        help="one or more of a family",
    )
    add("--device", default="auto", help="as for CNNClassifier")
    add("--image-size", type=positive, default=224, metavar="N")
    add("--batch-size", type=positive, default=16, metavar="N")
    add("--rounds", type=positive, default=5, metavar="N", help="turns of all ways (default: 5)")
    add("--write", action="store_true", help="change skall/network/precision.csv")
    arguments = parser.parse_args(argv)
    device = resolve_device(arguments.device)
    tune_allocator()
    source = (
        f"{describe_machine(device)}; torch {torch.__version__}; {{}} {arguments.image_size} px, "
        f"batch {arguments.batch_size}, median of {arguments.rounds}"
    )
    rows = []
    for name in arguments.backbones:
        seconds = measure(name, arguments, device)
        best, gain = choose(seconds)
        for way, taken in seconds.items():
            print(f"{name}: {way.precision}, {way.memory_format}: {statistics.median(taken):.3f} s")
        print(f"{name}: {best.precision}, {best.memory_format} ({gain:.2f} of the default)")
        values = (name_family(name), name_capability(device), best.precision, best.memory_format)
        row = (*values, f"{gain:.2f}", source.format(name))
        rows.append(dict(zip(COLUMNS, row, strict=True)))
    if arguments.write:
        write(rows)


if __name__ == "__main__":
    main()
