"""A process of its own for contestants that share a library and an allocator.

`speed.py` starts it and speaks with it in lines of JSON. Libraries print where they like, so that
answers go to a copy of the standard output, and what libraries print to the standard error.
"""

import importlib
import json
import os
import sys
import traceback

from contestants import NotThere


def open_answers():
    """A stream for answers alone; whatever else is printed goes to the standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def prepare(runs, order):
    """Have a contestant load what it measures."""
    module, _, function = order["function"].partition(":")
    make = getattr(importlib.import_module(f"contestants.{module}"), function)
    runs[order["name"]] = make(order["task"], **order["options"])
    loaded = {name: sys.modules.get(name) for name in order["needs"]}
    return {"versions": {name: getattr(loaded[name], "__version__", "") for name in loaded}}


def answer(runs, order):
    """Do what the parent asks for; the answer says what failed."""
    try:
        if order["do"] == "prepare":
            return prepare(runs, order)
        return runs[order["name"]]()
    except NotThere as exc:
        return {"absent": str(exc)}
    except Exception:
        return {"error": traceback.format_exc()}


def main():
    answers = open_answers()
    settings = json.loads(sys.argv[1])
    if settings["allocator"] == "tuned":
        from skall import tune_allocator

        if not tune_allocator():
            settings["allocator"] = "default"
    print(json.dumps(settings), file=answers, flush=True)
    runs = {}
    for line in sys.stdin:
        print(json.dumps(answer(runs, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
