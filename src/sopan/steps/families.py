"""Architectures near BERT's: what their folders call sizes, weights and special pieces.

    distilbert                          no segments, no pooler; names of its own
    roberta, xlm-roberta, camembert     places from behind the id of padding; one segment; BPE or Unigram
    electra                             word vectors narrower than the encoder; a generator has a head
    mpnet                               no segments; scores by how far words stand apart; places as RoBERTa

Each is BERT with the differences that `EncoderConfig` names, so tensors are renamed to BERT's, and read as
BERT's. What `model_type` says decides.

Sources: V. Sanh et al., "DistilBERT" (2019); Y. Liu et al., "RoBERTa" (2019); A. Conneau et al.,
"Unsupervised Cross-lingual Representation Learning at Scale" (2020); L. Martin et al., "CamemBERT" (2020);
K. Clark et al., "ELECTRA" (2020); K. Song et al., "MPNet" (2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sopan.errors import ConfigError
from sopan.text.piece_tokenizer import CLS, MASK, PAD, SEP, SPECIALS, UNK
from sopan.types import Json

_TRANSFORM = "cls.predictions.transform."
_BERTS: Mapping[str, str] = MappingProxyType({special: special for special in SPECIALS})
_ROBERTAS: Mapping[str, str] = MappingProxyType(
    {PAD: "<pad>", UNK: "<unk>", CLS: "<s>", SEP: "</s>", MASK: "<mask>"}
)
_ENCODER = {"position_embedding_type": "absolute", "add_cross_attention": False, "is_decoder": False}
_HEAD = {  # RoBERTa's and MPNet's
    "lm_head.dense.": f"{_TRANSFORM}dense.",
    "lm_head.layer_norm.": f"{_TRANSFORM}LayerNorm.",
    "lm_head.decoder.": "cls.predictions.decoder.",
    "lm_head.bias": "cls.predictions.bias",
}


@dataclass(frozen=True, slots=True)
class Family:
    """What sets an architecture apart from BERT.

    Args:
        prefix: begins the names of an encoder's tensors in a model with heads.
        tensors: parts of names, and what BERT calls them.
        sizes: what `config.json` calls BERT's sizes.
        fixed: what `config.json` must say, where it says anything.
        absent: BERT's settings that it has no word for, and their values.
        specials: what the vocabulary calls the special pieces, where no file says so.
        offset: places begin behind the id of padding.
        narrow: word vectors may have another width than the encoder.
        buckets: kinds of distance that scores depend on.
    """

    prefix: str
    tensors: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Json] = field(default_factory=dict)
    absent: Mapping[str, Json] = field(default_factory=dict)
    specials: Mapping[str, str] = field(default_factory=lambda: _BERTS)
    offset: bool = False
    narrow: bool = False
    buckets: int = 0

    def bert_name(self, name: str) -> str:
        """Return what BERT calls a tensor."""
        return _replaced(name.removeprefix(self.prefix), self.tensors)

    def own_name(self, name: str) -> str:
        """Return what the architecture calls a tensor of BERT's."""
        return _replaced(name, {bert: own for own, bert in self.tensors.items()})

    def bert_config(self, described: Mapping[str, Json]) -> dict[str, Json]:
        """Return what `config.json` says, in BERT's words."""
        renamed = {bert: described[own] for bert, own in self.sizes.items() if own in described}
        return {**described, **renamed, **self.absent}


def _replaced(name: str, parts: Mapping[str, str]) -> str:
    for old, new in parts.items():
        name = name.replace(old, new)
    return name


_ROBERTA = Family(
    prefix="roberta.",
    tensors=_HEAD,
    fixed=_ENCODER,
    specials=_ROBERTAS,
    offset=True,
)

FAMILIES: Mapping[str, Family] = {
    "bert": Family("", fixed={"position_embedding_type": "absolute", "add_cross_attention": False}),
    "distilbert": Family(
        "distilbert.",
        {
            "transformer.layer.": "encoder.layer.",
            ".attention.q_lin.": ".attention.self.query.",
            ".attention.k_lin.": ".attention.self.key.",
            ".attention.v_lin.": ".attention.self.value.",
            ".attention.out_lin.": ".attention.output.dense.",
            ".sa_layer_norm.": ".attention.output.LayerNorm.",
            ".ffn.lin1.": ".intermediate.dense.",
            ".ffn.lin2.": ".output.dense.",
            ".output_layer_norm.": ".output.LayerNorm.",
            "vocab_transform.": f"{_TRANSFORM}dense.",
            "vocab_layer_norm.": f"{_TRANSFORM}LayerNorm.",
            "vocab_projector.bias": "cls.predictions.bias",
            "vocab_projector.weight": "cls.predictions.decoder.weight",
        },
        sizes={
            "hidden_size": "dim",
            "num_hidden_layers": "n_layers",
            "num_attention_heads": "n_heads",
            "intermediate_size": "hidden_dim",
            "hidden_dropout_prob": "dropout",
            "attention_probs_dropout_prob": "attention_dropout",
            "hidden_act": "activation",
        },
        absent={"type_vocab_size": 0, "layer_norm_eps": 1e-12},
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "electra": Family(
        "electra.",
        {
            "generator_predictions.dense.": f"{_TRANSFORM}dense.",
            "generator_predictions.LayerNorm.": f"{_TRANSFORM}LayerNorm.",
            "generator_lm_head.bias": "cls.predictions.bias",
            "generator_lm_head.weight": "cls.predictions.decoder.weight",
        },
        fixed=_ENCODER,
        narrow=True,
    ),
    "mpnet": Family(
        "mpnet.",
        {
            ".attention.attn.q.": ".attention.self.query.",
            ".attention.attn.k.": ".attention.self.key.",
            ".attention.attn.v.": ".attention.self.value.",
            ".attention.attn.o.": ".attention.output.dense.",
            ".attention.LayerNorm.": ".attention.output.LayerNorm.",
            **_HEAD,
        },
        fixed={"relative_attention_num_buckets": 32},
        absent={"type_vocab_size": 0},
        specials={**_ROBERTAS, UNK: "[UNK]"},
        offset=True,
        buckets=32,
    ),
}
"""The architectures that can be read, by `model_type`."""


def family_of(described: Mapping[str, Json]) -> Family:
    """Return the architecture that a `config.json` names; one that names none is BERT.

    Raises:
        ConfigError: it cannot be read.
    """
    name = described.get("model_type", "bert")
    if name not in FAMILIES:
        raise ConfigError(f"model_type is {name!r}", next_step=f"these can be read: {', '.join(FAMILIES)}")
    return FAMILIES[name]
