"""Runtimes that predict with an exported network, and do not train."""

import tempfile
from pathlib import Path

import torch

from contestants import NotThere
from contestants.by_hand import make_predictor
from contestants.inputs import read_decoded
from contestants.timing import Timer


def export(task, images, folder):
    """Write the network, normalisation included, as ONNX for batches of this size."""
    path = Path(folder, "network.onnx")
    model = make_predictor(task, torch.from_numpy(images), channels_last=False)
    torch.onnx.export(
        model,
        (torch.from_numpy(images),),
        path,
        input_names=["images"],
        dynamo=True,
        verbose=False,
        external_data=False,
    )
    return path


def prepare_onnxruntime(task):
    """ONNX Runtime on the CPU."""
    import onnxruntime

    images = read_decoded(task)[0][: task["batch_size"]]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = task["threads"]
    with tempfile.TemporaryDirectory() as folder:
        path = export(task, images, folder)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return _repeat(lambda: session.run(None, {"images": images}), "float32", task)


def prepare_openvino(task, precision="float32"):
    """OpenVINO on the CPU."""
    import openvino

    core = openvino.Core()
    if precision == "bfloat16" and "BF16" not in core.get_property(
        "CPU", "OPTIMIZATION_CAPABILITIES"
    ):
        raise NotThere("OpenVINO has no bfloat16 on this processor")
    images = read_decoded(task)[0][: task["batch_size"]]
    settings = {
        "INFERENCE_NUM_THREADS": task["threads"],
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        "PERFORMANCE_HINT": "LATENCY",
    }
    with tempfile.TemporaryDirectory() as folder:
        model = core.compile_model(core.read_model(export(task, images, folder)), "CPU", settings)
    return _repeat(lambda: model([images]), precision, task)


def _repeat(predict, precision, task):
    def run():
        with Timer() as timer:
            for _ in range(task["repeats"]):
                predict()
        return {"seconds": {"batch": timer.seconds / task["repeats"]}, "precision": precision}

    return run
