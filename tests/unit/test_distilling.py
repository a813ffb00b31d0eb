"""A step taught by a saved model: by the use case and the command, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tables
from combinations import cascade_of
from command_line import Sopan, sopan  # noqa: F401  # a fixture

from sopan import usecases
from sopan.errors import ConfigError, DataError
from sopan.fit.artifact import save_model
from sopan.fit.teach import soft_labels
from sopan.options.data import SplitOptions
from sopan.steps import make_step
from sopan.text.arrow import as_texts
from sopan.text.read import read_corpus, read_texts
from sopan.text.split import dedupe_unlabelled
from sopan.usecases.inputs import clean_data

GOOD, BAD = "zestful", "leaden"
"""Two words that the teacher alone has learnt."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with labelled and unlabelled texts, and a teacher who knows more words."""
    folder = tmp_path_factory.mktemp("desk")
    tables.reviews(folder / "reviews.csv", each=40)
    signs = {"good": (*tables.ENGLISH["good"], GOOD), "bad": (*tables.ENGLISH["bad"], BAD)}
    rows = tables.opinions(dict.fromkeys(signs, 100), signs, seed=1)
    texts, labels = zip(*rows, strict=True)
    teacher = make_step("bow", C=100.0).fit(list(texts), list(labels))
    save_model(teacher, folder / "teacher", data={"name": "more reviews"}, metrics={})
    more = [text for text, _ in tables.opinions(dict.fromkeys(signs, 60), signs, seed=2)]
    held = (folder / "reviews.csv").read_text(encoding="utf-8").splitlines()[1:]
    known = [line.rsplit(",", 1)[0] for line in held]
    (folder / "more.csv").write_text("text\n" + "\n".join([*more, *known]) + "\n", encoding="utf-8")
    return folder


def test_a_student_learns_words_that_only_its_teacher_knew(desk, tmp_path):
    how = {"unlabelled": desk / "more.csv", "budget": "2 trials"}
    scores = usecases.distill(desk / "teacher", desk / "reviews.csv", tmp_path / "student", **how)
    assert scores.accuracy > 0.6
    student = usecases.load(tmp_path / "student")
    assert student.predict([GOOD, BAD]).tolist() == ["good", "bad"]
    config = json.loads((tmp_path / "student" / "config.json").read_text(encoding="utf-8"))
    assert config["step"] == "bow:distilled"
    assert config["settings"]["distilled"] is True
    # Of 200 texts those of the validation and test parts are left out, and those that nearly repeat one.
    corpus = clean_data(read_corpus(desk / "reviews.csv"), SplitOptions())
    held = pa.concat_arrays([part.texts for part in corpus.parts()[1:]])
    left = len(dedupe_unlabelled(read_texts(desk / "more.csv")[0], held)[0])
    note = f"Taught by a bow, which told its probabilities of {left} unlabelled texts."
    assert config["data"]["notes"] == [note]
    assert note in (tmp_path / "student" / "README.md").read_text(encoding="utf-8")


def test_the_command_says_who_taught_whom(desk, tmp_path, sopan: Sopan):  # noqa: F811
    out = tmp_path / "student"
    how = ("--unlabelled", desk / "more.csv", "--into", "cbow", "--budget", "1 trials", "--out", out)
    settings = ("--set", "cbow.dimension=16", "--set", "cbow.epochs=2")
    code, told, _ = sopan("distill", desk / "teacher", desk / "reviews.csv", *how, *settings)
    assert code == 0
    title = f"cbow, taught by {desk / 'teacher'}, on its test part; model in {out} accuracy"
    assert " ".join(told.split()).startswith(title)
    assert usecases.load(out).dimension == 16


def test_a_student_may_teach(desk, tmp_path):
    how = {"unlabelled": desk / "more.csv", "budget": "1 trials", "text": "text", "label": "label"}
    usecases.distill(desk / "teacher", desk / "reviews.csv", tmp_path / "one", **how)
    usecases.distill(tmp_path / "one", desk / "reviews.csv", tmp_path / "two", **how)
    assert usecases.load(tmp_path / "two").predict([GOOD, BAD]).tolist() == ["good", "bad"]


def test_a_cascade_may_teach(desk, tmp_path):
    teacher = usecases.load(desk / "teacher")
    texts = ["warm", "dull", "funny", "noisy"] * 4
    other = make_step("bow", ngrams=(1, 1)).fit(texts, ["good", "bad"] * 8)
    save_model(cascade_of({"bow:nb": other, "bow": teacher}, 0.8), tmp_path / "both", data={}, metrics={})
    how = {"unlabelled": desk / "more.csv", "budget": "1 trials"}
    usecases.distill(tmp_path / "both", desk / "reviews.csv", tmp_path / "student", **how)
    student = usecases.load(tmp_path / "student")
    assert student.predict([GOOD, BAD]).tolist() == ["good", "bad"]
    card = (tmp_path / "student" / "README.md").read_text(encoding="utf-8")
    assert "Taught by a cascade, which" in card


# ---- Refused ---------------------------------------------------------------------------------


def test_without_unlabelled_texts_nothing_can_be_taught(desk, tmp_path, sopan: Sopan):  # noqa: F811
    code, _, told = sopan("distill", desk / "teacher", desk / "reviews.csv", "--out", tmp_path / "new")
    assert code == 2
    assert "--unlabelled FILE" in told
    assert not (tmp_path / "new").exists()


def test_a_step_to_be_taught_is_not_trained(tmp_path, sopan: Sopan):  # noqa: F811
    code, _, told = sopan("train", "cbow:distilled", tmp_path / "no.csv", "--out", tmp_path / "new")
    assert code == 2
    assert "cbow:distilled learns from a teacher" in told
    assert "--into cbow" in told


def test_a_students_variant_is_refused(desk, tmp_path):
    with pytest.raises(ConfigError, match="'bow:nb' names a variant"):
        usecases.distill(
            desk / "teacher", "no.csv", tmp_path / "new", into="bow:nb", unlabelled=desk / "more.csv"
        )


def test_other_classes_are_refused(desk, tmp_path):
    rows = tables.topics(3, 20)
    data = tables.write_csv(tmp_path / "topics.csv", rows)
    with pytest.raises(DataError, match=r"tells 2 classes apart and the data have 3: 'bad' is not in both"):
        usecases.distill(desk / "teacher", data, tmp_path / "new", unlabelled=desk / "more.csv")
    assert not (tmp_path / "new").exists()


def test_unlabelled_texts_that_are_all_held_out_are_refused(desk):
    teacher = usecases.load(desk / "teacher")
    with pytest.raises(DataError, match="no unlabelled text is left"):
        soft_labels(teacher, as_texts([]), ["bad", "good"])


def test_what_a_teacher_says_is_in_the_order_of_the_datas_classes():
    teacher = make_step("bow").fit(["red", "blue"] * 3, [10, 9] * 3)
    read: list[int] = []
    soft = soft_labels(teacher, as_texts(["red", "blue"]), ["10", "9"], read.append)
    np.testing.assert_array_equal(np.asarray(soft.probabilities).argmax(axis=1), [0, 1])
    assert read == [2]
