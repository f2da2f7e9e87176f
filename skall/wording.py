"""Plain English of lists and sentences."""


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
