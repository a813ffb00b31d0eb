"""Over all models and all damage: what is saved comes back exactly; with one wrong bit it never loads."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load, save
from small_step import NaiveBayes, enter_in_table, trained

from sopan.errors import ModelFolderError
from sopan.fit.artifact import load_model, save_model
from sopan.fit.predict import _guard
from sopan.fit.saved import GRAPH, SEALED, decode_words, encode_words, read_saved
from sopan.storage.manifest import _entries
from sopan.storage.tensors import DTYPES, read_tensors

HERE = Path("vocab.txt")
unicode_text = st.text(st.characters(exclude_categories=["Cs"]))
FILES = ("README.md", "config.json", "manifest.json", "model.safetensors", "vocab.txt")


@pytest.fixture(scope="module", autouse=True)
def _in_table():
    with pytest.MonkeyPatch.context() as patch:
        enter_in_table(patch)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    save_model(trained(), folder, data={"name": "made up"}, metrics={"accuracy": 0.5})
    return folder


@given(words=st.lists(unicode_text | st.text("\\nru0288\n\r\u2028\x85\ufeff \t'")))
def test_any_vocabulary_comes_back_and_is_one_word_a_line(words):
    content = encode_words(words)
    assert decode_words(content, HERE) == tuple(words)
    assert len(content.decode("utf-8-sig").splitlines()) == len(words)


@given(content=st.binary())
def test_any_bytes_as_a_vocabulary_are_words_or_a_named_error(content):
    try:
        words = decode_words(content, HERE)
    except ModelFolderError:
        return
    assert decode_words(encode_words(words), HERE) == words


arrays = st.dictionaries(
    unicode_text.filter(lambda name: name != "__metadata__"),
    st.sampled_from(sorted(DTYPES.values())).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=5))
    ),
    max_size=5,
)


@given(named=arrays)
def test_arrays_are_read_as_the_library_reads_them(named):
    content = save(named)
    ours, theirs = read_tensors(memoryview(content), HERE), load(content)
    assert ours.keys() == theirs.keys() == named.keys()
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype
        assert array.shape == theirs[name].shape
        assert array.tobytes() == theirs[name].tobytes() == named[name].tobytes()


@given(data=st.data(), named=arrays)
def test_a_damaged_header_is_a_named_error_or_harmless(data, named):
    content = bytearray(save(named))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        arrays = read_tensors(memoryview(content), HERE)
    except ModelFolderError:
        return
    assert sum(array.nbytes for array in arrays.values()) <= len(content)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(FILES), memory_map=st.booleans())
def test_one_flipped_bit_anywhere_is_refused(folder, data, name, memory_map):
    content = (folder / name).read_bytes()
    bit = data.draw(st.integers(0, 8 * len(content) - 1), label="bit")
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    try:
        (folder / name).write_bytes(damaged)
        with pytest.raises(ModelFolderError):
            read_saved(folder, memory_map=memory_map)
    finally:
        (folder / name).write_bytes(content)
    assert load_model(folder).classes_.tolist() == ["good", "poor"]


def test_no_bit_of_the_manifest_is_without_meaning(folder):
    """Each bit is refused at once, or changes a size or a hash to one that no file here has."""
    content = (folder / "manifest.json").read_bytes()
    true = _entries(content, folder, SEALED, GRAPH)
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            entries = _entries(bytes(damaged), folder, SEALED, GRAPH)
        except ModelFolderError:
            continue
        assert entries.keys() == true.keys()
        assert entries != true


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(FILES))
def test_a_file_cut_short_or_grown_is_refused(folder, data, name):
    content = (folder / name).read_bytes()
    kept = data.draw(st.integers(0, len(content) - 1))
    more = data.draw(st.binary(min_size=1, max_size=9))
    try:
        for damaged in (content[:kept], content + more):
            (folder / name).write_bytes(damaged)
            with pytest.raises(ModelFolderError):
                load_model(folder)
    finally:
        (folder / name).write_bytes(content)


labels = st.one_of(
    st.lists(unicode_text, min_size=2, max_size=5, unique=True),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=5, unique=True),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=5, unique=True),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), names=labels, temperature=st.floats(1e-3, 1e3))
def test_any_model_predicts_the_same_after_save_and_load(tmp_path_factory, data, names, temperature):
    names = [name for name in names if not (isinstance(name, str) and name.endswith("\0"))]
    texts = data.draw(st.lists(unicode_text, min_size=2 * len(names), max_size=20))
    if len(names) < 2 or not any(text.strip(" ") for text in texts):
        return
    estimator = NaiveBayes().fit(texts, [names[i % len(names)] for i in range(len(texts))])
    estimator.temperature_ = temperature
    folder = tmp_path_factory.mktemp("any") / "model"
    save_model(estimator, folder, data={}, metrics={})
    again = load_model(folder)
    np.testing.assert_array_equal(again.predict_proba(texts), estimator.predict_proba(texts))
    np.testing.assert_array_equal(again.predict(texts), estimator.predict(texts))
    shutil.rmtree(folder.parent)


@given(cells=st.lists(unicode_text | st.text("='\t\r-+@a")))
def test_guarded_cells_start_no_formula_and_come_back(cells):

    guarded = _guard(pa.array(cells, pa.string())).to_pylist()
    assert not any(cell[:1] in tuple("=+-@\t\r") for cell in guarded if cell)
    assert [cell.removeprefix("'") for cell in guarded] == cells
