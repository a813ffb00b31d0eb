"""Stack: several steps answer together, each with the weight that the validation texts give it.

Adds what the steps know together: they err on different texts. Lacks speed: every text costs all of them.
Next: `cascade`, which asks the costly ones only about the texts that the cheap ones are unsure of.

    logits = Σ_m w_m · logits_m / temperature_m       w >= 0, most of them 0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sopan.steps.combination import Combination
from sopan.steps.stacking import fit_stack
from sopan.steps.stages import Stage
from sopan.types import FloatArray, Int64Array


@dataclass(kw_only=True, eq=False, repr=False)
class Stack(Combination):
    """Weighed logits of several fitted steps.

    Args:
        members: names of the steps that may take part.
        tokens: how a text is cut into words, by members that have a choice.
        random_state: the members' seed.

    Attributes, after `fit`:
        members_: the fitted steps that count, by name.
        weights_: (M,) float64 above 0, of the members' calibrated logits.

    Source: D. Wolpert, "Stacked Generalization" (1992); with weights that are not below 0: L. Breiman,
    "Stacked Regressions" (1996).
    """

    name: ClassVar[str] = "stack"

    @property
    def weights_(self) -> FloatArray:
        """(M,) the weight of each of `members_`."""
        return self.stages_[0].weights

    def _choose_stages(
        self, logits: Mapping[str, FloatArray], labels: Int64Array, costs: Mapping[str, float]
    ) -> tuple[Stage, ...]:
        weights = fit_stack(logits, labels)
        return (Stage(tuple(np.flatnonzero(weights).tolist()), weights),)
