"""The native API says what the models say, no more and no less."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from quick_steps import TEXTS
from serving import STEPS, Server, spread

from sopan import usecases
from sopan.usecases.served.explanations import log_odds, occlusions
from sopan.usecases.served.served_step import ServedStep

TEXT = "The baker waters the roses, and stirs zzz soup."


def test_the_run_is_told(server: Server, run_folder: Path) -> None:
    told = server.client.get("/run").json()
    results = json.loads((run_folder / "results.json").read_text())
    assert [step["step"] for step in told["steps"]] == list(STEPS)
    assert told["kind"] == "run"
    assert told["verdict"] == results["verdict"]
    limits = {"bytes": 262144, "texts": 32, "characters": 10000, "seconds": 10}
    assert told["limits"] == limits | {"table_bytes": 2097152, "table_rows": 2000}
    assert str(run_folder.parent) not in json.dumps(told), "no path of this machine"
    for step, measured in zip(told["steps"], results["steps"], strict=True):
        assert step["accuracy"] == measured["accuracy"]
        assert step["recommended"] == (step["step"] == results["recommendation"]["step"])
    assert told["steps"][0]["has"] == ["exact", "features"]
    assert told["steps"][1]["has"] == ["exact", "vectors", "embed", "guess"]


def test_predictions_are_the_models_own(server: Server, run_folder: Path) -> None:
    texts = [TEXT, "", "harbour gulls", "zzz"]
    answer = server.client.post("/predict", json={"texts": texts}).json()
    for place, step in enumerate(STEPS):
        own = usecases.load(run_folder / "models" / step).predict_texts(texts)
        said = [result["steps"][place] for result in answer["results"]]
        assert [one["step"] for one in said] == [step] * 4
        probabilities = spread([list(one["probabilities"].values()) for one in said])
        np.testing.assert_allclose(probabilities, own.probabilities, atol=1e-6)
        assert [one["no_known_words"] for one in said] == own.no_known_words.tolist()
        assert [one["confidence"] for one in said] == probabilities.max(axis=1).tolist()
        assert [
            list(one["probabilities"])[int(np.argmax(p))] for one, p in zip(said, probabilities, strict=True)
        ] == [one["label"] for one in said]


def test_one_text_and_one_step(server: Server) -> None:
    both = server.client.post("/predict", json={"text": TEXT}).json()
    one = server.client.post("/predict", json={"text": TEXT, "steps": ["cbow"]}).json()
    assert one["results"][0]["steps"] == both["results"][0]["steps"][1:]


@pytest.mark.parametrize("step", STEPS)
def test_exact_reasons_are_those_of_explain(server: Server, run_folder: Path, step: str) -> None:
    told = server.client.post("/explain", json={"text": TEXT, "steps": [step]}).json()["steps"][0]
    own = usecases.explain(run_folder / "models" / step, TEXT)
    assert told["method"] == "exact"
    assert told["label"] == own["predicted"]
    for mine, theirs in zip(told["words"], own["words"], strict=True):
        assert {k: mine[k] for k in ("word", "start", "end", "read")} == {
            k: theirs[k] for k in ("word", "start", "end", "read")
        }
        assert mine["support"] == pytest.approx(theirs["support"], abs=1e-6)


def test_occlusion_is_what_the_slow_reference_finds(run_folder: Path) -> None:
    step = ServedStep.load(run_folder / "models" / "cbow")
    other, found = occlusions(step, [TEXTS[0], TEXT])
    assert other["words"][0]["word"] == "the"
    evidence, whole = step.cbow.evidence(TEXT), step.cbow.predict_proba([TEXT])
    best = int(whole.argmax())
    assert tuple(word["word"] for word in found["words"]) == evidence.tokens.words
    for word, read in zip(found["words"], evidence.read, strict=True):
        assert word["read"] == read
        left = step.cbow.predict_proba([TEXT[: word["start"]] + " " + TEXT[word["end"] :]])
        fall, support = whole[0, best] - left[0, best], log_odds(whole, best)[0] - log_odds(left, best)[0]
        assert word["fall"] == pytest.approx(fall if read else 0, abs=1e-5)
        assert word["support"] == pytest.approx(support if read else 0, abs=1e-4)


def test_long_texts_lose_several_words_at_a_time(run_folder: Path) -> None:
    long = " ".join(TEXTS * 3)
    (found,) = occlusions(ServedStep.load(run_folder / "models" / "cbow"), [long], most_read=5_000)
    read = [word for word in found["words"] if word["read"]]
    assert found["span"] == -(-(len(read) ** 2) // 5_000) > 1
    assert len({word["support"] for word in read[: found["span"]]}) == 1, "they share what came of it"


@pytest.mark.parametrize(
    "op", ["predict", "explain", "tokens", "neighbors", "guess", "embed", "fill", "score"]
)
def test_a_request_has_what_its_method_takes(op: str) -> None:
    from inspect import signature

    from sopan.serve import schemas
    from sopan.usecases.served.service import ServedRun

    given = {"text": "a", "word": "a", "context": ["a"]}
    model = getattr(schemas, f"{op.capitalize()}Request")
    question = model(**{name: given[name] for name in model.model_fields if name in given}).as_question(op)
    taken = set(signature(getattr(ServedRun, op)).parameters) - {"self"}
    expected = {"predict": {"texts", "steps"}, "explain": {"text", "steps"}}.get(op, taken)
    assert set(question.arguments) == expected


def test_the_bag_adds_up(server: Server, run_folder: Path) -> None:
    told = server.client.post("/tokens", json={"text": TEXT, "steps": ["bow"]}).json()["steps"][0]
    estimator = usecases.load(run_folder / "models" / "bow")
    row = estimator.transform([TEXT])
    bag = told["features"]
    assert bag["total"] == len(bag["items"]) == row.nnz
    assert bag["vocabulary"] == row.shape[1]
    np.testing.assert_allclose(sorted(item["value"] for item in bag["items"]), sorted(row.data), atol=1e-6)
    added = spread([item["contributions"] for item in bag["items"]]).sum(axis=0)
    np.testing.assert_allclose(
        added, (estimator.logits([TEXT]) - estimator.logits(["zzz"]))[0] / estimator.temperature_, atol=1e-4
    )
    known = {token["text"]: token["known"] for token in told["tokens"]}
    assert known["roses"]
    assert not known["zzz"]
    for token in told["tokens"]:
        assert TEXT[token["start"] : token["end"]].lower() == token["text"]


def test_offsets_count_code_points(server: Server) -> None:
    text = "👩‍👩‍👧 𝒳 the roses"
    for path in ("/tokens", "/explain"):
        for step in server.client.post(path, json={"text": text}).json()["steps"]:
            words = step.get("tokens") or step["words"]
            spelt = {text[word["start"] : word["end"]] for word in words}
            assert {"the", "roses"} <= spelt


def test_neighbours_and_vectors(server: Server, run_folder: Path) -> None:
    estimator = usecases.load(run_folder / "models" / "cbow")
    told = server.client.post("/neighbors", json={"word": "Roses", "top": 3}).json()
    assert [step["step"] for step in told["steps"]] == ["cbow"]
    near = [(one["word"], one["cosine"]) for one in told["steps"][0]["neighbors"]]
    assert near == [(word, round(cosine, 6)) for word, cosine in estimator.word_vectors.nearest("roses", 3)]
    unknown = server.client.post("/neighbors", json={"word": "zzz"}).json()["steps"][0]
    assert unknown == {"step": "cbow", "known": False, "neighbors": []}
    embedded = server.client.post("/embed", json={"texts": [TEXT, "roses"]}).json()["steps"][0]
    np.testing.assert_allclose(spread(embedded["vectors"]), estimator.transform([TEXT, "roses"]), atol=1e-5)
    assert server.client.post("/embed", json={"text": "a", "steps": ["bow"]}).status_code == 422


def test_a_word_is_guessed_from_those_around_it(server: Server, run_folder: Path) -> None:
    vectors = usecases.load(run_folder / "models" / "cbow").word_vectors
    asked = {"context": ["the", "zzz", "Roses", "girl"], "word": "Soup", "top": 5}
    told = server.client.post("/guess", json=asked).json()["steps"]
    assert [step["step"] for step in told] == ["cbow"]
    assert told[0]["known"] == [True, False, True, True]
    around = ["the", "roses", "girl"]
    mean = np.mean([vectors[word] for word in around], axis=0)
    cosines = {
        word: float(vectors[word] @ mean / np.linalg.norm(vectors[word]) / np.linalg.norm(mean))
        for word in vectors.words
        if word not in around
    }
    ranked = sorted(cosines, key=lambda word: -cosines[word])
    assert told[0]["of"] == len(ranked)
    assert [one["word"] for one in told[0]["guesses"]] == ranked[:5]
    for one in (*told[0]["guesses"], told[0]["asked"]):
        assert one["cosine"] == pytest.approx(cosines[one["word"]], abs=1e-5)
    assert (told[0]["asked"]["word"], told[0]["asked"]["rank"]) == ("soup", ranked.index("soup") + 1)

    itself = server.client.post("/guess", json={"context": ["soup", "the"], "word": "soup"}).json()["steps"][
        0
    ]
    assert itself["asked"]["rank"] >= 1, "a word that stands twice is ranked though it is of the context"
    nothing = server.client.post("/guess", json={"context": ["zzz"], "word": "soup"}).json()["steps"][0]
    assert nothing == {"step": "cbow", "known": [False], "of": 0, "guesses": [], "asked": None}
    unasked = server.client.post("/guess", json={"context": ["the"]}).json()["steps"][0]
    assert unasked["asked"] is None
    for bad in (
        {"context": []},
        {"context": ["a"] * 81},
        {"context": [""]},
        {"context": "the"},
        {"word": "a"},
    ):
        assert server.client.post("/guess", json=bad).status_code == 422
    assert server.client.post("/guess", json={"context": ["the"], "steps": ["bow"]}).status_code == 422


def test_disagreements_are_counted_over_all_texts(server: Server) -> None:
    told = server.client.get("/disagreements").json()
    assert told["test"] == 4
    assert told["pairs"] == [{"a": "bow", "b": "cbow", "differ": 2, "only_a_right": 1, "only_b_right": 1}]
    assert len(told["texts"]) > 0
    named = server.client.get("/disagreements?a=bow&b=cbow").json()
    assert all(text["predicted"]["bow"] != text["predicted"]["cbow"] for text in named["texts"])
    assert server.client.get("/disagreements?a=nobody").status_code == 422


@pytest.mark.parametrize("view", ["pca", "tsne"])
def test_words_stand_on_a_map(server: Server, run_folder: Path, view: str) -> None:
    answer = server.client.get(f"/vectors?step=cbow&view={view}")
    for _ in range(10):
        if answer.status_code == 200:
            break
        assert answer.json()["retry_after"] > 0
        answer = server.client.get(f"/vectors?step=cbow&view={view}")
    told = answer.json()
    words = usecases.load(run_folder / "models" / "cbow").word_vectors
    assert len(told["words"]) == len(told["x"]) == len(told["y"]) == len(words) == told["of"]
    assert max(map(abs, told["x"] + told["y"])) == pytest.approx(1, abs=1e-4)
    assert (told["explained"] is None) == (view == "tsne")
    assert server.client.get("/vectors?step=bow").status_code == 422


def test_the_same_question_is_computed_once(server: Server) -> None:
    question = {"text": "our teacher counts the gulls, and hoists the sail after that."}
    first = server.client.post("/predict", json=question)
    hits = server.metric("sopan_known_hits")
    assert server.client.post("/predict", json=question).json() == first.json()
    assert server.metric("sopan_known_hits") == hits + 1


def test_without_a_language_model_that_is_said(server: Server) -> None:
    answer = server.client.post("/fill", json={"text": "the [MASK] waters the roses"})
    assert answer.status_code == 422
    assert "language model" in answer.json()["error"]
