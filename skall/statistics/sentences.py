"""Plain English of lists and sentences, and numbers beside them."""

import math


def capitalize(text):
    """A text with its first letter in capitals; the others, as those of AUC, stay.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> capitalize("balanced accuracy and MCC")
    'Balanced accuracy and MCC'
    """
    return text[:1].upper() + text[1:]


def list_words(words):
    """Words as a sentence lists them.

    Parameters
    ----------
    words : iterable of object

    Returns
    -------
    str

    Examples
    --------
    >>> list_words(["F1", "MCC", "ECE"]), list_words([3])
    ('F1, MCC and ECE', '3')
    """
    words = [str(word) for word in words]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def count_nouns(number, noun):
    """A number with its noun, which takes an s where it is not one.

    Examples
    --------
    >>> count_nouns(1, "patient"), count_nouns(2331, "cell")
    ('1 patient', '2,331 cells')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def write_spread(mean, std):
    """A mean with its standard deviation, where that is known; a dash without a value.

    Parameters
    ----------
    mean, std : float

    Returns
    -------
    str

    Examples
    --------
    >>> write_spread(0.9, 0.012), write_spread(0.9, math.nan), write_spread(math.nan, math.nan)
    ('0.900 ± 0.012', '0.900', '-')
    """
    if math.isnan(mean):
        return "-"
    return f"{mean:.3f}" if math.isnan(std) else f"{mean:.3f} ± {std:.3f}"
