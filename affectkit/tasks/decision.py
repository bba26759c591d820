"""What is done with a predicted distribution beyond its largest share: a class prior put in, a label held back, valence
and arousal beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from affectkit.metrics.emotion_norms import EmotionNorms

MARGIN, ENTROPY = "Margin", "Entropy (bits)"
"""Columns behind the shares of classes, computed from them: the largest less the second largest, in [0, 1]; Shannon's
entropy in bits, from 0 to log2 of the number of classes. See ``metrics.ambiguity``."""
ABSTAINED = "Abstained"
"""Column that says 1 where the confidence is below the threshold and the label is left empty, else 0."""


QUESTION_MARGIN = 0.1
"""Margin below which a label that is drawn gets a question mark, unless another is asked for."""


@dataclass(frozen=True, eq=False)
class Decision:
    """Say how distributions become rows.

    Attributes:
        threshold: least confidence with which a label is given; None: each has one.
        shift: (C,), added to the outputs before the softmax; None: nothing is. See ``prior_shift``.
        norms: by which rows have valence and arousal, too; None: they have none.
        question_margin: least margin with which a label is drawn without a question mark, in [0, 1].
    """

    threshold: float | None = None
    shift: np.ndarray | None = None
    norms: EmotionNorms | None = None
    question_margin: float = QUESTION_MARGIN

    def questions(self, margin: float) -> bool:
        """Return whether a label of this margin gets a question mark: it is below the bound, both as tables have them,
        with six decimals, so that 0.6 - 0.5 is not below 0.1."""
        return round(margin, 6) < round(self.question_margin, 6)

    def shifted(self, outputs: np.ndarray) -> np.ndarray:
        """Return outputs (N, C) float32 with the shift in them."""
        if self.shift is None:
            return outputs
        return (np.asarray(outputs, np.float64) + self.shift).astype(np.float32)


PLAIN = Decision()
"""Every distribution as it is, each with a label."""
