"""mCE and its relatives against the formulas written out, and at their edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from affectkit.errors import DataError
from affectkit.metrics import robustness

ERRORS = {"fog": [0.2, 0.3, 0.5], "snow": [0.4, 0.4, 0.7]}
BASE = {"fog": [0.4, 0.5, 0.7], "snow": [0.5, 0.6, 0.9], "frost": [0.1, 0.1, 0.1]}


def test_the_formulas_of_the_benchmark():
    ce = {"fog": 1.0 / 1.6, "snow": 1.5 / 2.0}
    assert robustness.corruption_errors(ERRORS, BASE) == pytest.approx(ce)
    assert robustness.mean_corruption_error(ERRORS, BASE) == pytest.approx(np.mean(list(ce.values())))
    relative = {"fog": (1.0 - 0.3) / (1.6 - 0.6), "snow": (1.5 - 0.3) / (2.0 - 0.6)}
    both = {"clean": 0.1, "baseline_clean": 0.2}
    assert robustness.relative_corruption_errors(ERRORS, BASE, **both) == pytest.approx(relative)
    assert robustness.relative_mean_corruption_error(ERRORS, BASE, **both) == pytest.approx(
        np.mean(list(relative.values()))
    )
    assert robustness.mean_error(ERRORS) == pytest.approx(np.mean([np.mean(values) for values in ERRORS.values()]))


def test_a_model_is_as_bad_as_itself():
    assert robustness.mean_corruption_error(BASE, BASE) == 1
    assert robustness.relative_mean_corruption_error(BASE, BASE, clean=0.05, baseline_clean=0.05) == 1


def test_a_baseline_without_errors():
    nothing = {"fog": [0.0, 0.0]}
    assert robustness.mean_corruption_error({"fog": [0.1, 0.0]}, nothing) == math.inf
    assert math.isnan(robustness.mean_corruption_error(nothing, nothing))
    relative = robustness.relative_corruption_errors(
        {"fog": [0.1, 0.1]}, {"fog": [0.2, 0.2]}, clean=0.2, baseline_clean=0.2
    )
    assert relative == {"fog": -math.inf}


def test_a_baseline_of_other_rows_is_refused():
    with pytest.raises(DataError, match="0 severities of snow, and 3 are compared"):
        robustness.corruption_errors(ERRORS, {"fog": BASE["fog"]})
    with pytest.raises(DataError, match="2 severities of fog, and 3"):
        robustness.mean_corruption_error(ERRORS, {**BASE, "fog": [0.1, 0.2]})
