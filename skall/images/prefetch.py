"""Reading the next batch while one is at work."""

from concurrent.futures import ThreadPoolExecutor


def read_ahead(batches):
    """Batches, each made in another thread while the one before is in use.

    Parameters
    ----------
    batches : iterable

    Yields
    ------
    object
        Those of the iterable, in its order.

    Examples
    --------
    >>> list(read_ahead(range(3)))
    [0, 1, 2]
    """
    batches = iter(batches)
    nothing = object()
    # The first one here: a sampler may draw the order of the rows in it.
    batch = next(batches, nothing)
    with ThreadPoolExecutor(1) as pool:
        while batch is not nothing:
            later = pool.submit(next, batches, nothing)
            yield batch
            batch = later.result()
