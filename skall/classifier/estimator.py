"""The estimator: a convolutional network as a scikit-learn classifier."""

import inspect
import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skall.cache.memory import get_store
from skall.classifier.batches import CellDataset
from skall.classifier.callbacks import EpochTasks
from skall.classifier.execution import set_numerics
from skall.classifier.net import SkorchClassifier
from skall.classifier.parameters import check_names, check_parameters
from skall.classifier.reading import make_prediction_set, make_training_set
from skall.classifier.saving import save_classifier
from skall.classifier.training_rows import (
    check_sample_weight,
    check_targets,
    gather_rows,
    weigh_classes,
)
from skall.environment.private_names import get_callbacks
from skall.environment.randomness import draw_seed, seeded
from skall.images.inputs import ImagesLike, check_images
from skall.network.device import resolve_device
from skall.network.network import build_network
from skall.network.summary import summarize
from skall.validation.groups import check_groups
from skall.validation.labels import read_labels

if TYPE_CHECKING:
    Function = TypeVar("Function", bound=Callable[..., Any])

    # scikit-learn's has no types, and would hide those of fit.
    def with_callbacks(function: Function) -> Function: ...
else:
    from sklearn.callback import with_callbacks

# Parameters that a network is built from, which training that goes on cannot change.
STRUCTURE = ("backbone", "weights", "trainable", "head", "dropout", "image_size")
# What fit finds beside the weights: its names in saved folders, and the attributes.
FITTED = {
    # skorch's `classes_` is a property of this.
    "classes": "classes_inferred_",
    "n_features_in": "n_features_in_",
    "feature_names_in": "feature_names_in_",
    "n_iter": "n_iter_",
    "best_epoch": "best_epoch_",
    "n_threads": "n_threads_",
    "precision": "precision_",
    "memory_format": "memory_format_",
    "device": "device_",
    "history": "history_",
}


class CNNClassifier(CallbackSupportMixin, SkorchClassifier):
    """A convolutional network that is fitted to images, as a scikit-learn classifier.

    Parameters
    ----------
    backbone : str, default="resnet18"
        The trunk: a name of :func:`~skall.list_backbones` or ``"timm/<model>"``.
    weights : {"imagenet", None} or path, default="imagenet"
        ``"imagenet"`` starts from the published weights: the file ``<backbone>.safetensors`` in
        the folder that the environment variable ``SKALL_WEIGHTS`` names, else those that
        torchvision or timm download. None starts from random weights; a path from a
        ``.safetensors`` or ``.pth`` file.
    trainable : {"all", "head"} or int, default="all"
        ``"head"`` leaves the trunk as it is, in evaluation mode; an int k trains the last k stages
        of the trunk, and the head.
    head : {"linear", "mlp"} or callable, default="linear"
        ``"linear"``: global average pooling, dropout, one linear layer; ``"mlp"``: Flatten, 256,
        ReLU, 128, ReLU, dropout, one linear layer; a callable ``(feature_shape, n_outputs)`` that
        returns a :class:`torch.nn.Module`. Two classes have one output.
    dropout : float, default=0.2
        Probability of dropping an input of the last linear layer.
    image_size : int, optional
        Height and width, in pixels, that images are brought to; by default the backbone's own.
    image_shape : tuple of 2 or 3 ints, optional
        Height, width (and channels) of images given as rows of numbers; by default a grey square,
        else an RGB square, else a strip one pixel high.
    depth : int, optional
        Bits of a sample that are used, where files have more than 8: 12 for a camera of 12 bits
        whose files have 16, 8 for floats from 0 to 255. By default what the file says, see
        :func:`skall.images.depth.find_white`, else all 16 bits, or floats from 0 to 1.
    augment : {None, "talupuri2025", "vinod2025"} or transform, default=None
        Random changes of the training images, drawn for each image at each epoch:
        ``"talupuri2025"`` rotates, flips, scales and crops, ``"vinod2025"`` rotates, flips, scales
        and changes the brightness, as :data:`skall.preprocessing.augmentation.PRESETS` has
        them; or a transform of :mod:`torchvision.transforms.v2`. That is called with one image at
        a time, a uint8 tensor ``(3, image_size, image_size)``, and gives uint8 or floats in
        [0, 1]; the backbone normalises them itself. Validation and prediction never see it.
    augment_views : int, default=1
        With ``trainable="head"``, how many random views of each image are drawn; their features
        are computed once, and epoch e is trained on view e modulo that. Copies of an image, or
        those of a whole-number weight, are shown in different views as far as there are enough.
        Where the whole network is trained, every epoch draws new views, whatever this says.
    optimizer : class, default=torch.optim.AdamW
        Its other arguments have the prefix ``optimizer__``.
    lr : float, optional
        Learning rate; by default 1e-4 where the trunk is trained and 1e-3 for a head alone.
    weight_decay : float, default=0.01
    lr_schedule : {None, "cosine", "plateau", "step"} or class, default=None
        How the learning rate changes, see :func:`skall.classifier.callbacks.make_schedule`;
        arguments of the scheduler have the prefix ``lr_schedule__``.
    warmup_epochs : int, default=0
        Epochs in which the learning rate rises in a line, before the schedule begins.
    unfreeze_after : int, default=0
        Epochs in which only the head is trained; then the trunk joins, at a tenth of the head's
        learning rate. By default that is 1e-3 here, and 1e-4 for the trunk.
    max_epochs : int, default=20
    batch_size : int, default=32
        Images a step; -1 for all.
    early_stopping : bool, default=False
        Hold out a part of the training images, with the share of each class kept and no group
        parted, and train until their loss falls no longer; the weights of the epoch where it was
        least are kept.
    validation_fraction : float, default=0.1
        Share of the training images that early stopping watches.
    n_iter_no_change : int, default=5
        Epochs without improvement after which training stops.
    tol : float, default=1e-4
        The least fall of the loss that counts as an improvement.
    ema_decay : float, optional
        Keep the exponential moving average of the weights, of which each step leaves this share
        (less in the first steps), such as 0.99; validation uses it too.
    class_weight : {None, "balanced"} or dict, default=None
        Weight of each class in the loss.
    device : str or torch.device, default="auto"
        ``"auto"``: CUDA, then MPS, then the CPU; parallel workers share out the GPUs.
    keep_on_device : bool, default=False
        Leave the fitted weights on the device instead of the CPU.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        What the trunk is computed in; its weights, their updates and the head stay float32.
        ``"auto"`` is bfloat16 where a table of measurements, see
        :func:`skall.network.precision.choose_numerics`, says that it is faster for the family of
        the backbone on such a device, else float32.
    memory : {"auto", None}, path or joblib.Memory, default="auto"
        ``"auto"`` keeps decoded images, and the features of a frozen trunk, in this process, 1 GB
        at most (``skall.cache.IN_PROCESS`` shows and clears them), and in :func:`skall.compare`
        with a folder ``out`` in ``<out>/cache``; a folder keeps them on disk, for other processes
        and runs too; None keeps nothing. The last frozen trunk itself stays in the process, for
        the next estimator that needs the same.
    random_state : int, RandomState instance or None, default=None
        Seeds weights, batches and dropout; torch's and numpy's own generators are left alone.
    criterion : class, default=torch.nn.CrossEntropyLoss
        Loss of logits ``(n, n_classes)`` and class indices; arguments have ``criterion__``.
    callbacks : list of skorch callbacks, optional
        Beside skorch's; arguments have the prefix ``callbacks__<name>__``.
    train_split : callable, optional
        One of skorch's splitters, for the validation columns of the history, where early_stopping
        does not split.
    warm_start : bool, default=False
        Whether another `fit` goes on from the weights of the last, with a new optimizer. The
        network stays as it is: other values of what it was built from are an error.
    compile : bool, default=False
        Whether :func:`torch.compile` makes kernels for the trunk, with CUDA graphs on a GPU; its
        arguments have the prefix ``compile__``. That takes minutes at the start of a training,
        again in each process, and needs a C++ compiler. Results differ by rounding.
    verbose : int, default=0
        1 prints skorch's table of epochs.
    **skorch_params
        Arguments of skorch's parts: ``optimizer__``, ``lr_schedule__``, ``criterion__``,
        ``iterator_train__``, ``iterator_valid__``, ``callbacks__`` and ``compile__``.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    n_features_in_ : int
        Numbers in a row of flattened X; 1 where a row is a path or an image.
    feature_names_in_ : ndarray of str
        Names of the columns, where X had them.
    n_iter_ : int
        Epochs of training.
    best_epoch_ : int
        With early stopping, the epoch whose weights are kept, counted from 1 in the last training.
    image_size_ : int
        Height and width, in pixels, that images are brought to.
    module_ : skall.network.network.Network
    history_ : skorch.history.History
    history_frame_ : pandas.DataFrame
    device_ : torch.device
        What the network was trained on.
    precision_ : {"float32", "bfloat16"}
        In what it was trained.
    memory_format_ : {"channels_last", "contiguous"}
        How its images lay in memory.
    n_threads_ : int
        Threads that torch used.
    runtime_ : {"torch", "onnxruntime", "openvino"}
        What predicts; another than torch after :func:`skall.load` with that `runtime`.

    Notes
    -----
    scikit-learn's own progress bars and other callbacks, those of :mod:`sklearn.callback`, are set
    with ``set_callbacks``, here or on a pipeline or search around the network; each epoch of `fit`
    is a task of theirs.

    Examples
    --------
    >>> from skall import CNNClassifier
    >>> from skall.datasets import make_blood_cells
    >>> cells = make_blood_cells(24, n_patients=4, image_size=32, random_state=0)
    >>> net = CNNClassifier("timm/test_resnet", weights=None, image_size=32, max_epochs=2,
    ...                     random_state=0)
    >>> net.fit(cells.data, cells.target).predict_proba(cells.data[:3]).shape
    (3, 2)
    """

    # What predicts instead of torch, where `load` was told so.
    _session: Any = None

    def __init__(
        self,
        backbone: str = "resnet18",
        *,
        weights: str | os.PathLike | None = "imagenet",
        trainable: Literal["all", "head"] | int = "all",
        head: Literal["linear", "mlp"] | Callable[[tuple[int, ...], int], nn.Module] = "linear",
        dropout: float = 0.2,
        image_size: int | None = None,
        image_shape: tuple[int, ...] | None = None,
        depth: int | None = None,
        augment: str | Callable[[torch.Tensor], torch.Tensor] | None = None,
        augment_views: int = 1,
        optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.AdamW,
        lr: float | None = None,
        weight_decay: float = 0.01,
        lr_schedule: str | Callable[..., Any] | None = None,
        warmup_epochs: int = 0,
        unfreeze_after: int = 0,
        max_epochs: int = 20,
        batch_size: int = 32,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        tol: float = 1e-4,
        ema_decay: float | None = None,
        class_weight: Literal["balanced"] | Mapping[Any, float] | None = None,
        device: str | torch.device = "auto",
        keep_on_device: bool = False,
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        memory: Any = "auto",
        random_state: int | np.random.RandomState | None = None,
        criterion: Callable[..., nn.Module] = nn.CrossEntropyLoss,
        callbacks: Any = None,
        train_split: Any = None,
        warm_start: bool = False,
        compile: bool = False,
        verbose: int = 0,
        **skorch_params: Any,
    ) -> None:
        for name, value in {"backbone": backbone, "head": head}.items():
            if isinstance(value, nn.Module):
                raise TypeError(
                    f"{name} is a module, {type(value).__name__}; cloning the estimator would "
                    "copy its trained weights. Pass a backbone's name (skall.list_backbones; a "
                    "package can register its own) and a head's name or function"
                )
        self.backbone = backbone
        self.weights = weights
        self.trainable = trainable
        self.head = head
        self.dropout = dropout
        self.image_size = image_size
        self.image_shape = image_shape
        self.depth = depth
        self.augment = augment
        self.augment_views = augment_views
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.warmup_epochs = warmup_epochs
        self.unfreeze_after = unfreeze_after
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.ema_decay = ema_decay
        self.class_weight = class_weight
        self.keep_on_device = keep_on_device
        self.precision = precision
        self.memory = memory
        self.random_state = random_state
        super().__init__(
            optimizer=optimizer,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            criterion=criterion,
            callbacks=callbacks,
            train_split=train_split,
            warm_start=warm_start,
            compile=compile,
            verbose=verbose,
            device=device,
            **skorch_params,
        )
        check_names(self, skorch_params)

    # -- fitting ------------------------------------------------------------------------------

    @with_callbacks
    def fit(
        self,
        X: ImagesLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like
            Images: paths ``(n,)`` or ``(n, 1)``, PIL images, uint8 or float arrays ``(n, h, w)``
            or ``(n, h, w, 3)``, or rows of numbers ``(n, h * w)`` or ``(n, h * w * 3)``.
        y : array-like, shape (n,)
            Labels of any type.
        sample_weight : array-like of float, shape (n,), optional
            Weight k is k copies of the row.
        groups : array-like, shape (n,), optional
            Patients, which an inner split keeps together.

        Returns
        -------
        CNNClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If a loss of training or validation, or a weight after the last step, is not finite,
            with the epoch, the learning rate and the precision; and for what cannot be trained on.
        """
        fresh = not (self.warm_start and self.initialized_)
        return self._fit(X, y, sample_weight, groups, fresh=fresh)

    def partial_fit(
        self,
        X: ImagesLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Go once more over these images, from the weights that there are.

        A schedule or warm-up of the learning rate, and the average of ``ema_decay``, begin anew in
        each call.

        Parameters
        ----------
        X, y, sample_weight, groups
            As in :meth:`fit`.
        classes : array-like, shape (n_classes,), optional
            All the classes; needed in the first call where y does not hold them all.

        Returns
        -------
        CNNClassifier
            The estimator itself.
        """
        fresh = not self.initialized_
        return self._fit(X, y, sample_weight, groups, fresh=fresh, once=True, classes=classes)

    def _fit(self, X, y, sample_weight, groups, *, fresh, once=False, classes=None):
        check_parameters(self)
        if not fresh:
            self._check_structure()
        if once and self.early_stopping:
            raise ValueError(
                "partial_fit goes one epoch at a time and cannot stop early; use "
                "early_stopping=False, or fit"
            )
        images = check_images(self, X, reset=fresh)
        known = None
        if fresh and classes is not None:
            known = np.unique(read_labels(classes, "classes"))
        classes, codes = check_targets(self, y, len(images), known if fresh else self.classes_)
        weight = check_sample_weight(sample_weight, len(images))
        class_weight = weigh_classes(self.class_weight, classes, codes, weight)
        groups = check_groups(groups, len(images))
        rows = gather_rows(images, codes, weight, groups, class_weight)
        if len(classes) < 2 or (known is None and fresh and np.ptp(rows.targets) == 0):
            weightless = "" if weight is None else " (rows of weight 0 do not count)"
            remedy = ", or all of them as `classes`" if once else ""
            raise ValueError(
                f"y holds one class, {classes.tolist()[rows.targets[0]]!r}{weightless}; a "
                f"classifier needs rows of at least 2 classes{remedy}"
            )
        self._set_fitted(device=resolve_device(self.device), n_threads=torch.get_num_threads())
        # Other runtimes run the weights of before.
        self._session = None
        if fresh:
            self._set_fitted(classes=classes, n_iter=0)
            # For the inner split and the views too, which stay when training goes on.
            self.seed_ = draw_seed(self.random_state)
        watched = get_callbacks(self) and not once
        tasks = EpochTasks(self, X, y, sample_weight) if watched else None
        try:
            running = nullcontext() if tasks is None else tasks.running()
            with running, seeded(self.seed_ + self.n_iter_, self.device_):
                if fresh:
                    self.initialize()
                elif not once:
                    self._initialize_callbacks()
                self._prepare_network()
                dataset = make_training_set(self, images, rows)
                self._train(dataset, 1 if once else self.max_epochs, tasks, keep_optimizer=once)
        except BaseException:
            # Reset after a failed fit, so that half-trained weights do not predict.
            if fresh:
                self._reset()
            raise
        return self

    def _prepare_network(self):
        """Have the network on its device, with its numerics and an optimizer."""
        self._move(self.device_)
        numerics = set_numerics(self, self.device_)
        self._set_fitted(precision=numerics.precision, memory_format=numerics.memory_format)
        numerics.arrange_weights(self.module_.extractor)
        self._renew_optimizer()

    def initialize_module(self):
        """Build the network; skorch calls it once the classes are known."""
        self._session = None
        self.module_, self.image_size_ = build_network(self, len(self.classes_))
        self._structure = {name: getattr(self, name) for name in STRUCTURE}
        return self

    def _check_structure(self):
        """Raise where training that goes on was told of another network."""
        for name, value in self._structure.items():
            if getattr(self, name) != value:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} does not fit the network so far, which "
                    f"was built with {name}={value!r}: warm_start and partial_fit go on with "
                    "it. Fit with warm_start=False for a new one"
                )

    # -- fitted state -------------------------------------------------------------------------

    def _set_fitted(self, **state):
        """Set some of what fit finds, by the names of :data:`FITTED`."""
        vars(self).update({FITTED[name]: value for name, value in state.items()})

    def _fitted_state(self):
        """What fit found beside the weights, by the names of :data:`FITTED`; None where not."""
        return {name: getattr(self, attribute, None) for name, attribute in FITTED.items()}

    def _restore(self, state, weights):
        """Be fitted as another was, instead of by images."""
        self._set_fitted(classes=state["classes"], device=torch.device("cpu"))
        source, self.weights = self.weights, None
        with seeded(0):
            self.initialize()
        self.weights = self._structure["weights"] = source
        try:
            self.module_.load_state_dict(weights)
        except RuntimeError as exc:
            raise ValueError(f"the saved weights do not fit the network: {exc}") from exc
        self._finish_training(keep_optimizer=False)
        self.seed_ = draw_seed(self.random_state)
        self._set_fitted(**{name: value for name, value in state.items() if value is not None})

    def _reset(self):
        """Be unfitted again, except for the history, which may tell what was wrong."""
        self.initialized_ = False
        network = ("module_", "optimizer_", "_execution", "_optimizer_source", "_structure")
        for name in (*network, *FITTED.values(), "image_size_", "seed_"):
            if name != "history_":
                vars(self).pop(name, None)

    # -- data ---------------------------------------------------------------------------------

    def get_dataset(self, X, y=None):
        """The data set that skorch reads: images, or their features where the trunk is frozen."""
        if isinstance(X, CellDataset):
            return X
        images = check_images(self, X, reset=False)
        return make_prediction_set(self, images)

    # -- prediction ---------------------------------------------------------------------------

    def _predict_logits(self, X):
        check_is_fitted(self)
        # Data sets may hold features, which only torch takes.
        if self._session is not None and not isinstance(X, CellDataset):
            images = check_images(self, X, reset=False)
            return self._session.predict_logits(images, self.image_size_, get_store(self.memory))
        with self._execution.on_device(self):
            logits = torch.cat(list(self.forward_iter(X, device=self.module_.device))).cpu()
        return logits.detach().double().numpy()

    def predict_proba(self, X: ImagesLike) -> NDArray[np.float64]:
        """Probability of each class.

        Parameters
        ----------
        X : array-like
            Images, as in :meth:`fit`.

        Returns
        -------
        ndarray of float64, shape (n, n_classes)
            Columns in the order of ``classes_``.
        """
        return softmax(self._predict_logits(X), axis=1)

    def decision_function(self, X: ImagesLike) -> NDArray[np.float64]:
        """Logit of the second of two classes, or one score a class.

        Parameters
        ----------
        X : array-like
            Images, as in :meth:`fit`.

        Returns
        -------
        ndarray of float64, shape (n,) or (n, n_classes)
        """
        logits = self._predict_logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict(self, X: ImagesLike) -> NDArray[Any]:
        """The most probable class of each image.

        Parameters
        ----------
        X : array-like
            Images, as in :meth:`fit`.

        Returns
        -------
        ndarray, shape (n,)
            Labels of the type that `fit` got.
        """
        codes = self._predict_logits(X).argmax(axis=1)
        # skorch's scoring callbacks predict data sets, whose targets are class indices.
        return codes if isinstance(X, CellDataset) else self.classes_[codes]

    # -- description --------------------------------------------------------------------------

    @property
    def history_frame_(self) -> pd.DataFrame:
        """The epochs as a DataFrame: losses, accuracies, learning rate and seconds (``dur``)."""
        check_is_fitted(self)
        columns = ["epoch", "train_loss", "valid_loss", "train_acc", "valid_acc", "lr", "dur"]
        return pd.DataFrame([dict(epoch) for epoch in self.history_.to_list()]).reindex(
            columns=columns
        )

    @property
    def runtime_(self) -> str:
        """The program that predicts: torch, or what :func:`skall.load` was told."""
        check_is_fitted(self)
        return "torch" if self._session is None else self._session.runtime

    def summary(self) -> dict[str, Any]:
        """Size of the network; see :func:`skall.network.summary.summarize`.

        Returns
        -------
        dict
            ``trainable``, ``non_trainable``, ``optimizer``, ``bytes``, ``macs`` and
            ``feature_shape``.

        Examples
        --------
        >>> from skall import get_estimator
        >>> get_estimator("vgg16", head="mlp", image_size=224).summary()["trainable"]
        21170497
        """
        check_parameters(self)
        return summarize(self)

    def save(
        self, folder: str | os.PathLike, format: Literal["safetensors", "onnx"] = "safetensors"
    ) -> None:
        """Write the fitted classifier as safetensors and JSON; :func:`skall.load` reads it.

        Parameters
        ----------
        folder : path
            Made where it does not exist.
        format : {"safetensors", "onnx"}, default="safetensors"
            ``"onnx"`` also writes ``model.onnx``, from float32 images in [0, 1] to probabilities
            in float32, as :func:`skall.classifier.exporting.export_model` describes it, which
            other programs, and ``skall.load(folder, runtime=...)``, can run; it needs
            ``skall[onnx]``. ``"safetensors"`` removes such a file of an earlier save.

        Raises
        ------
        TypeError
            For a parameter that JSON cannot hold, which is named.
        ValueError
            For another format, or a network that cannot be exported.
        RuntimeError
            Where the exported model's probabilities differ from the network's by more than 1e-4;
            nothing is written then.
        ImportError
            Where ``format="onnx"`` lacks its packages.
        """
        save_classifier(self, folder, format)


# scikit-learn's introspection takes every name in a signature for a parameter, **kwargs too.
CNNClassifier.__signature__ = inspect.Signature(
    [
        parameter
        for parameter in inspect.signature(CNNClassifier).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
)
