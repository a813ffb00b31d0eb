"""Small random folders of BERT's relatives, as `transformers` and `tokenizers` write them."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

FAMILIES = ("distilbert", "roberta", "xlm-roberta", "camembert", "electra", "mpnet")
BERT = {name: f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
ROBERTA = {"pad": "<pad>", "unk": "<unk>", "cls": "<s>", "sep": "</s>", "mask": "<mask>"}
CALLED = {
    "distilbert": BERT,
    "electra": BERT,
    "mpnet": ROBERTA | {"unk": "[UNK]"},
    **dict.fromkeys(("roberta", "xlm-roberta", "camembert"), ROBERTA),
}
ORDER = {"mpnet": ("cls", "pad", "sep", "unk", "mask"), "roberta": ("cls", "pad", "sep", "unk", "mask")}
CLASSES = {
    "distilbert": ("DistilBertConfig", "DistilBertForMaskedLM", "DistilBertModel"),
    "roberta": ("RobertaConfig", "RobertaForMaskedLM", "RobertaModel"),
    "xlm-roberta": ("XLMRobertaConfig", "XLMRobertaForMaskedLM", "XLMRobertaModel"),
    "camembert": ("CamembertConfig", "CamembertForMaskedLM", "CamembertModel"),
    "electra": ("ElectraConfig", "ElectraForMaskedLM", "ElectraForPreTraining"),
    "mpnet": ("MPNetConfig", "MPNetForMaskedLM", "MPNetModel"),
}
SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
}
DISTILBERT = {"dim": 24, "n_layers": 2, "n_heads": 4, "hidden_dim": 40, "activation": "gelu"}
PLACES = 160


def train_tokenizer(family, texts, size=300):
    """A tokenizer of the family's kind, trained on texts, with its template."""
    called = CALLED[family]
    specials = [called[name] for name in ORDER.get(family, ("pad", "unk", "cls", "sep", "mask"))]
    if family in ("xlm-roberta", "camembert"):
        specials = [called[name] for name in ("cls", "pad", "sep", "unk", "mask")]
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " ")])
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=size, special_tokens=specials, unk_token="<unk>", show_progress=False
        )
    elif family == "roberta":
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size + 256,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    else:
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(
        [AddedToken(called["mask"], lstrip=called["mask"] == "<mask>", special=True)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{called['cls']} $A {called['sep']}",
        special_tokens=[(called[name], tokenizer.token_to_id(called[name])) for name in ("cls", "sep")],
    )
    return tokenizer


def make_folder(family, folder, texts, *, headless=False, seed=0):
    """Write a folder with random weights; return the model of `transformers` that it holds."""
    import torch
    import transformers

    tokenizer = train_tokenizer(family, texts)
    called = CALLED[family]
    config_class, with_head, without = CLASSES[family]
    further = {} if family != "electra" else {"embedding_size": 16}
    if family in ("roberta", "xlm-roberta", "camembert"):
        further = {"type_vocab_size": 1}
    config = getattr(transformers, config_class)(
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=PLACES,
        pad_token_id=tokenizer.token_to_id(called["pad"]),
        **(DISTILBERT if family == "distilbert" else SIZES),
        **further,
    )
    torch.manual_seed(seed)
    model = getattr(transformers, without if headless else with_head)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    model.save_pretrained(str(folder))
    tokenizer.save(str(Path(folder) / "tokenizer.json"))
    names = {f"{name}_token": token for name, token in called.items()}
    (Path(folder) / "tokenizer_config.json").write_text(json.dumps(names))
    return model
