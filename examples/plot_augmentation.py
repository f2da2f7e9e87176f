"""
Augmentation: random changes of the training images
===================================================

A cell on a slide has no upper side, and stain and light vary from one slide to the next. Changing
the training images at random keeps a network from learning what does not matter. Both published
comparisons of networks for leukaemia that this package reproduces do so. This example shows what
their augmentation looks like, how to use your own, and that only training images are changed.
"""

# %%
# What the presets do
# -------------------
# ``augment`` takes the name of a preset. ``"talupuri2025"`` rotates, flips, scales and crops;
# ``"vinod2025"`` rotates, flips, scales and changes the brightness. Every image of a batch is
# changed differently. The first column shows the cells as they are.

import matplotlib.pyplot as plt
import torch
from torchvision.transforms import v2

from skall.datasets import make_blood_cells
from skall.preprocessing.augmentation import PRESETS

cells = make_blood_cells(80, n_patients=8, image_size=64, random_state=0)
own = v2.Compose([v2.RandomHorizontalFlip(), v2.ColorJitter(hue=0.05, saturation=0.3)])
images = torch.from_numpy(cells.data[:2]).permute(0, 3, 1, 2)


def draw(augment, image, n):
    """Several random changes of one image, as an array ``(n, h, w, 3)``."""
    torch.manual_seed(0)
    batch = image.expand(n, -1, -1, -1)
    if isinstance(augment, str):
        changed = PRESETS[augment](batch)
    else:
        changed = torch.stack([augment(each) for each in batch])
    return changed.permute(0, 2, 3, 1).numpy()


figure, axes = plt.subplots(6, 7, figsize=(8, 7), layout="constrained")
for place, augment in enumerate(["talupuri2025", "vinod2025", own]):
    for number, image in enumerate(images):
        row = axes[2 * place + number]
        pictures = [image.permute(1, 2, 0).numpy(), *draw(augment, image[None], 6)]
        for ax, picture in zip(row, pictures, strict=True):
            ax.imshow(picture)
            ax.set(xticks=[], yticks=[])
    title = augment if isinstance(augment, str) else "own: v2.Compose"
    axes[2 * place, 0].set_title(title, loc="left", fontsize="medium")
plt.show()

# %%
# Any transform of torchvision
# ----------------------------
# The last two rows show a transform of :mod:`torchvision.transforms.v2`. On a batch, those draw
# once for all images; ``CNNClassifier`` calls them for each image. All random numbers come from
# ``random_state``, so the same seed trains the same network.
#
# The network below sees each training image changed in another way at each epoch. To show that no
# other image is changed, the transform counts its calls: 5 epochs of 72 training cells. The 8 cells
# that early stopping holds out, and the images that are predicted, stay as they are.

from skall import CNNClassifier


class Counting(torch.nn.Module):
    """A transform that counts the images it is given."""

    n_images = 0

    def forward(self, image):
        Counting.n_images += 1
        return own(image)


net = CNNClassifier(
    "timm/test_resnet",
    weights=None,
    image_size=64,
    augment=Counting(),
    early_stopping=True,
    max_epochs=5,
    lr=2e-3,
    random_state=0,
)
net.fit(cells.data, cells.target)
net.predict(cells.data)
print(f"{net.n_iter_} epochs changed {Counting.n_images} images")

# %%
# Views for a frozen trunk
# ------------------------
# Where only the head is trained, the trunk's features of each image are computed once, and
# changing the image at each epoch would throw that away. So ``augment_views`` random views of each
# image are drawn and go through the trunk once; the epochs take them in turn. Their features are
# cached, so that other folds and heads need not compute them again.

frozen = net.set_params(
    backbone="timm/test_efficientnet",
    trainable="head",
    augment="talupuri2025",
    augment_views=4,
    early_stopping=False,
    max_epochs=40,
    lr=0.3,
)
frozen.fit(cells.data, cells.target)
print(frozen.history_frame_[["epoch", "train_loss", "dur"]].iloc[[0, 3, 4, 39]].round(3))
