"""The estimators that an estimator is made of."""

# The base class of scikit-learn's searches has no public name.
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline

from skall.classifier import CNNClassifier
from skall.features.cnn import CNNFeatures


def list_parts(estimator, kinds=object):
    """What an estimator is and holds, each once.

    Parameters
    ----------
    estimator : estimator
    kinds : type or tuple of type, default=object
        Only these.

    Returns
    -------
    list of object
        Values of parameters that are no estimators too, if they are of these kinds.
    """
    parts = [estimator, *estimator.get_params(deep=True).values()]
    return list({id(part): part for part in parts if isinstance(part, kinds)}.values())


def find_networks(estimator):
    """The classifiers and feature extractors of skall that an estimator is or holds.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    list of CNNClassifier or CNNFeatures
    """
    return list_parts(estimator, (CNNClassifier, CNNFeatures))


def find_last(estimator):
    """The estimator that a pipeline ends in, or a search has chosen or chooses among.

    Parameters
    ----------
    estimator : estimator
        Fitted or not.
    """
    if hasattr(estimator, "best_estimator_"):
        return find_last(estimator.best_estimator_)
    if isinstance(estimator, BaseSearchCV):
        return find_last(estimator.estimator)
    return find_last(estimator[-1]) if isinstance(estimator, Pipeline) else estimator


def find_search(estimator):
    """The fitted search that an estimator is, or that a pipeline ends in; None without one.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    """
    if hasattr(estimator, "best_params_"):
        return estimator
    return find_search(estimator[-1]) if isinstance(estimator, Pipeline) else None
