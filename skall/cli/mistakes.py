"""Mistakes of a user's, told apart from errors of a program's."""

from dis import opmap

# What skall's checks raise.
REFUSALS = (ValueError, TypeError, ImportError, NotImplementedError)


def is_mistake(exc):
    """Whether an error is a refusal of what was asked, whose message says what to do.

    It is where a ``raise`` of skall's own code was its origin, for that is how skall's checks end.
    It is not where Python or another package was: then skall gave it something wrong, or it has a
    bug itself. Errors of files, as a missing permission, always are: their message names the file.

    Parameters
    ----------
    exc : BaseException
        That was raised.

    Returns
    -------
    bool

    Examples
    --------
    >>> from skall import CNNClassifier
    >>> def judge(function):
    ...     try:
    ...         function()
    ...     except Exception as exc:
    ...         return is_mistake(exc)
    >>> judge(lambda: CNNClassifier(lr=-1).fit([[0, 0]], [0]))
    True
    >>> judge(lambda: None + 1)
    False
    >>> judge(lambda: open("nowhere/at/all"))
    True
    """
    if isinstance(exc, OSError):
        return True
    if not isinstance(exc, REFUSALS):
        return False
    origin = exc.__traceback__
    while origin.tb_next:
        origin = origin.tb_next
    module = origin.tb_frame.f_globals.get("__name__", "")
    instruction = origin.tb_frame.f_code.co_code[origin.tb_lasti]
    return module.partition(".")[0] == "skall" and instruction == opmap["RAISE_VARARGS"]
