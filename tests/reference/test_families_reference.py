"""Folders of BERT's relatives held to `transformers`: pieces, hidden states, heads."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import need
from family_folders import CALLED, FAMILIES, PLACES, make_folder
from small_language import sentences
from tokenizers import Tokenizer

from sopan.lm.inference import fill_rectangle
from sopan.runtime.language import HiddenGraph, RuntimeLanguageModel
from sopan.runtime.numpy_operations import NumPyOperations
from sopan.steps.bert_folder import read_bert_folder
from sopan.text.batch import Batch

NEAR = 1e-5
LONG = PLACES - 10
"""Pieces of the longest text: distances of 128 and more are in it."""
TEXTS = [*sentences(), "Café naïve, don't!  Two  spaces <s> and <mask>", "", "x" * 30 + " 北京 😀"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """For each family its folder and its model of `transformers`."""
    need("torch")
    need("transformers")
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    kept = {}

    def make(family):
        if family not in kept:
            folder = tmp_path_factory.mktemp(family)
            kept[family] = folder, make_folder(family, folder, TEXTS)
        return kept[family]

    return make


def rows_of(wordpiece, texts):
    """Texts as rows between the marks; some are long enough for far distances."""
    cls, sep = wordpiece.specials["[CLS]"], wordpiece.specials["[SEP]"]
    cut = [np.array([cls, *wordpiece.encode([text]).ids[:LONG], sep], np.int32) for text in texts]
    return fill_rectangle(cut, len(cut), max(map(len, cut)))


def asked(model, rows):
    """What `transformers` says: the last hidden states and the logits."""
    import torch

    ids = torch.tensor(rows.ids.astype(np.int64))
    padding = model.config.pad_token_id
    ids[torch.tensor(rows.blocks == 0)] = padding
    with torch.no_grad():
        found = model(
            input_ids=ids,
            attention_mask=torch.tensor(rows.blocks.astype(np.int64)),
            output_hidden_states=True,
        )
    return found.hidden_states[-1].numpy(), found.logits.numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_hidden_states_and_logits_equal_transformers(made, family):
    folder, theirs = made(family)
    read = read_bert_folder(folder)
    assert read.model_type == family
    assert (read.missing_heads, read.pairs, read.unused) == ((), False, ())
    rows = rows_of(read.wordpiece, [*sentences()[:4], " ".join(2 * sentences())])
    assert rows.ids.shape[1] == LONG + 2
    hidden, logits = asked(theirs, rows)
    seen, at = rows.blocks > 0, np.flatnonzero(rows.blocks.ravel()).astype(np.int32)
    expected = logits.reshape(-1, logits.shape[-1])[at]
    assert np.abs(expected).max() > 1
    model = read.language_model()
    assert np.abs(model.hidden(rows) - hidden)[seen].max() < NEAR
    np.testing.assert_allclose(model.logits(rows, at), expected, atol=NEAR * 10, rtol=NEAR)
    for numpy in (True, False):
        runtime = RuntimeLanguageModel(read.weights, read.config, numpy=numpy)
        if numpy or runtime._program is None:
            (found,) = HiddenGraph(NumPyOperations(), runtime.network).outputs(rows.ids, seen, ("vector",))
        else:
            ((_, (found,)),) = runtime._program.run([Batch(rows.ids, seen, np.arange(len(rows.ids)))])
        assert np.abs(found - hidden)[seen].max() < NEAR, numpy
        np.testing.assert_allclose(runtime.logits(rows.ids, seen, at), expected, atol=NEAR * 10, rtol=NEAR)


@pytest.mark.parametrize("family", FAMILIES)
def test_pieces_equal_the_librarys(made, family):
    folder, _ = made(family)
    wordpiece = read_bert_folder(folder).wordpiece
    theirs = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert list(wordpiece.pieces) == sorted(theirs.get_vocab(), key=theirs.get_vocab().__getitem__)
    for text in TEXTS:
        if "<mask>" in text:
            continue
        expected = theirs.encode(text, add_special_tokens=False)
        assert wordpiece.encode([text]).ids.tolist() == expected.ids, text
        assert wordpiece.cut(text).ids.tolist() == expected.ids, text
    mask = wordpiece.specials["[MASK]"]
    assert wordpiece.pieces[mask] == CALLED[family]["mask"]
    for blank in ("[MASK]", CALLED[family]["mask"]):
        text = f"the cat {blank} ."
        cut = wordpiece.cut(text)
        (place,) = np.flatnonzero(cut.ids == mask)
        assert text[cut.starts[place] : cut.ends[place]] == blank
        written = f"the cat {CALLED[family]['mask']} ."
        assert cut.ids.tolist() == theirs.encode(written, add_special_tokens=False).ids
    as_text = wordpiece.encode(["a [MASK] <mask> <s> </s> [CLS] <pad>"]).ids
    assert not np.isin(
        as_text, [wordpiece.specials[name] for name in ("[MASK]", "[CLS]", "[SEP]", "[PAD]")]
    ).any()
