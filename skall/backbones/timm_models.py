"""Trunks from timm's models: the shipped ones, and any other as ``timm/<name>``."""

import socket
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from torch import nn

from skall.backbones.backbone import Backbone, split_stages

PREFIX = "timm/"
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")
_HUB_TIMEOUT = 10  # seconds
# timm's names of global average pooling.
_MEANS = ("avg", "fast", "fastavg")


@dataclass(frozen=True)
class TimmTrunk:
    """Builds a timm model without its classifier.

    The output is the feature map ``(n, c, h', w')`` before pooling where the model averages it. It
    is the model's own vector ``(n, c)`` for models with tokens or channels-last maps, whose pooling
    cannot be removed, or with layers after the pooling.

    Parameters
    ----------
    model : str
        timm's name, with the tag of the published weights or without (timm's default).
    """

    model: str

    def __call__(self, weights):
        import timm

        options = {"num_classes": 0} | ({"global_pool": ""} if _gives_map(self.model) else {})
        if weights is None:
            return timm.create_model(self.model, **options)
        config = timm.get_pretrained_cfg(self.model)
        if config is None or not config.has_weights:
            raise ValueError(f"timm publishes no weights for {self.model!r}; pass weights=None")
        if config.hf_hub_id:
            _check_hub(config)
        return timm.create_model(self.model, pretrained=True, **options)

    @property
    def source(self):
        """Library, model and weights, for people to read."""
        architecture, _, tag = self.model.partition(".")
        return f"timm {architecture}" + (f" ({tag})" if tag else "")


@cache
def _gives_map(model: str) -> bool:
    """Whether a model's vector is the mean of the channels-first map that it gives without pooling.

    timm does not tell for every model, so that shapes are traced on the meta device. Cached,
    because that takes half the time of a fit on a few images.
    """
    import timm
    from timm.layers import SelectAdaptivePool2d

    with torch.device("meta"), torch.no_grad():
        try:
            timm.create_model(model, num_classes=0, global_pool="")
        except AssertionError:
            # timm raises this for models whose pooling cannot be removed.
            return False
        pooled = timm.create_model(model, num_classes=0).eval()
        calls = []
        for part in pooled.modules():
            if isinstance(part, SelectAdaptivePool2d) or not any(part.children()):
                part.register_forward_hook(lambda part, taken, given: calls.append((part, taken)))
        size = _input_size(timm.get_pretrained_cfg(model))
        pooled(torch.empty(2, 3, size, size))
    # From the last layer back to the pooling.
    for part, taken in reversed(calls):
        if isinstance(part, SelectAdaptivePool2d):
            shape = taken[0].shape
            is_map = len(shape) == 4 and shape[2] == shape[3] and shape[1] != shape[2]
            return is_map and part.pool_type in _MEANS
        if not isinstance(part, (nn.Identity, nn.Flatten, nn.Dropout)):
            break
    return False


def _input_size(config) -> int:
    return 224 if config is None else max(config.input_size[1:])


def _check_hub(config) -> None:
    """Fail at once where the weights are not in the cache and their host cannot be reached.

    The hub's own client retries silently for most of a minute.
    """
    from huggingface_hub import constants, try_to_load_from_cache

    names = [config.hf_hub_filename] if config.hf_hub_filename else _HUB_FILES
    repository = config.hf_hub_id.partition("@")[0]
    cached = any(isinstance(try_to_load_from_cache(repository, name), str) for name in names)
    # Behind a proxy the host need not be reachable directly.
    if cached or constants.HF_HUB_OFFLINE or getproxies():
        return
    host = urlsplit(constants.ENDPOINT)
    address = (host.hostname, host.port or (443 if host.scheme == "https" else 80))
    socket.create_connection(address, timeout=_HUB_TIMEOUT).close()


def timm_backbone(model: str, input_size: int = 224, **fields) -> Backbone:
    """Make the backbone of a timm model whose forward is its children in order.

    Parameters
    ----------
    model : str
        timm's name with the tag of its weights.
    input_size : int, default=224
        Height and width in pixels.
    **fields
        Further fields of :class:`~skall.Backbone`.

    Returns
    -------
    Backbone
    """
    fields = {"license": "apache-2.0", "url": f"https://huggingface.co/timm/{model}"} | fields
    return Backbone(TimmTrunk(model), input_size, stages=split_stages, **fields)


def find_timm_backbone(name: str) -> Backbone:
    """Make the backbone of any timm model.

    Parameters
    ----------
    name : str
        ``"timm/<model>"`` or ``"timm/<model>.<tag of its weights>"``.

    Returns
    -------
    Backbone
        Its fields come from timm's configuration of the weights.

    Raises
    ------
    ValueError
        Where timm has no such model or no such weights, with the nearest names.

    Examples
    --------
    >>> from skall.backbones.timm_models import find_timm_backbone
    >>> find_timm_backbone("timm/test_resnet").input_size
    160
    """
    import timm

    model = name.removeprefix(PREFIX)
    if not timm.is_model(model):
        raise ValueError(f"timm has no model {model!r}{_suggest(model, timm.list_models())}")
    try:
        config = timm.get_pretrained_cfg(model)
    except RuntimeError as exc:
        architecture, _, tag = model.partition(".")
        tagged = timm.list_pretrained(f"{architecture}.*")
        raise ValueError(
            f"timm has no weights {tag!r} for {architecture!r}; it has "
            f"{', '.join(tagged) or 'none'}"
        ) from exc
    if config is None:
        return Backbone(TimmTrunk(model))
    return Backbone(
        TimmTrunk(model),
        _input_size(config),
        mean=tuple(config.mean),
        std=tuple(config.std),
        license=config.license,
        url=f"https://huggingface.co/{config.hf_hub_id}" if config.hf_hub_id else config.url,
    )


def _suggest(model: str, known: list[str]) -> str:
    nearest = get_close_matches(model.lower(), known, n=5)
    return f"; the nearest names are {', '.join(nearest)}" if nearest else ""
