"""The page of an explanation: one self-contained HTML file, made from what `explain` found.

It loads nothing. Without its script the text is coloured and every table is there; the script adds what
follows the pointer. The content security policy names both by their digests, and nothing else may run.
Texts and label names come from outside and are never trusted (see `sopan.comparison.report`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

import sopan
from sopan.comparison.report import digest, page_templates, template_source
from sopan.text.display import escape_for_display
from sopan.usecases.explaining import AttentionEntry, ExplainedText, ExplainedWord

LEVELS = 6
"""Shades of a colour, the strongest last."""
MOST_WEIGHTS = 2_000_000
"""Attention weights that a page carries, one byte each; of longer texts it shows the first words' only."""
COLOURING_CLASSES = 20
"""So many of the most probable classes can colour the words."""


class Stretch(NamedTuple):
    """A stretch of the text: of one word (its index), or of what is none (None)."""

    text: str
    word: int | None
    shade: str


def explanation_page(found: ExplainedText) -> str:
    """Return the page as HTML.

    Args:
        found: what `sopan.usecases.explain` returns.
    """
    pages = page_templates("sopan.usecases", "sopan.comparison")
    style = template_source(pages, "style.css", "explanation.css")
    script = template_source(pages, "explanation.js")
    ranked = sorted(found["probabilities"].items(), key=lambda item: -item[1])
    return pages.get_template("explanation.html").render(
        **found,
        sopan=sopan.__version__,
        ranked=ranked,
        pieces=stretches(found["text"], found["words"]),
        script_data=_as_script(_for_script(found, [name for name, _ in ranked[:COLOURING_CLASSES]])),
        style=Markup(style),
        script=Markup(script),
        style_digest=digest(style),
        script_digest=digest(script),
    )


def stretches(text: str, words: Sequence[ExplainedWord]) -> list[Stretch]:
    """Cut a text into its words and what lies between; what two words share belongs to the later one's start.

    Args:
        text: as given.
        words: in the order of the text; pairs of unspaced scripts overlap.
    """
    strongest = max((abs(word["support"]) for word in words), default=0.0)
    cut, at = [], 0
    for i, word in enumerate(words):
        end = min(word["end"], words[i + 1]["start"]) if i + 1 < len(words) else word["end"]
        if word["start"] > at:
            cut.append(Stretch(escape_for_display(text[at : word["start"]]), None, ""))
        shade = shade_of(word["support"] / strongest if strongest else 0.0, read=word["read"])
        cut.append(Stretch(escape_for_display(text[word["start"] : end]), i, shade))
        at = end
    if at < len(text):
        cut.append(Stretch(escape_for_display(text[at:]), None, ""))
    return cut


def shade_of(share: float, *, read: bool) -> str:
    """Return a word's class in the style sheet, given its support as a share of the strongest's: -1 to 1."""
    if not read:
        return "unread"
    level = round(abs(share) * LEVELS)
    return f"{'for' if share > 0 else 'against'}{level}" if level else ""


def _for_script(found: ExplainedText, classes: list[str]) -> dict[str, object]:
    """Pick what the script needs, columns before rows."""
    words = found["words"]
    columns = [found["classes"].index(name) for name in classes]
    return {
        "words": [escape_for_display(word["word"]) for word in words],
        "read": [word["read"] for word in words],
        "support": [word["support"] for word in words],
        "occlusion": [word["occlusion"] for word in words],
        "rollout": [word["rollout"] for word in words] if found["attention"] else None,
        "contributions": [
            {"class": escape_for_display(name), "values": [word["contributions"][column] for word in words]}
            for name, column in zip(classes, columns, strict=True)
        ],
        "predicted": escape_for_display(found["predicted"]),
        "probability": found["probabilities"][found["predicted"]],
        "attention": _packed(found["attention"]) if found["attention"] else None,
    }


def _packed(attention: AttentionEntry) -> dict[str, object]:
    """Pack attention into a byte a weight, the square root of it, so that small ones are told apart too."""
    layers = [np.array(layer, np.float64) for layer in attention["layers"]]
    n = len(attention["words"])
    square = [layer.shape[1] == n for layer in layers]
    heads = max(1, sum(len(layer) for layer in layers))
    kept = min(n, int((MOST_WEIGHTS / heads) ** 0.5))
    packed = []
    for layer, is_square in zip(layers, square, strict=True):
        weights = layer[:, : kept if is_square else None, :kept]
        data = np.round(255 * np.sqrt(np.clip(weights, 0, 1))).astype(np.uint8)
        heads_of_layer = [base64.b64encode(head.tobytes()).decode() for head in data]
        packed.append({"queries": weights.shape[1], "words": is_square, "heads": heads_of_layer})
    return {"words": attention["words"][:kept], "left_out": n - kept, "layers": packed}


def _as_script(data: object) -> Markup:
    """Write JSON so that nothing in it can end the element that it stands in."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
