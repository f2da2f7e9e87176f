"""Seconds of a piece of code."""

from time import perf_counter


class Timer:
    """A context that measures; ``seconds`` holds the time once it is left."""

    def __enter__(self):
        self._start = perf_counter()
        return self

    def __exit__(self, *exc_info):
        self.seconds = perf_counter() - self._start


def scale_up(training, prediction, task):
    """Seconds of a whole cross-validation, from one epoch and one test part of its first fold.

    Parameters
    ----------
    training : float
        Seconds of an epoch.
    prediction : float
        Seconds of the prediction of a test part.
    task : dict
        ``folds, epochs``.

    Returns
    -------
    dict
        ``seconds``, ``scale`` and ``note``, as a contestant returns them.
    """
    folds, epochs = task["folds"], task["epochs"]
    whole = folds * (epochs * training + prediction)
    return {
        "seconds": {"cross-validation": whole},
        "scale": whole / (training + prediction),
        "note": f"scaled: 1 epoch and 1 test part measured, times {epochs} epochs, {folds} folds",
    }
