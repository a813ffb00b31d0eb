"""Who races in the BERT benches: each makes itself in its own process, and turns raw texts to probabilities.

Each `make_…` returns a function from texts to the probability (N,) of the second class. What is imported is
imported there, so that no contender's process holds another's libraries.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

Read: TypeAlias = Callable[[Sequence[str]], np.ndarray]
"""From N texts to (N,) probabilities."""

THREADS = os.cpu_count() or 1
TORCH_TOKENS = 4096
"""Pieces of a batch where it is cut by pieces; of 1,024, 4,096 and 16,384 the quickest for PyTorch here."""
ONNX_TOKENS = 4096
"""The same for ONNX Runtime."""


def make_keras_hub(folder: Path, length: int) -> Read:
    """KerasHub on TensorFlow as its documentation has it: raw strings, its preprocessor, batches of 32."""
    warnings.simplefilter("ignore")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    from keras_hub.models import BertTextClassifier, BertTextClassifierPreprocessor  # noqa: PLC0415

    preprocessor = BertTextClassifierPreprocessor.from_preset(str(folder), sequence_length=length)
    model = BertTextClassifier.from_preset(
        str(folder), num_classes=2, preprocessor=preprocessor, activation="softmax"
    )
    with np.load(folder / "logits.npz") as logits:
        model.output_dense.set_weights([logits["kernel"], logits["bias"]])
    return lambda texts: model.predict(list(texts), batch_size=32, verbose=0)[:, 1]


def make_pipeline(folder: Path, length: int, dtype: str = "bfloat16") -> Read:
    """Take transformers' pipeline on PyTorch, as its documentation has it: batches of 32."""
    from transformers import pipeline  # noqa: PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    pipe = pipeline("text-classification", model=str(folder), dtype=dtype, batch_size=32, device="cpu")
    positive = pipe.model.config.id2label[1]

    def read(texts: Sequence[str]) -> np.ndarray:
        found = pipe(list(texts), truncation=True, max_length=length)
        return np.array([f["score"] if f["label"] == positive else 1 - f["score"] for f in found])

    return read


def make_torch(folder: Path, length: int, *, tokens: int = TORCH_TOKENS) -> Read:
    """PyTorch by hand in bfloat16: `bert_torch`, texts sorted by length, batches cut by pieces."""
    import torch  # noqa: PLC0415
    from bert_torch import Classifier  # noqa: PLC0415

    torch.set_num_threads(THREADS)
    tokenizer = _tokenizer(folder, length)
    model = Classifier(folder, torch.bfloat16)

    @torch.inference_mode()
    def read(texts: Sequence[str]) -> np.ndarray:
        found = np.empty(len(texts), np.float32)
        for rows, ids, mask in _batches(tokenizer, texts, tokens):
            seen = None if mask.all() else torch.from_numpy(mask.astype(bool))
            found[rows] = model(torch.from_numpy(ids), seen).softmax(-1)[:, 1].numpy()
        return found

    return read


def make_onnx(folder: Path, length: int, *, tokens: int = ONNX_TOKENS) -> Read:
    """ONNX Runtime in float32 on the graph that `exported` made, sorted and cut like `make_torch`."""
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(exported(folder), options, providers=["CPUExecutionProvider"])
    tokenizer = _tokenizer(folder, length)

    def read(texts: Sequence[str]) -> np.ndarray:
        found = np.empty(len(texts), np.float32)
        for rows, ids, mask in _batches(tokenizer, texts, tokens):
            (logits,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
            found[rows] = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
        return found

    return read


def exported(folder: Path) -> str:
    """Return the ONNX graph of a Hugging Face folder, attention, GELU and layer norms fused; made once."""
    target = folder / "fused.onnx"
    if target.exists():
        return str(target)
    warnings.simplefilter("ignore")
    import torch  # noqa: PLC0415
    from onnxruntime.transformers.optimizer import optimize_model  # noqa: PLC0415
    from transformers import AutoModelForSequenceClassification  # noqa: PLC0415

    model = AutoModelForSequenceClassification.from_pretrained(
        str(folder), attn_implementation="eager"
    ).eval()
    ids = torch.ones((2, 16), dtype=torch.int64)
    names = ["input_ids", "attention_mask"]
    axes = {name: {0: "batch", 1: "length"} for name in names} | {"logits": {0: "batch"}}
    plain = folder / "plain.onnx"
    torch.onnx.export(
        model,
        (ids, ids),
        str(plain),
        input_names=names,
        output_names=["logits"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    config = model.config
    fused = optimize_model(
        str(plain),
        model_type="bert",
        num_heads=config.num_attention_heads,
        hidden_size=config.hidden_size,
    )
    fused.save_model_to_file(str(target))
    return str(target)


def _tokenizer(folder: Path, length: int) -> Any:
    """Return the fast tokenizer itself, which spares what transformers wraps around each text."""
    from tokenizers import Tokenizer  # noqa: PLC0415

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(length)
    return tokenizer


def _batches(
    tokenizer: Any, texts: Sequence[str], tokens: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield rows (B,), ids (B, T) and mask (B, T) of about `tokens` pieces, the longest texts first."""
    ids = [found.ids for found in tokenizer.encode_batch_fast(list(texts))]
    lengths = np.array([len(row) for row in ids])
    order = np.argsort(-lengths, kind="stable")
    padding = tokenizer.token_to_id("[PAD]")
    start = 0
    while start < len(order):
        width = int(lengths[order[start]])
        rows = order[start : start + max(1, tokens // width)]
        batch = np.full((len(rows), width), padding, np.int64)
        for place, row in enumerate(rows):
            batch[place, : lengths[row]] = ids[row]
        yield rows, batch, (np.arange(width) < lengths[rows, None]).astype(np.int64)
        start += len(rows)
