"""Names that are private to other packages, where no public name serves.

All of them stand in this module, so that there is one place to change when a package changes them.
``tests/test_private_names.py`` says which one is gone and what it was for, and that no other module
uses any.
"""

from itertools import chain

# The base class of scikit-learn's scorers: only its instances share one prediction among all the
# metrics of cross_validate, and make_scorer does not say which class a column of probabilities is.
from sklearn.metrics._scorer import _BaseScorer as BaseScorer

# The base class of scikit-learn's searches, to tell them from other estimators.
from sklearn.model_selection._search import BaseSearchCV

# Rows of anything that an estimator takes, as scikit-learn's cross_validate selects them.
from sklearn.utils import _safe_indexing as select_rows

__all__ = [
    "INHERITED",
    "READ_IN",
    "BaseScorer",
    "BaseSearchCV",
    "count_hooks",
    "count_writes",
    "declares_classifier",
    "find_experiment",
    "get_callbacks",
    "list_own_tensors",
    "name_callbacks",
    "select_rows",
]

# The versions whose source was read.
READ_IN = {"mlflow-skinny": "3.17", "scikit-learn": "1.9", "skorch": "1.4", "torch": "2.14"}

# Methods and attributes of other packages' classes that skall's subclasses override or use.
INHERITED = {
    "skorch:NeuralNet": {
        "_current_init_context": "registers the module and criterion as parts of the network",
        "_default_callbacks": "overridden: columns of the history, schedules, early stopping",
        "_get_param_names": "overridden: only the constructor's parameters are parameters",
        "_initialize_callbacks": "called where training goes on with the network that there is",
        "_initialize_criterion": "overridden: device='auto'",
        "_initialize_module": "overridden: device='auto'",
        "_set_training": "overridden: layers are visited when the mode changes, not every batch",
        "_validate_params": "overridden: names are checked when they are given",
    },
    "sklearn.callback:CallbackSupportMixin": {
        "_init_callback_context": "makes each epoch of fit a task of scikit-learn's callbacks",
        "_skl_callbacks": "without callbacks, fit makes no tasks",
    },
    "sklearn.metrics._scorer:_Scorer": {
        "_score": "overridden, in BaseScorer: one metric, from predictions that all metrics share",
    },
    "sklearn.model_selection._search_successive_halving:HalvingRandomSearchCV": {
        "_run_search": "overridden: test parts stay whole where samples are the resource",
    },
    "sklearn.model_selection:RandomizedSearchCV": {
        "_run_search": "overridden: Optuna proposes the candidates",
    },
}


def get_callbacks(estimator):
    """Get the callbacks that ``set_callbacks`` of :mod:`sklearn.callback` was given."""
    return getattr(estimator, "_skl_callbacks", [])


def declares_classifier(estimator):
    """Check for scikit-learn's older mark of a classifier, which Optuna's OptunaSearchCV has."""
    return getattr(estimator, "_estimator_type", None) == "classifier"


def name_callbacks(net):
    """List the names of a skorch network's callbacks, from which its parameters' names are made."""
    return [name for name, _ in net._uniquely_named_callbacks()]


def count_writes(tensor):
    """Get torch's count of the operations in place on a tensor and its views."""
    return tensor._version


def count_hooks(module):
    """Count a module's forward hooks and forward pre-hooks."""
    return len(module._forward_hooks), len(module._forward_pre_hooks)


def list_own_tensors(modules):
    """List the parameters and buffers of modules, without those of their children.

    ``parameters`` and ``buffers``, which are public, take twice as long for a whole network.
    """
    return [
        tensor
        for module in modules
        for tensor in chain(module._parameters.values(), module._buffers.values())
        if tensor is not None
    ]


def find_experiment():
    """Find the id of the experiment that MLflow would log to: set, or from the environment."""
    from mlflow.tracking.fluent import _get_experiment_id

    return _get_experiment_id()
