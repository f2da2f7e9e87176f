"""The report of a comparison: one page that stands by itself, and the tables beside it."""

from skall.report.page import write_report

__all__ = ["write_report"]
