"""Cross-validation of several estimators over the same folds, and its results.

A comparison goes through these modules, in this order:

1. :mod:`.cross_validation`: :func:`compare`, which calls all that follows.
2. :mod:`.plan`: the arguments are checked before anything is trained. :mod:`.estimators` makes the
   candidates, baselines and searches, :mod:`.splits` the folds; :mod:`.data_checks` warns of
   leakage and copies; :mod:`.description` writes down what is compared, as a fingerprint and
   for readers.
3. :mod:`.workers`: each job, an estimator on a fold, runs here or in a worker process, with bars of
   :mod:`.progress`. :mod:`.evaluation` fits, predicts and scores; :mod:`.costs` measures.
4. :mod:`.record`: finished jobs are stored in the folder `out`, so that a stopped call resumes;
   :mod:`.tracking` logs them to MLflow.
5. :mod:`.results`: the :class:`Comparison`, with :mod:`.ensembles`, :mod:`.plots`, the sentences of
   :mod:`.answers` and :mod:`.flags`, and tables that :mod:`.storage` writes and reads.
6. :mod:`skall.report`: the page, which :meth:`Comparison.write` adds to the tables.
"""

from skall.comparison.cross_validation import compare
from skall.comparison.results import Comparison

__all__ = ["Comparison", "compare"]
