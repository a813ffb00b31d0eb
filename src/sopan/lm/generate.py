"""Go on with a text: a causal language model draws one piece after the other.

Sources: temperature, Ackley et al. 1985; `top_k`, Fan et al. 2018, "Hierarchical Neural Story Generation";
`top_p`, Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", section 3.1.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from sopan.errors import ConfigError
from sopan.lm.inference import Query, check_head, log_probabilities, with_marks
from sopan.steps.language_model import LanguageModel
from sopan.text.piece_tokenizer import CONTINUES, SEP
from sopan.types import Float32Array, FloatArray


@dataclass(frozen=True, slots=True)
class Generated:
    """What a model wrote.

    Args:
        prompt: as given.
        text: the prompt and what follows it.
        pieces: those that were drawn.
        log_probability: of these pieces after the prompt, by the model itself, before temperature and cuts.
        ended: the model ended the text, rather than the limit.
        truncated: the model reads no more than the last pieces, and the whole has more.
    """

    prompt: str
    text: str
    pieces: tuple[str, ...]
    log_probability: float
    ended: bool
    truncated: bool

    def as_json(self) -> dict[str, object]:
        """Return all of it as values that JSON takes."""
        return asdict(self)


def generate_text(
    model: LanguageModel,
    prompt: str,
    *,
    most: int = 50,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
) -> Generated:
    """Go on with a text, the same way for the same seed.

    Args:
        model: a causal one.
        prompt: what stands at the beginning, perhaps nothing.
        most: draw at most so many pieces; `[SEP]`, which ends a text, comes earlier or not at all.
        temperature: below 1 the likely pieces gain, above 1 the unlikely ones; 0 always takes the likeliest.
        top_k: draw from the k likeliest pieces only; 0: from all.
        top_p: draw from the likeliest pieces that together have at least this probability only.
        seed: of the draws.

    Raises:
        ConfigError: the model is masked or has no head that was trained, or a setting is out of range.
        DataError: the prompt is not valid Unicode.
    """
    check_head(model)
    _check(model, most, temperature, top_k, top_p)
    rng = np.random.default_rng(seed)
    specials = model.wordpiece.specials
    never = [index for special, index in specials.items() if special != SEP]
    given = model.wordpiece.cut(prompt).ids
    drawn: list[int] = []
    total, ended = 0.0, False
    room = model.config.max_length - 1
    while len(drawn) < most and not ended:
        ids = with_marks(model, np.concatenate([given, np.array(drawn, np.int32)])[-room:])[:-1]
        [(_, found)] = log_probabilities(model, [Query(ids, np.array([len(ids) - 1], np.int32))])
        logs = found[0].copy()
        logs[never] = -np.inf
        piece = int(rng.choice(len(logs), p=shares(logs, temperature, top_k, top_p)))
        total += float(logs[piece])
        ended = piece == specials[SEP]
        if not ended:
            drawn.append(piece)
    text = prompt
    pieces = tuple(model.wordpiece.pieces[index] for index in drawn)
    for name in pieces:
        joins = name.startswith(CONTINUES) or not text or text[-1].isspace()
        text += ("" if joins else " ") + name.removeprefix(CONTINUES)
    return Generated(prompt, text, pieces, total, ended, len(given) + len(drawn) > room)


def shares(logs: Float32Array, temperature: float, top_k: int, top_p: float) -> FloatArray:
    """Turn log-probabilities (V,) into the shares (V,) by which a piece is drawn; they sum to 1.

    Args:
        logs: some may be -inf.
        temperature, top_k, top_p: see `generate`; the cut by number comes before the cut by probability.
    """
    order = np.argsort(-logs, kind="stable")
    if temperature == 0:
        order = order[:1]
    if top_k:
        order = order[:top_k]
    scaled = (logs[order] - logs[order[0]]).astype(np.float64) / (temperature or 1)
    kept = np.exp(scaled)
    kept /= kept.sum()
    few = 1 + int(np.searchsorted(np.cumsum(kept), top_p * (1 - 1e-12)))
    found = np.zeros(len(logs))
    found[order[:few]] = kept[:few] / kept[:few].sum()
    return found


def _check(model: LanguageModel, most: int, temperature: float, top_k: int, top_p: float) -> None:
    if model.objective != "causal":
        raise ConfigError(
            "a masked model fills blanks; it does not go on with a text",
            next_step="use `sopan fill`, or pretrain one that does: sopan pretrain CORPUS --objective causal",
        )
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ConfigError(
            f"a temperature of {temperature} cannot be", next_step="give 0 or more, such as 0.8"
        )
    if not 0 < top_p <= 1:
        raise ConfigError(
            f"top_p {top_p} is no probability above 0", next_step="give 1 or less, such as 0.95"
        )
    if top_k < 0 or most < 1:
        raise ConfigError("top_k is 0 or more, and at least one piece is drawn")
