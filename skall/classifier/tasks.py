"""The tasks of `fit` that scikit-learn's callbacks are told of: all of it, and each epoch."""

from contextlib import contextmanager
from copy import deepcopy

from sklearn.callback import CallbackSupportMixin
from skorch.history import History

from skall.classifier.net import CellNet, TrainingStopped
from skall.classifier.stopping import BestEpoch, copy_state
from skall.environment.randomness import seeded
from skall.network.device import Stay


class EpochTasks(CallbackSupportMixin):
    """The part of the classifier that calls the hooks of :mod:`sklearn.callback`.

    They are called here and not by one of skorch's callbacks, in which Ctrl-C would end the
    training as if it were complete, and which ``callbacks="disable"`` takes away.
    """

    # While fit runs with callbacks: what each hook gets, and the task of the epoch that runs.
    _hook_arguments = None
    _epoch_task = None

    @contextmanager
    def _fit_task(self, X, y, sample_weight):
        """Be the task that has the epochs as subtasks."""
        if not hasattr(self, "_skl_callbacks"):
            yield
            return
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        arguments = {"estimator": self, "X": X, "y": y, "metadata": metadata}
        task = self._init_callback_context(max_subtasks=self.max_epochs)
        task.call_on_fit_task_begin(**arguments)
        self._hook_arguments = arguments
        try:
            yield
        finally:
            for name in ("_hook_arguments", "_epoch_task"):
                vars(self).pop(name, None)
        task.call_on_fit_task_end(**arguments, reconstruction_attributes={})

    def notify(self, method_name, **kwargs):
        # An epoch is over when skorch's callbacks have had it, or have stopped in the midst of it.
        if self._hook_arguments is None:
            super().notify(method_name, **kwargs)
            return
        if method_name == "on_epoch_begin":
            self._begin_epoch()
        try:
            super().notify(method_name, **kwargs)
        except TrainingStopped:
            self._end_epoch()
            raise
        if method_name == "on_epoch_end" and self._end_epoch():
            raise TrainingStopped

    def _begin_epoch(self):
        self._epoch_task = self._callback_fit_ctx.subcontext(task_name="epoch")
        self._call(self._epoch_task.call_on_fit_task_begin)

    def _end_epoch(self):
        """End the epoch's task, if one runs; True where a callback asks to stop."""
        task, self._epoch_task = self._epoch_task, None
        return task is not None and self._call(task.call_on_fit_task_end)

    def _call(self, hooks):
        # What callbacks draw must not change the training.
        with seeded(self.seed_ + len(self.history_), self.device_):
            return hooks(
                **self._hook_arguments, reconstruction_attributes=self._list_fitted_attributes
            )

    def _list_fitted_attributes(self):
        """Attributes of the network as if training had ended now."""
        callbacks = [callback for _, callback in self.callbacks_]
        best = next((each for each in callbacks if isinstance(each, BestEpoch)), None)
        fitted = CellNet.__new__(type(self))
        vars(fitted).update(vars(self), optimizer_=None, _hook_arguments=None, _epoch_task=None)
        fitted._stay = Stay()
        fitted.module_, fitted.criterion_ = deepcopy((self.module_, self.criterion_))
        if best is not None and best.state_ is not None:
            copy_state(best.state_, fitted.module_)
            fitted.best_epoch_ = best.epoch_
        else:
            copy_state(self.get_kept_state(), fitted.module_)
        fitted._put_away(keep_optimizer=False)
        # The list grows while training goes on.
        fitted.history_ = History(self.history_)
        fitted.n_iter_ = len(self.history_)
        return vars(fitted)
