"""TinyNet: four convolutions, as a backbone of skall."""

from torch import nn

from skall import Backbone


def build(weights):
    """Build the trunk.

    Parameters
    ----------
    weights : None
        TinyNet has no published weights.

    Returns
    -------
    torch.nn.Sequential
        From images ``(n, 3, h, w)``, at least 16 pixels high and wide, to a feature map
        ``(n, 64, h / 16, w / 16)``.

    Raises
    ------
    ValueError
        For any other weights.
    """
    if weights is not None:
        raise ValueError(
            f"tinynet has no weights {weights!r}; pass weights=None to start at random"
        )
    channels = (3, 8, 16, 32, 64)
    return nn.Sequential(*map(_make_stage, channels[:-1], channels[1:]))


def _make_stage(n_inputs, n_outputs):
    """Half the height and width, with a new number of channels."""
    return nn.Sequential(
        nn.Conv2d(n_inputs, n_outputs, kernel_size=3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(n_outputs),
        nn.ReLU(),
    )


# The children of an nn.Sequential are its stages. Trained from scratch, TinyNet may choose how its
# images are normalised: to [-1, 1].
tinynet = Backbone(build, input_size=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
