"""Progress bars of folds, estimators and epochs with the time left."""

from collections import Counter

from tqdm.auto import tqdm

from skall.environment.private_names import get_callbacks


class Progress:
    """Progress bars, in a terminal or a notebook, while a context lasts.

    Parameters
    ----------
    jobs : list of (str, Fold)
        All estimators on all folds.
    done : list of (str, Fold)
        Those that are finished already.
    verbose : bool
        False shows nothing.

    Attributes
    ----------
    watcher : EpochWatcher or None
        For networks that are trained in this process; None where nothing is shown.
    """

    def __init__(self, jobs, done, verbose):
        self._unfinished = Counter(_key(fold) for _, fold in jobs)
        self._unfinished.subtract(_key(fold) for _, fold in done)
        options = {"disable": not verbose, "dynamic_ncols": True}
        n_finished = sum(count == 0 for count in self._unfinished.values())
        self._folds = tqdm(total=len(self._unfinished), desc="folds", position=0, **options)
        self._folds.update(n_finished)
        self._fits = tqdm(
            total=len(jobs), initial=len(done), desc="estimators", position=1, **options
        )
        self.watcher = EpochWatcher(2) if verbose else None

    def update(self, name, fold):
        """Count an estimator on a fold as finished."""
        self._unfinished[_key(fold)] -= 1
        self._fits.set_postfix_str(f"{name}, {fold.title}", refresh=False)
        self._fits.update()
        if not self._unfinished[_key(fold)]:
            self._folds.update()

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        if self.watcher:
            self.watcher.close()
        self._fits.close()
        self._folds.close()


def _key(fold):
    return fold.repeat, fold.fold


class EpochWatcher:
    """A callback of :mod:`sklearn.callback` that shows the epochs of one network after the other.

    Parameters
    ----------
    position : int, optional
        Line of the bar; None shows nothing.
    """

    def __init__(self, position=None):
        self.position = position
        self._bar = None

    def setup(self, estimator, context):
        """Begin a bar with the largest possible number of epochs."""
        if self.position is not None:
            self.close()
            name = getattr(estimator, "backbone", type(estimator).__name__)
            # Drawn after every epoch, however short: the bar is removed with the last.
            options = {"leave": False, "dynamic_ncols": True, "mininterval": 0}
            self._bar = tqdm(
                total=context.max_subtasks,
                desc=f"epochs of {name}",
                position=self.position,
                **options,
            )

    def on_fit_task_begin(self, estimator, context):
        """Show nothing yet."""

    def on_fit_task_end(self, estimator, context):
        """Count an epoch; these are the innermost tasks of `fit`."""
        if self._bar is not None and context.parent is not None and context.max_subtasks == 0:
            self._bar.update()

    def teardown(self, estimator, context):
        """Remove the bar."""
        self.close()

    def close(self):
        """Remove the bar, if there is one."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __reduce__(self):
        # In another process, as those of a search with n_jobs, there is no terminal to draw on.
        return EpochWatcher, ()


def watch(network, watcher):
    """Add a watcher to the callbacks of a network, if it supports :mod:`sklearn.callback`."""
    if hasattr(network, "set_callbacks"):
        network.set_callbacks(*get_callbacks(network), watcher)
