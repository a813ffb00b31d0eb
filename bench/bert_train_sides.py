"""The sides of `bert_train.py`: each is made in a process of its own and learns from the same reviews."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from measure import Work

HEIGHT, LENGTH, MASKED, DROPOUT, RATE = 32, 256, 0.15, 0.1, 1e-4
WIDTH, DEPTH, HEADS, VOCABULARY = 256, 4, 4, 12_000
GEMM = (4096, 1024, 1024)


# ---- The work ---------------------------------------------------------------------------------------------


class Reviews:
    """N reviews with their labels, and what all sides share."""

    def __init__(self, path: str, n: int):
        rows = pq.read_table(path, columns=["text", "label", "talk"])
        rows = rows.filter(pc.equal(rows["talk"], "train")).slice(0, n)
        self.texts = rows["text"].combine_chunks()
        self.labels = np.array(pc.equal(rows["label"], "positive"), np.int64)

    def pieces(self) -> Any:
        """Return the windows (N, at most `LENGTH`) that the texts are read in."""
        from sopan.text.intake import cut_windows  # noqa: PLC0415

        pieces = wordpiece()
        marks = {"cls": pieces.id_of("[CLS]"), "sep": pieces.id_of("[SEP]")}
        return cut_windows(
            pieces.encode(self.texts), max_length=LENGTH, long_texts="head", max_windows=1, **marks
        ).clipped


def preset() -> Path:
    """Return the folder of sopan-mini, in Hugging Face's layout."""
    from sopan.steps.presets import preset_folder  # noqa: PLC0415

    return preset_folder("sopan-mini")


def wordpiece() -> Any:
    """Return what cuts texts into pieces."""
    from sopan.text.wordpiece import WordPiece  # noqa: PLC0415

    return WordPiece.load(str(preset() / "tokenizer.json"))


def products(lengths: Iterable[int], task: str) -> float:
    """Return the floating-point operations of a training step's matrix products, a piece, on average.

    Per piece and layer 12 · width² multiply-adds, and 2 · T · width to look at T pieces; the head that fills
    blanks asks at 15% of the pieces. Backward is twice forward.
    """
    sizes = np.asarray(list(lengths), np.float64)
    seen = (sizes**2).sum() / sizes.sum()
    each = DEPTH * (12 * WIDTH**2 + 2 * seen * WIDTH)
    head = MASKED * (WIDTH**2 + WIDTH * VOCABULARY) if task == "masked" else 0.0
    return float(3 * 2 * (each + head))


# ---- sopan ------------------------------------------------------------------------------------------------


def sopan_fine_tune(path: str, n: int, precision: str) -> Work:
    """Make our classifier's steps as `train_classifier` does, on rectangles of like length."""
    from sopan.steps.bert_network import Start, build_classifier  # noqa: PLC0415
    from sopan.steps.layers import computing_in  # noqa: PLC0415
    from sopan.steps.presets import preset_bert  # noqa: PLC0415
    from sopan.text.batch import batches, bucket_lengths, plan, row_weights  # noqa: PLC0415
    from sopan.training.backend import make_stepper  # noqa: PLC0415
    from sopan.training.classification import cross_entropy  # noqa: PLC0415
    from sopan.training.optimizer import WarmUpDecay, adamw  # noqa: PLC0415
    from sopan.training.recipe import Recipe  # noqa: PLC0415

    reviews, start, recipe = Reviews(path, n), Start.of(preset_bert("sopan-mini"), DROPOUT), Recipe()
    with computing_in(precision):  # type: ignore[arg-type]
        network = build_classifier(start.config, VOCABULARY, 2, summary="cls", seed=0)
    optimizer = adamw(WarmUpDecay(RATE, 10_000), 0.01)
    stepper = make_stepper(network, cross_entropy(0.0), optimizer)
    buckets = bucket_lengths(reviews.pieces().lengths, LENGTH)
    labels, weights = reviews.labels, np.ones(n, np.float32)

    def work(number: int) -> dict[str, float]:
        texts = reviews.pieces()
        rng = np.random.default_rng([0, number + 1])
        sizes = {"words": recipe.batch_words, "most": recipe.batch_texts}
        for batch in batches(texts, plan(texts.lengths, buckets, **sizes, rng=rng)):
            truth = np.zeros(len(batch.ids), np.int32)
            truth[: len(batch.rows)] = labels[batch.rows]
            loss = stepper.step((batch.ids, batch.mask), (truth, row_weights(batch, weights)))
        return {"pieces": int(texts.lengths.sum()), "loss": loss}

    return work


def sopan_masked(path: str, n: int, precision: str) -> Work:
    """Make the steps of `sopan pretrain`: rows without padding, blanks drawn while the step before runs."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    from sopan.steps.bert_network import Start  # noqa: PLC0415
    from sopan.steps.language_model import LanguageModel  # noqa: PLC0415
    from sopan.steps.presets import preset_bert  # noqa: PLC0415
    from sopan.text.packing import PieceStore  # noqa: PLC0415
    from sopan.training.backend import make_stepper  # noqa: PLC0415
    from sopan.training.language_modelling import Batches, PretrainingTask, language_loss  # noqa: PLC0415
    from sopan.training.optimizer import make_optimizer  # noqa: PLC0415
    from sopan.training.recipe import LanguageRecipe  # noqa: PLC0415

    reviews, start = Reviews(path, n), Start.of(preset_bert("sopan-mini"), DROPOUT)
    model = LanguageModel.make(start.config, start.wordpiece, seed=0, precision=precision)  # type: ignore[arg-type]
    stepper = make_stepper(
        model.network, language_loss, make_optimizer(LanguageRecipe(10_000, learning_rate=RATE))
    )

    def work(number: int) -> dict[str, float]:
        clipped = reviews.pieces()
        ids, offsets = clipped.encoded.ids, clipped.encoded.offsets
        inside = np.ones(len(ids), bool)
        inside[offsets[:-1]] = inside[offsets[1:] - 1] = False  # `Batches` puts marks of its own
        bare = offsets - 2 * np.arange(len(offsets))
        task = PretrainingTask(length=LENGTH, rows=HEIGHT, mask_rate=MASKED)
        draw = Batches(PieceStore(ids[inside], bare), start.wordpiece, task, number + 1)
        pieces = 0
        with ThreadPoolExecutor(1) as ahead:
            waiting = ahead.submit(draw, 0)
            for step in range(1, draw.batches_an_epoch + 1):
                inputs, targets = waiting.result()
                waiting = ahead.submit(draw, step)
                loss = stepper.step(inputs, targets)
                pieces += int((inputs[1] > 0).sum())
        return {"pieces": pieces, "loss": loss}

    return work


# ---- KerasHub ---------------------------------------------------------------------------------------------


def keras_hub(path: str, n: int, precision: str, task: str) -> Work:
    """Fit KerasHub's model on raw texts, its preprocessor at work beside it."""
    import keras  # noqa: PLC0415
    import keras_hub as hub  # noqa: PLC0415

    keras.config.set_dtype_policy("float32" if precision == "float32" else "mixed_bfloat16")
    reviews = Reviews(path, n)
    backbone = hub.models.BertBackbone(
        VOCABULARY, DEPTH, HEADS, WIDTH, 4 * WIDTH, dropout=DROPOUT, max_sequence_length=LENGTH
    )
    tokenizer = hub.models.BertTokenizer(wordpiece().pieces, lowercase=True)
    optimizer, texts = keras.optimizers.AdamW(RATE), np.array(reviews.texts.to_pylist(), object)
    if task == "fine_tune":
        cut = hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=LENGTH)
        model = hub.models.BertTextClassifier(backbone, num_classes=2, preprocessor=cut, dropout=DROPOUT)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=optimizer, loss=loss)
        data: tuple[Any, ...] = (texts.astype(str), reviews.labels)
    else:
        cut = hub.models.BertMaskedLMPreprocessor(
            tokenizer,
            sequence_length=LENGTH,
            mask_selection_rate=MASKED,
            mask_selection_length=round(MASKED * LENGTH),
        )
        model = hub.models.BertMaskedLM(backbone, preprocessor=cut)
        model.compile(optimizer=optimizer)
        data = (texts.astype(str),)

    pieces = int(reviews.pieces().lengths.sum())

    def work(number: int) -> dict[str, float]:
        history = model.fit(*data, batch_size=HEIGHT, epochs=1, verbose=0)
        return {"pieces": pieces, "loss": history.history["loss"][-1]}

    return work


# ---- transformers -----------------------------------------------------------------------------------------


def trainer(path: str, n: int, precision: str, task: str) -> Work:
    """Train transformers' model by its `Trainer` on texts already cut into pieces."""
    import torch  # noqa: PLC0415
    import transformers as hf  # noqa: PLC0415

    hf.logging.set_verbosity_error()
    hf.utils.logging.disable_progress_bar()
    torch.set_num_threads(os.cpu_count() or 1)
    reviews = Reviews(path, n)
    clipped, folder = reviews.pieces(), str(preset())
    ids, offsets = clipped.encoded.ids, clipped.encoded.offsets
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    rows: list[dict[str, Any]] = [
        {"input_ids": ids[offsets[i] : offsets[i + 1]].tolist()} for i in range(len(offsets) - 1)
    ]
    config = hf.BertConfig.from_pretrained(
        folder, hidden_dropout_prob=DROPOUT, attention_probs_dropout_prob=DROPOUT
    )
    if task == "fine_tune":
        rows = [row | {"labels": int(label)} for row, label in zip(rows, reviews.labels, strict=True)]
        model = hf.BertForSequenceClassification(config)
        collate: Any = hf.DataCollatorWithPadding(tokenizer)
    else:
        model = hf.BertForMaskedLM(config)
        collate = hf.DataCollatorForLanguageModeling(tokenizer, mlm_probability=MASKED)
    given = hf.TrainingArguments(
        tempfile.mkdtemp(),
        per_device_train_batch_size=HEIGHT,
        num_train_epochs=1,
        learning_rate=RATE,
        optim="adamw_torch",
        bf16=precision == "bfloat16",
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    learner = hf.Trainer(model, given, data_collator=collate, train_dataset=rows)
    learner.remove_callback(hf.PrinterCallback)
    pieces = int(clipped.lengths.sum())
    return lambda number: {"pieces": pieces, "loss": learner.train().training_loss}


# ---- The limit --------------------------------------------------------------------------------------------


def gemm(framework: str, precision: str) -> Work:
    """Multiply large matrices; return operations a second."""
    rows, inner, columns = GEMM
    if framework == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415

        one, other = (
            tf.cast(tf.random.normal(shape), precision) for shape in ((rows, inner), (inner, columns))
        )
        multiply = partial(tf.matmul, one, other)
    else:
        import torch  # noqa: PLC0415

        kind = getattr(torch, precision)
        multiply = partial(torch.mm, torch.randn(rows, inner).to(kind), torch.randn(inner, columns).to(kind))

    def work(number: int) -> dict[str, float]:
        best = np.inf
        for _ in range(12):
            started = time.perf_counter()
            multiply()
            best = min(best, time.perf_counter() - started)
        return {"rate": 2 * rows * inner * columns / best}

    return work
