"""What a competition may be scored by: the metrics of labels that training has too (protocol/metrics.py), since a
hosted submission answers one class per picture.
"""

from __future__ import annotations

from flyai_local.errors import UserError
from protocol.language import tr
from protocol.metrics import METRICS, Metric

__all__ = ["METRICS", "Metric", "find"]


def find(name: str) -> Metric:
    """The metric of that name.

    Raises:
        UserError: it needs probabilities, or is not known; names those that are accepted.
    """
    if name in METRICS:
        return METRICS[name]
    raise UserError(
        tr(
            "the board cannot score by the metric {name!r}: a submission answers one class per "
            "picture, which leaves no metric of probabilities; accepted: {metrics}",
            name=name,
            metrics=", ".join(METRICS),
        )
    )
