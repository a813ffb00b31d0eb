"""Is it worth reading both sides of a word? A model that sees the left side alone, held beside `sopan-mini`.

    python recipes/sopan_mini_causal.py --articles WIKIPEDIA.parquet --books GUTENBERG.parquet

A causal model of the same size begins with the weights of `sopan-mini`, so that it has read all that this has
read, and reads `STEPS` batches of the same reviews more, each piece foretold from those before it. Then both
fill the same 2,000 blanks in held-out reviews' sentences. To begin anew would take it hours to get as far;
as it has read more than its rival, the advantage is its own.

What it writes: WORK/sopan-mini-causal, a Hugging Face folder; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from sopan_mini import column, make_corpus, tell

from sopan.lm.evaluate import compare_filled, evaluate_blanks, make_blanks, sentences
from sopan.lm.hugging_face import save_hugging_face
from sopan.lm.model_card import describe_model
from sopan.steps.language_model import LanguageModel
from sopan.steps.presets import from_preset
from sopan.types import Json
from sopan.usecases.adapting import adapt

BLANKS = 2000
STEPS = 1200
OPTIONS = {
    "optimizer": "muon",
    "rows": 32,
    "length": 64,
    "shift": 192,
    "learning_rate": 1e-3,
    "warm_up": 100,
    "decay": 0.6,
    "look_every": 250,
}


def left_to_right(model: LanguageModel, folder: Path) -> Path:
    """Write a masked model's weights as those of a causal one, which has yet to learn to be one."""
    causal = LanguageModel.make(replace(model.config, causal=True), model.wordpiece, seed=0)
    causal.set_weights(model.weights())
    save_hugging_face(causal, folder, card="sopan-mini's weights, to begin a causal model with.")
    return folder


def compare(models: dict[str, LanguageModel], held_out: Path) -> dict[str, Json]:
    """Let both models fill the same blanks, and say by how much the masked one is better."""
    rng = np.random.default_rng(0)
    blanks = make_blanks(sentences(column(held_out), BLANKS, rng), models["masked"].wordpiece, rng)
    filled = {name: evaluate_blanks(model, blanks) for name, model in models.items()}
    return compare_filled(filled, "masked", "causal")


def main() -> None:
    """Run the recipe."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--articles", type=Path, required=True)
    parser.add_argument("--books", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/sopan-mini-causal"))
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--precision", default="bfloat16", choices=["float32", "bfloat16"])
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    _, reviews, held_out = make_corpus(given.articles, given.books, given.work)
    masked, trained = from_preset("sopan-mini"), given.work / "trained"
    if not trained.exists():
        begin = left_to_right(masked, given.work / "begin")
        options = {**OPTIONS, "steps": given.steps, "precision": given.precision, "progress": tell}
        adapt(str(begin), [reviews], trained, words=0, held_out=0.005, **options)
    causal = from_preset(str(trained))
    found = compare({"masked": masked, "causal": causal}, held_out)
    account = {**json.loads((trained / "training.json").read_text()), "blanks": found["causal"]}
    account["corpus"] = ["the texts of sopan-mini", "IMDB reviews without labels"]
    card = describe_model(causal, account, title="sopan-mini-causal")
    out = given.work / "sopan-mini-causal"
    save_hugging_face(causal, out, card=card, stored="float16", account=account)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
