"""A fitted network as an ONNX model that gives the same probabilities."""

import json
from copy import deepcopy

import torch
from torch import nn
from torch.nn.functional import interpolate

import skall
from skall.classifier.runtimes import Session
from skall.datasets import make_blood_cells
from skall.environment.extras import import_extra
from skall.environment.randomness import seeded
from skall.network.precision import Numerics

TOLERANCE = 1e-4
# Logits have no scale of their own, and tell where the network is certain of one class.
LOGIT_TOLERANCE = 1e-3
# A file in Google's protocol buffers ends here; the graph itself takes a few MB.
MOST_BYTES = 2**31 - 2**24


class _Exported(nn.Module):
    """The network from images to probabilities, in the order of the model's outputs."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        logits = self.network(images)
        return logits.softmax(dim=1), logits


def export_model(classifier):
    """The network of a fitted classifier as an ONNX model, checked.

    The model's input ``images`` is float32 ``(n, 3, image_size_, image_size_)``, RGB with 0 as
    black and 1 as white, for any n: the normalisation is part of the model. Its outputs are
    ``probabilities`` and ``logits``, float32 ``(n, n_classes)``. Its metadata are the strings
    ``classes`` (a JSON list, in the order of the columns), ``image_size``, ``backbone`` and
    ``skall`` (the version).

    onnxruntime runs the model on synthetic cells, one image and three at a time, and what comes is
    compared with what torch gives in float32.

    Parameters
    ----------
    classifier : CNNClassifier
        Fitted; it stays as it is.

    Returns
    -------
    bytes

    Raises
    ------
    ImportError
        Where the packages of the extra ``onnx`` are missing.
    ValueError
        Where the network does something that ONNX cannot express, or is too large for one file.
    RuntimeError
        Where the model is not valid, or its probabilities differ by more than 1e-4, or its logits
        beyond rounding.
    """
    for module in ("onnx", "onnxscript", "onnxruntime"):
        import_extra(module, "onnx", "save(format='onnx')")
    network = deepcopy(classifier.module_).cpu().float().eval().requires_grad_(False)
    # Other programs need not know bfloat16, and torch's order of the memory would be exported as
    # operations that gather what is already in place.
    network.to(memory_format=torch.contiguous_format)
    network.extractor.numerics = Numerics("float32", "contiguous")
    n_bytes = sum(tensor.nbytes for tensor in network.state_dict().values())
    if n_bytes > MOST_BYTES:
        raise ValueError(
            f"the network of backbone {classifier.backbone!r} holds {n_bytes / 1e9:.1f} GB, and an "
            "ONNX file 2 GB at most; save without format='onnx'"
        )
    exported, size = _Exported(network).eval(), classifier.image_size_
    # Building and tracing draw random numbers.
    with seeded(0), torch.no_grad():
        program = _export(exported, classifier.backbone, size)
    model = _serialize(program, _describe(classifier))
    check_model(model, exported, size)
    return model


def _export(exported, backbone, size):
    try:
        return torch.onnx.export(
            exported,
            # Of one image, its number would be taken for a constant.
            (torch.zeros(2, 3, size, size),),
            input_names=["images"],
            output_names=["probabilities", "logits"],
            dynamic_shapes={"images": {0: torch.export.Dim("n")}},
            dynamo=True,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as exc:
        reason = str(exc.__cause__ or exc).strip().partition("\n")[0]
        raise ValueError(
            f"the network of backbone {backbone!r} at image_size={size} cannot be exported to "
            f"ONNX ({reason}); save without format='onnx'"
        ) from exc


def _describe(classifier):
    return {
        "classes": json.dumps(classifier.classes_.tolist()),
        "image_size": str(classifier.image_size_),
        "backbone": classifier.backbone,
        "skall": skall.__version__,
    }


def _serialize(program, metadata):
    # The exporter notes the paths and lines of the code that was run.
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()
    program.model.metadata_props.clear()
    program.model.metadata_props.update(metadata)
    return program.model_proto.SerializeToString()


def check_model(model, exported, size):
    """Compare a model with the network it was made of.

    Parameters
    ----------
    model : bytes
    exported : torch.nn.Module
        From images to probabilities and logits.
    size : int
        Height and width of the images in pixels.

    Raises
    ------
    RuntimeError
        Where they differ, or the model is not valid.
    """
    import onnx

    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as exc:
        raise RuntimeError(
            f"the exported model is not valid ({exc}). Nothing was saved; save without "
            "format='onnx'"
        ) from exc
    session = Session("onnxruntime", model)
    # Not noise: far from what a network was trained on it may magnify mere rounding beyond all
    # bounds, as EfficientNet-B3 did.
    cells = make_blood_cells(3, n_patients=3, image_size=64, random_state=0).data
    cells = torch.from_numpy(cells).permute(0, 3, 1, 2) / 255
    cells = interpolate(cells, (size, size), mode="bilinear", antialias=True)
    for images in (cells[:1], cells):
        with torch.no_grad():
            probabilities, logits = exported(images)
        found = session.run(images, "probabilities")
        # NaN is no agreement.
        difference = (found - probabilities).abs().max().item()
        if not difference <= TOLERANCE:
            raise RuntimeError(
                f"the exported model gives other probabilities than the network, by up to "
                f"{difference:.2g}; {TOLERANCE:g} is allowed. Nothing was saved; save without "
                "format='onnx'"
            )
        found = session.run(images, "logits")
        if not torch.allclose(found, logits, rtol=LOGIT_TOLERANCE, atol=LOGIT_TOLERANCE):
            difference = (found - logits).abs().max().item()
            raise RuntimeError(
                f"the exported model gives other logits than the network, by up to "
                f"{difference:.2g}. Nothing was saved; save without format='onnx'"
            )
