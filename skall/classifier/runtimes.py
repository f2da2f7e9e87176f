"""Programs other than torch that run a saved network."""

from functools import cache

import numpy as np
import torch

from skall.environment.extras import import_extra
from skall.network.blocks import BLOCK, choose_multiple, run_padded

RUNTIMES = ("torch", "onnxruntime", "openvino")


def check_runtime(runtime):
    """The name of a runtime, ``"torch"`` where there is none.

    Parameters
    ----------
    runtime : {None, "torch", "onnxruntime", "openvino"}

    Returns
    -------
    str

    Raises
    ------
    ValueError
        For any other.
    """
    runtime = "torch" if runtime is None else runtime
    if runtime not in RUNTIMES:
        raise ValueError(f"runtime={runtime!r}; possible are {', '.join(map(repr, RUNTIMES))}")
    return runtime


class Session:
    """An ONNX model that a runtime runs on the CPU, with as many threads as torch uses.

    Copies and pickles hold the model and start the runtime again when they first run.

    Parameters
    ----------
    runtime : {"onnxruntime", "openvino"}
    model : bytes
        As :func:`skall.classifier.exporting.export_model` makes it.
    precision : {"float32", "bfloat16"}, default="float32"
        OpenVINO computes in bfloat16 where the processor can; onnxruntime never does.
    """

    def __init__(self, runtime, model, precision="float32"):
        self.runtime = runtime
        self.model = model
        self.precision = precision
        self._started = None

    def __getstate__(self):
        return vars(self) | {"_started": None}

    def start(self):
        """The function from images and an output's name to that output, once made.

        Raises
        ------
        ImportError
            Where the runtime's package is missing.
        ValueError
            Where the runtime cannot run the model.
        """
        n_threads = torch.get_num_threads()
        started = self._started
        if started is None or started[0] != n_threads:
            start = {"onnxruntime": _start_onnxruntime, "openvino": _start_openvino}[self.runtime]
            started = self._started = n_threads, start(self.model, n_threads, self.precision)
        return started[1]

    def run(self, images, output="logits"):
        """One output for a batch of images.

        Parameters
        ----------
        images : torch.Tensor
            ``(n, 3, h, w)``, uint8 or float with 1 as white.
        output : {"logits", "probabilities"}, default="logits"

        Returns
        -------
        torch.Tensor
            float32 ``(n, n_classes)``
        """
        numbers = images.to(torch.float32, memory_format=torch.contiguous_format)
        if images.dtype == torch.uint8:
            numbers = numbers / 255
        return torch.from_numpy(self.start()(numbers.numpy(), output))

    def predict_logits(self, images, size, store):
        """Logits of images, a block at a time, so that memory does not grow with their number.

        Parameters
        ----------
        images : Images
        size : int
            Height and width, in pixels, that the images are brought to.
        store : Store

        Returns
        -------
        ndarray of float64, shape (n, n_classes)
        """
        logits = []
        for start in range(0, len(images), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(images)))
            batch = images.read_batch(rows, size, store)
            # As in torch, a row's result must not depend on the rows beside it.
            logits.append(run_padded(self.run, batch, choose_multiple(len(rows), size)))
        return torch.cat(logits).double().numpy()


def _start_onnxruntime(model, n_threads, precision):
    onnxruntime = import_extra("onnxruntime", "onnx", "runtime='onnxruntime'")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    # It writes hints for its developers on stderr; errors are raised.
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # its errors have no class of their own in common
        raise _refused("onnxruntime", onnxruntime.__version__, exc) from exc
    return lambda images, output: session.run([output], {"images": images})[0]


def _start_openvino(model, n_threads, precision):
    openvino = import_extra("openvino", "openvino", "runtime='openvino'")
    core = _get_core(openvino)
    settings = {
        "INFERENCE_NUM_THREADS": n_threads,
        "NUM_STREAMS": 1,
        # By default the processor's fastest, which may be bfloat16.
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
        # Several workers of one machine would be tied to the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    try:
        compiled = core.compile_model(core.read_model(model=model), "CPU", settings)
    except RuntimeError as exc:
        raise _refused("openvino", openvino.__version__, exc) from exc

    def run(images, output):
        # A request of its own, as several threads may predict at once.
        return compiled.create_infer_request().infer({"images": images})[output]

    return run


@cache
def _get_core(openvino):
    """OpenVINO's core, which stays as long as the process.

    When the last core goes in another thread than the one where it first compiled, that thread is
    left with an alternative stack for signals that is no memory, and its next signal ends the
    process (seen with OpenVINO 2026.4).
    """
    return openvino.Core()


def _refused(runtime, version, exc):
    reason = " ".join(str(exc).split())
    return ValueError(f"{runtime} {version} cannot run the model, which may be damaged: {reason}")
