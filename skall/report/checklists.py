"""Reporting guidelines, filled in as far as the software knows."""

import tomllib
from importlib.resources import files


def fill_checklists(facts):
    """The items of CLAIM, STARD-AI and TRIPOD+AI with what is known.

    Parameters
    ----------
    facts : dict of str to str
        From :func:`skall.report.facts.describe_facts`.

    Returns
    -------
    list of dict
        For each guideline ``name, citation, note, items, n_filled``; an item has ``number,
        section, topic`` and ``answer``, None where it is to be filled in.
    """
    text = files("skall.report").joinpath("checklists.toml").read_text(encoding="utf-8")
    filled = []
    for guideline in tomllib.loads(text)["guideline"]:
        items = [item | {"answer": _answer(item, facts)} for item in guideline["item"]]
        n_filled = sum(item["answer"] is not None for item in items)
        filled.append({"note": "", **guideline, "items": items, "n_filled": n_filled})
    return filled


def _answer(item, facts):
    """What is known of an item, from one fact or several."""
    names = item.get("fact", [])
    names = [names] if isinstance(names, str) else names
    return " ".join(facts[name] for name in names if name in facts) or None
