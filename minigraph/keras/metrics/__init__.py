"""Keras metrics by name: objects that collect, and the functions behind them."""

from minigraph.keras.losses.functions import (binary_crossentropy, binary_focal_crossentropy, categorical_crossentropy,
                                              categorical_focal_crossentropy, categorical_hinge, hinge, huber,
                                              kl_divergence, log_cosh, mean_absolute_error,
                                              mean_absolute_percentage_error, mean_squared_error,
                                              mean_squared_logarithmic_error, poisson, sparse_categorical_crossentropy,
                                              squared_hinge)
from minigraph.keras.metrics.accuracy import (Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy,
                                              SparseTopKCategoricalAccuracy, TopKCategoricalAccuracy, binary_accuracy,
                                              categorical_accuracy, sparse_categorical_accuracy,
                                              sparse_top_k_categorical_accuracy, top_k_categorical_accuracy)
from minigraph.keras.metrics.base import Mean, MeanMetricWrapper, Metric, Sum
from minigraph.keras.metrics.confusion import (AUC, F1Score, FalseNegatives, FalsePositives, FBetaScore, Precision,
                                               Recall, TrueNegatives, TruePositives)
from minigraph.keras.metrics.errors import (BinaryCrossentropy, CategoricalCrossentropy, CategoricalHinge,
                                            CosineSimilarity, Hinge, KLDivergence, LogCoshError, MeanAbsoluteError,
                                            MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredLogarithmicError,
                                            Poisson, R2Score, RootMeanSquaredError, SparseCategoricalCrossentropy,
                                            SquaredHinge)
from minigraph.keras.metrics.resolve import resolve
from minigraph.keras.serialization import Registry, serialize

_CLASSES = [AUC, Accuracy, BinaryAccuracy, BinaryCrossentropy, CategoricalAccuracy, CategoricalCrossentropy,
            CategoricalHinge, CosineSimilarity, F1Score, FBetaScore, FalseNegatives, FalsePositives, Hinge, KLDivergence,
            LogCoshError, Mean, MeanAbsoluteError, MeanAbsolutePercentageError, MeanMetricWrapper, MeanSquaredError,
            MeanSquaredLogarithmicError, Metric, Poisson, Precision, R2Score, Recall, RootMeanSquaredError,
            SparseCategoricalAccuracy, SparseCategoricalCrossentropy, SparseTopKCategoricalAccuracy, SquaredHinge, Sum,
            TopKCategoricalAccuracy, TrueNegatives, TruePositives]
_SHORT = {"mse": MeanSquaredError, "mae": MeanAbsoluteError, "mape": MeanAbsolutePercentageError,
          "msle": MeanSquaredLogarithmicError, "bce": BinaryCrossentropy}
_registry = Registry("metric", "keras.metrics", _CLASSES,
                     {**_SHORT, **{name.upper(): metric for name, metric in _SHORT.items()}})
get, deserialize = _registry.get, _registry.deserialize


def __getattr__(name: str):
    from minigraph.errors import UnsupportedError, did_you_mean
    if name.startswith("_"):
        raise AttributeError(name)
    raise UnsupportedError(f"keras.metrics.{name} is not supported", where="minigraph.keras.metrics", got=name,
                           wanted="a supported metric",
                           fix=did_you_mean(name, [metric.__name__ for metric in _CLASSES]))
