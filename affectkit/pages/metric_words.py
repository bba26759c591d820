"""What metrics are, in a line, and which way is better."""

from __future__ import annotations

from typing import Any

from affectkit.metrics import METRICS

WORDS = {
    "loss": ("min", "what training minimises, on this split"),
    "accuracy": ("max", "share of images whose predicted class is the labelled one"),
    "balanced_accuracy": ("max", "mean of the recalls of all classes, whatever their frequency"),
    "macro_f1": ("max", "mean over classes of the harmonic mean of precision and recall"),
    "ece": ("min", "expected calibration error: mean gap between confidence and the target's share, in 15 bins"),
    "ece_top1": ("min", "the same against the top label alone"),
    "brier": ("min", "summed squared difference of probabilities and target, averaged"),
    "ece_uncalibrated": ("min", "ece before the temperature"),
    "ece_top1_uncalibrated": ("min", "ece_top1 before the temperature"),
    "brier_uncalibrated": ("min", "brier before the temperature"),
    "aurc": ("min", "area under the risk-coverage curve: mean error of the surest items, over all shares of them"),
    "excess_aurc": ("min", "aurc minus that of the best order of the same errors"),
    "rater_agreement": ("max", "how often the predicted label is that of a rater drawn at random"),
    "rater_ceiling": ("max", "the most that rater_agreement can reach with these votes"),
    "rater_leave_one_out": ("max", "how often the majority of the other raters is a rater's label"),
}
"""Metrics that are no functions of ``metrics.METRICS``."""
PARTS = {
    "human_accuracy": ("", "mean share of the raters who named the intended emotion, from:"),
    "human_ceiling": ("", "the most that the best single label could reach with these votes, from:"),
    "rater_agreement": ("max", "how often the predicted label is that of a rater drawn at random, from:"),
    "recon": ("min", "mean squared error of the reconstruction of the"),
    "vq": ("min", "quantisation loss of the"),
    "perplexity": ("max", "how many codes are in even use, of the"),
    "codes_used": ("", "codes that occur, of the"),
    "dead_codes": ("", "codes that never occur, of the"),
    "private": ("", "channels of the code that are private, in percent, of the"),
    "shared": ("", "channels of the code that are shared, in percent, of the"),
}
"""Metrics of audio-visual models, a part (image, audio, voice, face, both) each."""
WHOLE = {
    "reconstruction": ("min", "sum of the reconstruction errors"),
    "complementarity": ("", "the smaller count of shared channels over the larger, of both modalities"),
}


def describe(name: str) -> tuple[str, str]:
    """Return "max", "min" or "", which is better, and what the metric ``name`` is; of one output too (valence_ccc)."""
    if name in WORDS or name in WHOLE:
        return (WORDS | WHOLE)[name]
    if name in METRICS:
        return METRICS[name].direction, METRICS[name].summary
    of, _, own = name.partition("_quantile_")
    if own and own in METRICS:
        return METRICS[own].direction, f"{METRICS[own].summary}, over the means of quantile bins of {of}"
    for known in sorted(METRICS, key=len, reverse=True):
        if name.endswith(f"_{known}"):
            return METRICS[known].direction, f"{METRICS[known].summary}, of {name.removesuffix(f'_{known}')}"
    part = next((part for part in PARTS if name.startswith(f"{part}_")), None)
    return (PARTS[part][0], f"{PARTS[part][1]} {name.removeprefix(f'{part}_')}") if part is not None else ("", "")


def metric_rows(
    parts: dict[str, dict[str, Any]], intervals: dict[str, Any], over: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return a row a metric: its values by part (``valid``, ``test``), interval, direction and words."""
    names = list(dict.fromkeys(name for values in parts.values() for name in values))
    found = []
    for name in names:
        better, words = describe(name)
        span = intervals.get(name)
        found.append({
            "name": name, "values": [values.get(name) for values in parts.values()],
            "interval": span if isinstance(span, list | tuple) and len(span) == 2 else None,
            "better": {"max": "higher is better", "min": "lower is better"}.get(better, ""), "words": words,
            "note": (over or {}).get(name, ""),
        })  # fmt: skip
    return found
