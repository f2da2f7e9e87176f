"""Checks in environments of their own: ``nox -l`` lists them, ``nox -s lint`` runs one."""

import os

import nox

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["lint", "types", "docs", "tests", "oldest"]
nox.options.reuse_existing_virtualenvs = True

PYTHONS = ["3.11", "3.12", "3.13"]
# On tiny networks threads wait for each other more than they compute.
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


@nox.session(python=PYTHONS)
def tests(session):
    """The fast suite with the newest packages; other options of pytest after ``--``."""
    session.install("--upgrade", ".[test]")
    session.run("pytest", "-n", "2", *session.posargs, env=ENVIRONMENT)


@nox.session(python=PYTHONS[0])
def oldest(session):
    """The fast suite with the oldest packages that pyproject.toml admits."""
    session.install("--resolution=lowest-direct", ".[test]")
    # They use what newer releases of packages that they need have deprecated, and timm 1.0.21 makes
    # an empty classifier.
    old = "-W", "ignore::DeprecationWarning", "-W", "ignore:Initializing zero-element tensors"
    session.run("pytest", "-n", "2", *old, *session.posargs, env=ENVIRONMENT)


@nox.session
def lint(session):
    """Lint, format and spelling."""
    session.install("ruff", "typos")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("typos")


@nox.session
def types(session):
    """The types of the public interface."""
    session.install(".[test]")
    session.run("mypy")


@nox.session
def docs(session):
    """The documentation with its gallery, warnings as errors."""
    session.install(".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session
def benchmarks(session):
    """The hot paths of another revision and of this one: ``nox -s benchmarks -- main``.

    Fails where a median is a quarter slower than before. Both are measured on this machine, one
    after the other: let nothing else run beside.
    """
    revision = session.posargs[0] if session.posargs else "HEAD~1"
    before = os.path.join(session.create_tmp(), "before")
    session.run("git", "worktree", "add", "--force", "--detach", before, revision, external=True)
    try:
        session.install(f"{before}[test]")
        session.run(*_measure("--benchmark-save=before"), env=ENVIRONMENT)
        session.install("--reinstall-package", "skall", ".[test]")
        comparison = "--benchmark-compare", "--benchmark-compare-fail=median:25%"
        session.run(*_measure(*comparison), env=ENVIRONMENT)
    finally:
        session.run("git", "worktree", "remove", "--force", before, external=True)


def _measure(*options):
    # Not the folder of the sources, which would be imported in place of what was installed.
    settings = "--benchmark-enable", "--import-mode=importlib", "-o", "pythonpath="
    return "pytest", *settings, "benchmarks/hot_paths.py", *options
