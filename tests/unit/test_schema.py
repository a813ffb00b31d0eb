"""The schema that the types give is itself valid, takes what a comparison gives, and refuses all else.

`sample_json` holds a results.json as the first version wrote it: what took that must go on taking it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from jsonschema import Draft202012Validator, ValidationError
from results_sample import LADDER, results_of, sample_json

from sopan.comparison.evidence import leak_effect
from sopan.comparison.results import read_results, results_schema
from sopan.errors import ModelFolderError
from sopan.text.audit import audit_corpus
from sopan.types import Corpus, Source, Split

VALIDATOR = Draft202012Validator(results_schema())
TRAINED = {
    "epochs": [{"loss": 0.7, "score": 0.8, "log_loss": 0.5}, {"loss": 0.4, "score": None, "log_loss": None}],
    "best_epoch": 1,
    "padding": 0.1,
    "interrupted": False,
    "diverged": "",
}


def sample() -> dict[str, Any]:
    """A results object with something in every place."""
    results = sample_json()
    results["steps"][1]["training"] = copy.deepcopy(TRAINED)
    return results


def test_it_is_a_json_schema():
    Draft202012Validator.check_schema(results_schema())


@pytest.mark.parametrize("n_steps", [1, 2, 8])
@pytest.mark.parametrize("n_classes", [2, 77])
def test_it_takes_every_shape_of_results(n_steps: int, n_classes: int):
    classes = tuple(f"class {c}" for c in range(n_classes))
    results = sample_json(tuple(LADDER)[:n_steps], classes, n_test=200, learning_curve=n_steps > 1)
    VALIDATOR.validate(results)


def test_what_is_read_is_what_was_written():
    written = sample()
    written["data"]["audit"]["leaks"]["removed_as_near"] = 0
    assert results_of(written).as_json() == written
    del written["data"]["audit"]["leak_effect"]["trained_with_leaks"]
    assert results_of(written).as_json() == written


def _set(results: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(results)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


def refuse(results: dict[str, Any]) -> None:
    """Hold that both the schema and the reader refuse it."""
    with pytest.raises(ValidationError):
        VALIDATOR.validate(results)
    with pytest.raises(ModelFolderError, match="not what sopan compare writes"):
        results_of(results)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("steps", 0, "accuracy"), 88.4),
        (("steps", 0, "accuracy_ci"), [0.1]),
        (("steps", 0, "accuracy_ci"), [0.1, 0.2, 0.3]),
        (("steps", 0, "artifact_bytes"), 1.5),
        (("steps", 0, "latency_ms"), {"p50": 1.0}),
        (("steps", 0, "log_loss"), -0.1),
        (("steps", 0, "brier"), 2.1),
        (("steps", 0, "temperature"), 0),
        (("steps", 0, "per_class"), []),
        (("steps", 0, "trials"), []),
        (("steps", 0, "trials", 0, "seconds"), -1),
        (("steps", 0, "confusion", 0, 0), -1),
        (("steps", 0, "reliability", 0, "confidence"), 1.01),
        (("steps", 0, "seeds", 0, "seed"), 0.5),
        (("steps", 0, "interrupted"), 0),
        (("steps", 1, "training", "epochs"), []),
        (("steps", 1, "training", "best_epoch"), 0),
        (("steps", 1, "training", "padding"), 1.1),
        (("steps", 0, "surprise"), 1),
        (("steps",), []),
        (("pairs", 0, "p_adjusted"), 1.2),
        (("pairs", 0, "difference"), None),
        (("pairs", 0, "difference"), -1.1),
        (("data", "classes"), ["only one"]),
        (("data", "tuned_for"), "recall"),
        (("data", "unlabelled"), None),
        (("pairs", 0, "verdict"), "a is nicer"),
        (("verdict",), "one sentence"),
        (("verdict",), []),
        (("data", "audit", "leaks"), {}),
        (("data", "audit", "imbalance"), 0.9),
        (("data", "audit", "findings", 0, "level"), "hint"),
        (("data", "audit", "classes", 0, "share"), -0.1),
        (("data", "audit", "scripts", "Latin"), 1.1),
        (("data", "audit", "leak_effect", "steps", "bow", "accuracy_leaked"), 1.1),
        (("learning_curve",), "none"),
        (("learning_curve", 0, "train"), 0),
        (("recommendation", "margin"), -0.1),
        (("disagreements", 0, "predicted", "bow"), 3),
        (("disagreements", 0, "confidence", "bow"), 1.1),
        (("label_errors", 0, "row"), -1),
        (("environment", "cores"), 0),
        (("run", "deterministic"), "yes"),
        (("run", "seeds"), 0),
    ],
)
def test_it_refuses_a_wrong_value(path: tuple[Any, ...], value: Any):
    refuse(_set(sample(), path, value))


def test_it_refuses_a_class_that_is_named_twice():
    with pytest.raises(ValidationError):
        VALIDATOR.validate(_set(sample(), ("data", "classes"), ["twice", "twice"]))


FREE = {"config", "settings", "scripts", "encoding", "predicted", "confidence", "versions", "steps", "pairs"}
"""Objects whose keys are names, not fields."""
MAY_LACK = {"trained_with_leaks", "removed_as_near"}


def objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Walk over the objects that have fields, the first item of each list standing for all."""
    if isinstance(value, dict):
        if not (path and path[-1] in FREE):
            yield path, value
        for key, each in value.items():
            yield from objects(each, (*path, key))
    elif isinstance(value, list) and value and path[-1] not in ("ci", "accuracy_ci", "macro_f1_ci"):
        places = range(len(value)) if path == ("steps",) else range(1)
        for place in places:
            yield from objects(value[place], (*path, place))


FIELDS = [(path, key) for path, each in objects(sample()) for key in each if path[-2:-1] != ("encoding",)]


@pytest.mark.parametrize(("path", "key"), [pair for pair in FIELDS if pair[1] not in MAY_LACK], ids=str)
def test_it_refuses_an_object_without_one_of_its_keys(path: tuple[Any, ...], key: str):
    results = sample()
    place: Any = results
    for each in path:
        place = place[each]
    del place[key]
    refuse(results)


@pytest.mark.parametrize("path", sorted({path for path, _ in FIELDS}, key=str), ids=str)
def test_it_refuses_an_object_with_another_key(path: tuple[Any, ...]):
    refuse(_set(sample(), (*path, "surprise"), 1))


def test_a_file_must_be_strict_json(tmp_path: Path):
    path = tmp_path / "results.json"
    text = json.dumps(sample())
    path.write_text(text)
    assert read_results(path) == results_of(sample())
    for broken in (text.replace('"margin": 0.005', '"margin": NaN'), text.replace("{", '{"sopan": "1", ', 1)):
        assert broken != text
        path.write_text(broken)
        with pytest.raises(ModelFolderError, match=r"results\.json"):
            read_results(path)


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
    effect = leak_effect({"bow": np.array([True, False, True, True, False, True])}, audit.leaked_test, {})
    found = json.loads(json.dumps(audit.report.as_json() | {"leak_effect": effect.as_json()}))
    assert found["findings"]
    results = sample_json()
    results["data"]["audit"] = found
    VALIDATOR.validate(results)
