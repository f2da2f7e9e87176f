"""Random changes of training images."""

import math
import pickle
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from types import MappingProxyType

import torch
from joblib import wrap_non_picklable_objects
from torch.nn.functional import affine_grid, grid_sample
from torchvision.transforms.v2 import functional

from skall.environment.randomness import seeded


@dataclass(frozen=True)
class Preset:
    """Rotation, flips, scaling, cropping and brightness, drawn for each image of a batch.

    Everything geometric is one resampling (bilinear, on the device of the images), so that an
    image is blurred once. What lies outside an image is its reflection.

    Parameters
    ----------
    angle : float, default=180
        Rotation by up to this many degrees, either way: a cell on a slide has no upper side.
    flip : bool, default=True
        Mirror left-right and top-bottom, each with probability 0.5.
    scale : float, default=0.1
        Magnification by a factor of ``1 - scale`` to ``1 + scale``.
    crop : float, default=0
        Keep a square window that is up to this share narrower, anywhere in the image, and bring
        it back to the size of the image.
    brightness : float, default=0
        Multiply the pixels by ``1 - brightness`` to ``1 + brightness``.
    """

    angle: float = 180.0
    flip: bool = True
    scale: float = 0.1
    crop: float = 0.0
    brightness: float = 0.0

    def __call__(self, images):
        """Change images ``(n, 3, h, w)``; uint8 ones become float32 in [0, 1]."""
        is_integer = images.dtype == torch.uint8
        images = images.float() / 255 if is_integer else images
        maps = self._draw(len(images)).to(images, non_blocking=True)
        grid = affine_grid(maps, images.shape, align_corners=False)
        images = grid_sample(images, grid, padding_mode="reflection", align_corners=False)
        if self.brightness:
            factor = 1 + self.brightness * _uniform(len(images))
            images = images * factor.view(-1, 1, 1, 1).to(images, non_blocking=True)
        return images.clamp(0, 1) if is_integer else images

    def _draw(self, n):
        """Affine maps ``(n, 2, 3)`` from places in the new image to places in the old one."""
        angle = math.radians(self.angle) * _uniform(n)
        window = 1 - self.crop * torch.rand(n)
        zoom = window / (1 + self.scale * _uniform(n))
        mirror = torch.randint(2, (2, n)) * -2 + 1 if self.flip else torch.ones(2, n)
        cos, sin = zoom * angle.cos(), zoom * angle.sin()
        shift = (1 - window) * _uniform(2, n)
        rows = [cos * mirror[0], -sin * mirror[1], shift[0], sin * mirror[0], cos * mirror[1]]
        return torch.stack([*rows, shift[1]], dim=1).view(n, 2, 3)


def _uniform(*shape):
    """Numbers in [-1, 1), from the CPU's generator whatever the device of the images."""
    return 2 * torch.rand(*shape) - 1


# Neither paper gives its ranges; these are moderate.
PRESETS = MappingProxyType(
    {
        # Talupuri et al. 2025, doi 10.47836/pp.1.5.018: rotation, flips, scaling, random cropping.
        "talupuri2025": Preset(crop=0.2),
        # Vinod et al., IJSREM 09/05, 2025: rotation, flips, scaling, brightness.
        "vinod2025": Preset(brightness=0.2),
    }
)


def make_augmentation(augment):
    """What changes a batch of training images.

    Parameters
    ----------
    augment : None, str or callable
        None; a name of :data:`PRESETS`; or a transform of :mod:`torchvision.transforms.v2`, which
        is called for each image, a uint8 tensor ``(3, h, w)``, because on a batch it would draw
        once for all.

    Returns
    -------
    callable or None
        From images ``(n, 3, h, w)`` to images of the same shape, drawn from torch's generator.

    Examples
    --------
    >>> import torch
    >>> augmentation = make_augmentation("vinod2025")
    >>> augmentation(torch.zeros(2, 3, 8, 8, dtype=torch.uint8)).shape
    torch.Size([2, 3, 8, 8])
    """
    if augment is None:
        return None
    change = PRESETS[augment] if isinstance(augment, str) else augment
    if not isinstance(change, Preset):
        change = partial(_transform_each, augment)
    return partial(_change, change)


def _change(change, images):
    """The images changed, in memory as they were: that decides the speed and the last bits."""
    changed = change(images)
    if images.is_contiguous(memory_format=torch.channels_last):
        return changed.contiguous(memory_format=torch.channels_last)
    return changed


def _transform_each(transform, images):
    # On the CPU, where every transform works, and is faster for one small image.
    changed = [_transform(transform, image) for image in images.cpu()]
    if any(image.is_floating_point() for image in changed):
        # Where a transform is applied at times only, some of the images are still uint8.
        changed = [i.float() if i.is_floating_point() else i.float() / 255 for i in changed]
    return torch.stack(changed).to(images.device)


def _transform(transform, image):
    changed = transform(image)
    if not torch.is_tensor(changed) or changed.ndim != 3 or len(changed) != 3:
        found = tuple(changed.shape) if torch.is_tensor(changed) else type(changed).__name__
        raise ValueError(
            f"augment={transform!r} turned an image (3, height, width) into {found}; it must give "
            "an image with 3 channels"
        )
    if image.dtype == torch.uint8 and changed.is_floating_point():
        low, high = changed.aminmax()
        if low < -1e-3 or high > 1 + 1e-3:
            raise ValueError(
                f"augment={transform!r} gave float pixels in [{low:g}, {high:g}]; they lie in "
                "[0, 1]: use ToDtype(torch.float32, scale=True), and leave Normalize out, which "
                "the backbone does by itself"
            )
    if changed.shape != image.shape:
        changed = functional.resize(changed, list(image.shape[1:]), antialias=True)
    return changed if changed.is_floating_point() or changed.dtype == image.dtype else changed / 255


@dataclass(frozen=True)
class View:
    """One random view of each image, the same whatever the images beside it.

    Parameters
    ----------
    augment : str or callable
        As in :func:`make_augmentation`.
    seed, number : int
        Views of other seeds or numbers differ.
    """

    augment: object
    seed: int
    number: int

    def draw(self, images, device):
        """This view of images ``(n, 3, h, w)``, on a device."""
        augmentation = make_augmentation(self.augment)
        views = []
        for image in images.split(1):
            with seeded(self._derive_seed(image), device):
                views.append(augmentation(image.to(device)))
        return torch.cat(views)

    def _derive_seed(self, image):
        # By the pixels, so that moved or copied files show the same views.
        pixels = image.contiguous().numpy().tobytes()
        digest = blake2b(pixels + f"|{self.seed}|{self.number}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) >> 1

    def digest(self):
        """Bytes that identify the view in a store."""
        # Functions of a notebook enter by their code: their names do not change with it.
        augment = pickle.dumps(wrap_non_picklable_objects(self.augment, keep_wrapper=False))
        numbers = f"|{self.seed}|{self.number}".encode()
        return blake2b(augment + numbers, digest_size=16).digest()
