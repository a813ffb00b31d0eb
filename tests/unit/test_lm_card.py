"""The card of a language model says what it is and what was measured, and nothing that was not."""

from __future__ import annotations

from small_language import untrained

from sopan.lm.model_card import CURVE_ROWS, describe_model


def look(step, held_out=True):
    measured = {"loss": 2.5, "accuracy": 0.25, "perplexity": 12.2} if held_out else {}
    return {"step": step, "pieces": step * 1000, "seconds": 1.0, "loss": 3.0, "held_out": measured}


def account(looks, mask_rate=0.15):
    return {
        "corpus": ["one.csv", "two.txt"],
        "settings": {"task": {"mask_rate": mask_rate}},
        "looks": looks,
    }


def test_a_masked_model():
    model = untrained()
    card = describe_model(model, account([look(5), look(10, held_out=False)]), title="Small")
    assert "\npipeline_tag: fill-mask\n" in card.split("---")[1]
    assert "\n# Small\n" in card
    assert f"{len(model.wordpiece)} uncased pieces" in card
    assert f"{model.network.count_params():,} weights" in card
    assert "one.csv, two.txt: 10,000 pieces, repetitions counted, in 10 steps." in card
    assert "| 5,000 | 3.000 | 2.500 | 0.250 | 12.2 |\n| 10,000 | 3.000 | – | – | – |" in card
    assert "15% of the pieces being hidden" in card
    assert "sopan fill" in card


def test_the_share_that_was_hidden_is_the_runs_own():
    assert "40% of the pieces being hidden" in describe_model(untrained(), account([look(5)], mask_rate=0.4))


def test_the_exam_is_told_where_there_was_one():
    sat = account([look(5)])
    sat["blanks"] = {
        "blanks": 2000,
        "top_1": {"share": 0.25, "low": 0.23, "high": 0.27},
        "top_5": {"share": 0.5, "low": 0.47, "high": 0.53},
    }
    card = describe_model(untrained(), sat)
    assert "Of 2,000 words" in card
    assert "25.0% right at the first answer (95% interval 23.0% to 27.0%), 50.0% within five." in card
    assert "within five" not in describe_model(untrained(), account([look(5)]))


def test_a_causal_model():
    card = describe_model(untrained(causal=True), account([look(5)]))
    assert "pipeline_tag: text-generation" in card
    assert "sopan generate" in card
    assert "hidden" not in card.split("## Intended")[0].split("| pieces read")[1]


def test_a_long_curve_is_thinned_and_ends_with_the_last_look():
    card = describe_model(untrained(), account([look(step) for step in range(1, 101)]))
    rows = [line for line in card.splitlines() if line.endswith("12.2 |")]
    assert 6 <= len(rows) <= CURVE_ROWS
    assert rows[-1].startswith("| 100,000 |")


def test_a_model_that_was_never_looked_at():
    assert "0 pieces, repetitions counted, in 0 steps" in describe_model(untrained(), account([]))
