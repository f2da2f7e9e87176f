"""Where and how a network runs: its device, its numerics, and compiled or accelerated parts."""

from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

from skall.classifier.batches import find_rows, read_batches, send
from skall.network.blocks import (
    BLOCK,
    choose_multiple,
    choose_pass_size,
    run_halved,
    run_padded,
)
from skall.network.device import Stay, resolve_device
from skall.network.folding import accelerate, make_probe
from skall.network.frozen import ModuleState
from skall.network.precision import choose_numerics


class Execution:
    """How the network of one classifier runs; copies and pickles start without parts and device.

    An object of its own, because prediction must leave the attributes of an estimator as they are.
    """

    def __init__(self):
        self._stay = Stay()
        self.clear()

    def __reduce__(self):
        return Execution, ()

    def clear(self):
        """Drop the compiled and accelerated parts."""
        self._parts = {}

    @property
    def has_parts(self):
        """Whether a part was compiled or accelerated."""
        return bool(self._parts)

    @contextmanager
    def on_device(self, net):
        """Have the network on its device for a while."""
        device = resolve_device(net.device)
        set_numerics(net, device)
        try:
            with self._stay.visit(net.module_, device, remain=net.keep_on_device):
                yield
        finally:
            if net.module_.device != device and not net.compile:
                # A copy of the weights that would stay there.
                self.clear()

    def get_part(self, net, x, accelerated=False):
        """The module that turns a batch into what the head takes.

        Parameters
        ----------
        net : CNNClassifier
        x : dict
            A batch of images, or of features.
        accelerated : bool, default=False
            Whether it may be a copy that only predicts.

        Returns
        -------
        callable
        """
        kind, rows = find_rows(x)
        part = net.module_.extractor if kind == "images" else net.module_.back
        if part is None:
            return nn.Identity()
        if net.compile:
            return self._find(net, part, kind, None, partial(_compile, net))
        if accelerated:
            make = partial(_accelerate, net, kind, rows)
            return self._find(net, part, kind, ModuleState(part), make)
        return part

    def run(self, net, x, part=None):
        """Logits of a batch.

        Rows are padded so that a prediction does not depend on its batch, and so that batch
        normalisation never trains on a single row.
        """
        kind, rows = find_rows(x)
        module = net.module_
        if module.training:
            multiple = 2 if len(rows) == 1 else 1
        elif kind == "features" and module.is_fixed:
            multiple = BLOCK
        else:
            multiple = choose_multiple(len(rows), net.image_size_)
        rows = send(rows, module.device)
        part = self.get_part(net, x) if part is None else part
        # Halves of a batch are other batches to what is trained.
        run = run_padded if module.training else run_halved
        return run(lambda padded: module.classify(part(padded)), rows, multiple)

    def predict(self, net, dataset, training, device):
        """Logits of a data set on a device, batch by batch."""
        on_cpu = net.module_.device.type == "cpu"
        pass_size = choose_pass_size(net.module_.device, net.image_size_)
        iterator = net.get_iterator(dataset, batch_size=pass_size)
        part = None
        for inputs, _ in read_batches(iterator, ahead=not on_cpu):
            net._set_training(training)
            with torch.set_grad_enabled(training):
                if part is None:
                    part = self.get_part(net, inputs, accelerated=not training)
                logits = net.infer(inputs, part).to(device)
            yield logits
        if on_cpu and len(dataset) > pass_size and not net.compile:
            # It is a copy of the weights, and made again in less time than this took.
            self.clear()

    def _find(self, net, part, kind, state, make):
        """What was made of a part in this state, or what is made of it now."""
        source = state, id(net.module_), str(net.module_.device), part.numerics
        # Read at once: another thread may predict.
        known, made = self._parts.get(kind, (None, None))
        if known != source:
            made = make(part)
            self._parts[kind] = source, made
        return made


def set_numerics(net, device):
    """Have the trunk computed as is best on a device; returns the numerics."""
    numerics = choose_numerics(net.precision, net.backbone, device)
    net.module_.extractor.numerics = numerics
    return numerics


def _accelerate(net, kind, rows, part):
    device = net.module_.device
    sample = make_probe(net.image_size_, device) if kind == "images" else rows[:1].to(device)
    return accelerate(part, sample)


def _compile(net, part):
    options = net.get_params_for("compile")
    if net.module_.device.type == "cuda" and not {"mode", "options", "backend"} & set(options):
        # CUDA graphs take away the cost of launching small kernels.
        options["mode"] = "reduce-overhead"
    # torch counts together what it has compiled for all networks of a process, and leaves the
    # third or fourth as it is.
    limits = torch.compiler.config
    limits.recompile_limit = max(limits.recompile_limit, limits.accumulated_recompile_limit)
    return torch.compile(part, **options)
