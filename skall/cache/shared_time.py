"""Time that goes into what is computed once for several estimators, folds and epochs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import local


class SharedTime(local):
    """Seconds for which this thread has waited, since it began, for images and frozen features.

    Estimators that come later find them in a cache; so what an estimator costs by itself is the
    time beside this one, wherever it stands among the others.

    Examples
    --------
    >>> shared = SharedTime()
    >>> with shared.running():
    ...     with shared.running():
    ...         time.sleep(0.01)
    >>> 0.01 <= shared.seconds < 5
    True
    """

    seconds = 0.0
    _depth = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of a context, once where contexts are nested."""
        started = time.perf_counter()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self.seconds += time.perf_counter() - started

    def iterate(self, items):
        """The items of an iterable, counting the time that each is waited for."""
        items, nothing = iter(items), object()
        while True:
            with self.running():
                item = next(items, nothing)
            if item is nothing:
                return
            yield item


SHARED_TIME = SharedTime()
