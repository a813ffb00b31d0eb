"""The schema is itself valid, takes what a comparison gives, and refuses what it must not give."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from jsonschema import Draft202012Validator, ValidationError
from results_sample import LADDER, sample_results

from sopan.comparison.evidence import leak_effect
from sopan.comparison.schema import results_schema
from sopan.text.audit import audit_corpus
from sopan.types import Corpus, Source, Split

VALIDATOR = Draft202012Validator(results_schema())


def test_it_is_a_json_schema():
    Draft202012Validator.check_schema(results_schema())


@pytest.mark.parametrize("n_steps", [1, 2, 8])
@pytest.mark.parametrize("n_classes", [2, 77])
def test_it_takes_every_shape_of_results(n_steps: int, n_classes: int):
    classes = tuple(f"class {c}" for c in range(n_classes))
    results = sample_results(tuple(LADDER)[:n_steps], classes, n_test=200, learning_curve=n_steps > 1)
    VALIDATOR.validate(json.loads(json.dumps(results)))


def _set(results: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(results)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("steps", 0, "accuracy"), 88.4),
        (("steps", 0, "accuracy_ci"), [0.1]),
        (("steps", 0, "accuracy_ci"), [0.1, 0.2, 0.3]),
        (("steps", 0, "artifact_bytes"), 1.5),
        (("steps", 0, "latency_ms"), {"p50": 1.0}),
        (("steps", 0, "surprise"), 1),
        (("steps",), []),
        (("pairs", 0, "p_adjusted"), 1.2),
        (("pairs", 0, "difference"), None),
        (("data", "classes"), ["only one"]),
        (("pairs", 0, "verdict"), "a is nicer"),
        (("verdict",), "one sentence"),
        (("data", "audit", "leaks"), {}),
        (("learning_curve",), "none"),
        (("recommendation", "margin"), -0.1),
        (("disagreements", 0, "predicted", "bow"), 3),
        (("run", "deterministic"), "yes"),
    ],
)
def test_it_refuses_a_wrong_value(path: tuple[Any, ...], value: Any):
    with pytest.raises(ValidationError):
        VALIDATOR.validate(_set(sample_results(), path, value))


@pytest.mark.parametrize("key", sorted(sample_results()))
def test_it_refuses_a_missing_key(key: str):
    results = sample_results()
    del results[key]
    with pytest.raises(ValidationError):
        VALIDATOR.validate(results)


@pytest.mark.parametrize("key", sorted(sample_results()["steps"][0]))
def test_it_refuses_a_step_without_one_of_its_keys(key: str):
    results = sample_results()
    del results["steps"][0][key]
    with pytest.raises(ValidationError):
        VALIDATOR.validate(results)


def test_it_takes_what_an_audit_gives():
    texts = [f"the letter number {i} came on a {day} morning" for i in range(15) for day in ("wet", "dry")]
    texts[3], texts[29], texts[7], texts[28] = texts[2], texts[2], "", "!!!"
    labels = np.resize(np.array([0, 1, 1], np.int32), len(texts))
    corpus = Corpus(
        pa.array(texts, pa.large_string()),
        labels,
        ("calm", "cross"),
        np.arange(len(texts)),
        Source("letters.csv", "5e" * 32, 1000),
    )
    split = Split(np.arange(18), np.arange(18, 24), np.arange(24, 30))
    audit = audit_corpus(corpus, split)
    effect = leak_effect({"bow": np.array([True, False, True, True, False, True])}, audit.leaked_test)
    found = json.loads(json.dumps(audit.report.as_json() | {"leak_effect": effect}))
    assert found["findings"]
    results = sample_results()
    results["data"]["audit"] = found
    VALIDATOR.validate(results)
