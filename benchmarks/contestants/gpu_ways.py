"""The ways that `gpu.py` measures, on the device that its task names."""

import os
from functools import partial
from statistics import median

import torch
from processor import has_bfloat16
from torch.utils.data import DataLoader, Subset

import skall
from contestants import Contestant, NotThere
from contestants.by_hand import TRUNK_LR, make_predictor, make_step, order_memory
from contestants.inputs import list_files, read_decoded
from contestants.networks import Classifier, FromBytes
from contestants.timing import Timer, scale_up
from contestants.tutorial import make_folder, predict, train_epoch
from skall.cache.memory import IN_PROCESS
from skall.network.blocks import choose_pass_size

# Repetitions of the part of the tutorial loop that is scaled up.
PARTS = 5


def choose_precision(device):
    """bfloat16 where the device has instructions for it."""
    if torch.device(device).type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if has_bfloat16() else "float32"


def wait(device):
    """Until the device has done what it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def per_image(timer, n_images, precision):
    """What a contestant of training or prediction returns."""
    return {"seconds": {"image": timer.seconds / n_images}, "precision": precision}


# -- skall ----------------------------------------------------------------------------------------


def make_estimator(task, compiled=False, **params):
    """The estimator of a task, compiled where skall can."""
    if compiled:
        if not task["compile"]:
            raise NotThere("left out by --no-compile")
        params["compile"] = True
    return skall.get_estimator(
        task["network"],
        weights=task["weights"],
        image_size=task["size"],
        batch_size=task["batch_size"],
        device=task["device"],
        random_state=0,
        **params,
    )


def prepare_skall_training(task, compiled=False):
    """The second epoch of `fit` on decoded images: in the first, kernels are chosen."""
    images, targets = read_whole_batches(task)
    # One network for all rounds, so that what is compiled is compiled once.
    net = make_estimator(task, compiled, max_epochs=2, warm_start=True, keep_on_device=True)

    def run():
        net.fit(images, targets)
        seconds = net.history_frame_["dur"].iloc[-1]
        return {"seconds": {"image": seconds / len(images)}, "precision": net.precision_}

    return run


def prepare_skall_prediction(task, compiled=False):
    """Probabilities of decoded images, of which nothing is kept."""
    images, targets = read_whole_batches(task)
    net = make_estimator(task, compiled, max_epochs=1, memory=None, keep_on_device=True)
    first = slice(2 * task["batch_size"])
    # What is measured is not training.
    net.set_params(compile=False).fit(images[first], targets[first]).set_params(compile=compiled)

    def run():
        with Timer() as timer:
            net.predict_proba(images)
        return per_image(timer, len(images), net.precision_)

    return run


def prepare_skall_comparison(task):
    """`compare` from files, with everything that it does besides."""
    paths, targets = list_files(task)

    def run():
        IN_PROCESS.clear()
        with Timer() as timer:
            skall.compare(
                [task["network"]],
                paths.reshape(-1, 1),
                targets,
                cv=task["folds"],
                baselines=False,
                random_state=0,
                verbose=0,
                weights=None,
                image_size=task["size"],
                batch_size=task["batch_size"],
                max_epochs=task["epochs"],
                device=task["device"],
            )
        return {"seconds": {"comparison": timer.seconds}, "precision": "auto"}

    return run


# -- by hand --------------------------------------------------------------------------------------


def read_whole_batches(task):
    """Decoded images and classes, without the last batch where it is incomplete."""
    images, targets = read_decoded(task)
    n = len(images) - len(images) % task["batch_size"]
    return images[:n], targets[:n]


def compile_model(model, task, mode):
    """The model as `mode` has it: None leaves it as it is."""
    if mode is None:
        return model
    if not task["compile"]:
        raise NotThere("left out by --no-compile")
    if mode == "reduce-overhead" and torch.device(task["device"]).type != "cuda":
        raise NotThere("CUDA graphs need CUDA")
    return torch.compile(model, mode=mode, dynamic=False)


def prepare_hand_training(task, mode=None):
    """An epoch of steps; all bytes are on the device."""
    torch.backends.cudnn.benchmark = True
    device, precision = task["device"], choose_precision(task["device"])
    images, targets = (torch.from_numpy(array).to(device) for array in read_whole_batches(task))
    model = FromBytes(order_memory(Classifier(task), True), task["network"], True).to(device)
    step = make_step(compile_model(model, task, mode), precision, torch.device(device).type)

    def run():
        wait(device)
        with Timer() as timer:
            for rows in torch.randperm(len(images), device=device).split(task["batch_size"]):
                step(images[rows], targets[rows])
            wait(device)
        return per_image(timer, len(images), precision)

    return run


def prepare_hand_prediction(task, mode=None):
    """Probabilities of bytes in memory, as many at once as skall takes.

    They are sent to the device at once and brought back at once.
    """
    torch.backends.cudnn.benchmark = True
    device, precision = task["device"], choose_precision(task["device"])
    images = torch.from_numpy(read_whole_batches(task)[0])
    model = make_predictor(task, images, channels_last=True, folded=True, precision=precision)
    model = compile_model(model.to(device), task, mode)
    pass_size = choose_pass_size(torch.device(device), task["size"])

    def run():
        with torch.no_grad(), Timer() as timer:
            batches = images.to(device).split(pass_size)
            # A copy each: CUDA graphs write the next batch's logits where these are.
            logits = [model(batch).clone() for batch in batches]
            torch.cat(logits).float().softmax(1).cpu().numpy()
        return per_image(timer, len(images), precision)

    return run


# -- the tutorial loop ----------------------------------------------------------------------------


def make_loader(task, folder, shuffle):
    """The tutorial's DataLoader, whose worker processes decode."""
    return DataLoader(
        folder,
        batch_size=task["batch_size"],
        shuffle=shuffle,
        num_workers=task["workers"],
        persistent_workers=task["workers"] > 0,
        drop_last=shuffle,
    )


def prepare_tutorial_training(task):
    """An epoch from files."""
    device = task["device"]
    loader = make_loader(task, make_folder(task), shuffle=True)
    model = Classifier(task).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=TRUNK_LR)

    def run():
        with Timer() as timer:
            train_epoch(model, loader, optimizer, device)
            wait(device)
        return per_image(timer, len(loader) * task["batch_size"], "float32")

    return run


def prepare_tutorial_prediction(task):
    """Classes of all files."""
    device = task["device"]
    folder = make_folder(task)
    loader = make_loader(task, folder, shuffle=False)
    model = Classifier(task).to(device)

    def run():
        with Timer() as timer:
            predict(model, loader, device)
        return per_image(timer, len(folder), "float32")

    return run


def prepare_tutorial_comparison(task):
    """Some batches, scaled up to all images, epochs and folds."""

    def run():
        total, spent = _estimate(task)
        return {
            "seconds": {"comparison": total},
            "scale": total / spent,
            "precision": "float32",
            "note": (
                f"scaled: {task['part']} images trained on and predicted, {PARTS} times, medians, "
                f"times {task['epochs']} epochs, {task['folds']} folds"
            ),
        }

    return run


def _estimate(task):
    """Seconds of the tutorial loop for one backbone: estimated, and spent for that."""
    part = {**task, "weights": None}
    folder = make_folder(part)
    n_test = len(folder) / task["folds"]
    some = Subset(folder, range(0, len(folder), max(len(folder) // task["part"], 1)))
    training, testing = (make_loader(part, some, shuffle) for shuffle in (True, False))
    model = Classifier(part).to(task["device"])
    optimizer = torch.optim.Adam(model.parameters(), lr=TRUNK_LR)
    epoch = partial(train_epoch, model, training, optimizer, task["device"])
    trained = _repeat(epoch, task["device"])
    predicted = _repeat(partial(predict, model, testing, task["device"]), task["device"])
    n_trained = len(training) * task["batch_size"]
    whole = scale_up(
        median(trained) / n_trained * (len(folder) - n_test),
        median(predicted) / len(some) * n_test,
        task,
    )
    return whole["seconds"]["cross-validation"], sum(trained) + sum(predicted)


def _repeat(function, device):
    """Seconds of some repetitions, after one that is not counted."""
    function()
    seconds = []
    for _ in range(PARTS):
        with Timer() as timer:
            function()
            wait(device)
        seconds.append(timer.seconds)
    return seconds


# -- who takes part -------------------------------------------------------------------------------

WORKERS = os.cpu_count()
MODES = {"by hand": None, "by hand, compiled": "default", "by hand, CUDA graphs": "reduce-overhead"}


def _list_contestants(kind):
    return [
        *[
            Contestant(
                name,
                f"gpu_ways:prepare_skall_{kind}",
                host="skall",
                needs=("skall", "torch"),
                options={"compiled": compiled},
            )
            for name, compiled in {"skall": False, "skall, compiled": True}.items()
        ],
        *[
            Contestant(
                name,
                f"gpu_ways:prepare_hand_{kind}",
                host="by hand",
                options={"mode": mode},
            )
            for name, mode in MODES.items()
        ],
        Contestant("tutorial", f"gpu_ways:prepare_tutorial_{kind}", host="tutorial"),
    ]


COMPARISON = [
    Contestant(
        "skall", "gpu_ways:prepare_skall_comparison", host="skall", needs=("skall", "torch")
    ),
    Contestant("tutorial", "gpu_ways:prepare_tutorial_comparison", host="tutorial"),
]
SECTIONS = {
    "gpu training": _list_contestants("training"),
    "gpu prediction": _list_contestants("prediction"),
    "gpu comparison": COMPARISON,
}
