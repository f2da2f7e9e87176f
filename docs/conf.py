"""Settings of the documentation; CONTRIBUTING.md says how it is built."""

import os
import subprocess
import sys
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
# As in the tests of the examples: waiting threads that spin slow a shared machine down. torch reads
# it when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from skorch import NeuralNetClassifier

import skall

project = "skall"
author = "The skall developers"
copyright = author
version = release = skall.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
# The names of other packages become links only where the internet can be reached: `-t online`.
if "online" in globals()["tags"]:
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "imblearn": ("https://imbalanced-learn.org/stable", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
        "python": ("https://docs.python.org/3", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }

templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates"]
# As scikit-learn writes it: `X` is the name of a parameter.
default_role = "literal"
# Files of the repository that its own pages link to are not on the site.
suppress_warnings = ["myst.xref_missing"]

autosummary_generate = True
toc_object_entries_show_parents = "hide"
autodoc_default_options = {
    "members": True,
    "inherited-members": True,
}
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_validation_checks = set()

sphinx_gallery_conf = {
    "examples_dirs": str(ROOT / "examples"),
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"plugin_tinynet|__init__\.py",
    "nested_sections": False,
    "within_subsection_order": "ExampleTitleSortKey",
    "abort_on_example_error": True,
    "show_signature": False,
    "write_computation_times": False,
    "image_srcset": ["2x"],
    "min_reported_time": 1,
}

# What a user calls of a network; the other methods that skall overrides are for skorch alone.
CALLED = {"fit", "partial_fit", "predict", "predict_proba", "score", "history_"}
HOOKS = set(dir(NeuralNetClassifier)) - CALLED

html_theme = "pydata_sphinx_theme"
html_title = "skall"
html_static_path = ["_static"]
html_css_files = ["skall.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
}


class CommandHelp(SphinxDirective):
    """What a command prints with ``--help``: ``.. command-help:: compare``."""

    optional_arguments = 1

    def run(self):
        command = [sys.executable, "-m", "skall", *self.arguments, "--help"]
        environment = os.environ | {"COLUMNS": "88", "PYTHONPATH": str(ROOT)}
        text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return [nodes.literal_block(text.stdout, text.stdout, language="none")]


def leave_out(app, what, name, member, skip, options):
    """Leave out what scikit-learn and skorch document, and skorch's hooks that skall overrides."""
    function = getattr(member, "fget", getattr(member, "__func__", member))
    module = getattr(function, "__module__", None) or ""
    return True if name in HOOKS or not module.startswith("skall") else None


def read_gallery_headers(app, config):
    """Headers of galleries are in reStructuredText: plugin_tinynet's README.md is none."""
    config.sphinx_gallery_conf["source_suffix"] = {".rst": "restructuredtext"}


def setup(app):
    # Right after sphinx-gallery's own.
    app.connect("config-inited", read_gallery_headers, priority=11)
    app.connect("autodoc-skip-member", leave_out)
    app.add_directive("command-help", CommandHelp)
