"""The estimator: a convolutional network as a scikit-learn classifier."""

from skall.classifier.estimator import CNNClassifier
from skall.classifier.factory import get_estimator, load

__all__ = ["CNNClassifier", "get_estimator", "load"]
