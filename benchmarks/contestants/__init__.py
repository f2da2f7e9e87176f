"""Who is measured in which section, and how each is made ready.

A contestant's function ``prepare(task, **options)`` loads what the measured part is to find, and
returns a function without arguments that does the measured part once. That returns a dict:
``seconds`` by measure, ``precision``, and where only a part was measured ``scale``, with which its
seconds were multiplied, and a ``note`` that says so.

Nothing is imported here, so that a process loads the libraries of its own contestants alone.
"""

from dataclasses import dataclass, field, replace


class NotThere(Exception):  # noqa: N818 - no error: it is reported, and the others go on
    """This contestant cannot take part here; the message says why."""


@dataclass(frozen=True)
class Contestant:
    """One way of doing what a section measures.

    Attributes
    ----------
    name : str
    function : str
        ``module:function`` that prepares it.
    host : str
        Contestants of one host and allocator share a process, in which they run one at a time.
    needs : tuple of str
        Modules without which it is not installed.
    options : dict
        Arguments of the function.
    allocator : {"default", "tuned"}
        Whether the process called ``skall.tune_allocator``.
    """

    name: str
    function: str
    host: str = "torch"
    needs: tuple = ("torch",)
    options: dict = field(default_factory=dict)
    allocator: str = "default"


def with_tuned(*contestants):
    """These, and the same with a tuned allocator."""
    tuned = [replace(one, name=f"{one.name}, tuned", allocator="tuned") for one in contestants]
    return [*contestants, *tuned]


KERAS = {"host": "Keras", "needs": ("keras", "tensorflow")}
ONNX = {"host": "ONNX Runtime", "needs": ("onnx", "onnxscript", "onnxruntime")}
OPENVINO = {"host": "OpenVINO", "needs": ("onnx", "onnxscript", "openvino")}
SKORCH = {"needs": ("skorch", "torch")}
LAST, PLAIN = {"channels_last": True}, {"channels_last": False}
FOLDED = {"channels_last": True, "folded": True}
BFLOAT16 = {"precision": "bfloat16"}

FROZEN = [
    *with_tuned(Contestant("skall", "skall_ways:prepare_frozen", needs=("skall", "torch"))),
    Contestant("ideal, tuned", "by_hand:prepare_frozen", allocator="tuned"),
    Contestant("skorch", "stock_skorch:prepare_frozen", **SKORCH),
    Contestant("Keras", "keras_ways:prepare_frozen", **KERAS),
]
TRAINING = [
    *with_tuned(Contestant("skall", "skall_ways:prepare_training", needs=("skall", "torch"))),
    *[
        Contestant(
            f"by hand, {name}, tuned",
            "by_hand:prepare_training",
            options=options,
            allocator="tuned",
        )
        for name, options in {
            "float32": PLAIN,
            "channels_last, float32": LAST,
            "bfloat16": PLAIN | BFLOAT16,
            "channels_last, bfloat16": LAST | BFLOAT16,
        }.items()
    ],
    Contestant("tutorial", "tutorial:prepare_training"),
    Contestant("skorch", "stock_skorch:prepare_training", **SKORCH),
    Contestant("fastai", "fastai_ways:prepare_training", host="fastai", needs=("fastai", "torch")),
    Contestant("Keras", "keras_ways:prepare_training", **KERAS),
]
PREDICTION = [
    *with_tuned(
        Contestant("skall", "skall_ways:prepare_prediction", needs=("skall", "torch")),
        Contestant("PyTorch", "by_hand:prepare_prediction", options=PLAIN),
        Contestant("PyTorch channels_last", "by_hand:prepare_prediction", options=LAST),
        Contestant("PyTorch folded", "by_hand:prepare_prediction", options=FOLDED),
        Contestant(
            "PyTorch folded bfloat16", "by_hand:prepare_prediction", options=FOLDED | BFLOAT16
        ),
    ),
    Contestant("ONNX Runtime", "runtimes:prepare_onnxruntime", **ONNX),
    Contestant("OpenVINO", "runtimes:prepare_openvino", **OPENVINO),
    Contestant("OpenVINO bfloat16", "runtimes:prepare_openvino", options=BFLOAT16, **OPENVINO),
    *[
        Contestant(
            f"skall, {runtime}, tuned",
            "skall_ways:prepare_runtime",
            options={"runtime": runtime},
            allocator="tuned",
            **library,
        )
        for runtime, library in {"onnxruntime": ONNX, "openvino": OPENVINO}.items()
    ],
]
SECTIONS = {
    "frozen linear": FROZEN,
    "frozen mlp": FROZEN,
    "training": TRAINING,
    "prediction": PREDICTION,
}
