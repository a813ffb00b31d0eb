"""A BERT classifier in PyTorch by hand, as fast as PyTorch does it here.

Queries, keys and values come of one product; attention is PyTorch's fused one, without a mask where no text
is padded; after the last attention only the first piece is read on, since the classifier sees nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional


class Classifier(torch.nn.Module):
    """What `BertForSequenceClassification` computes, of the same folder.

    Args:
        folder: of Hugging Face's layout.
        dtype: to compute in.
    """

    def __init__(self, folder: Path, dtype: torch.dtype):
        super().__init__()
        config = json.loads((folder / "config.json").read_text())
        self.depth, self.heads = config["num_hidden_layers"], config["num_attention_heads"]
        self.epsilon = config["layer_norm_eps"]
        stored = load_file(folder / "model.safetensors")
        self.tensors = {name.removeprefix("bert."): value.to(dtype) for name, value in stored.items()}
        for i in range(self.depth):
            for kind in ("weight", "bias"):
                names = [
                    f"encoder.layer.{i}.attention.self.{part}.{kind}" for part in ("query", "key", "value")
                ]
                self.tensors[f"encoder.layer.{i}.qkv.{kind}"] = torch.cat([self.tensors[n] for n in names])
        places = self.tensors["embeddings.position_embeddings.weight"]
        self.places = places + self.tensors["embeddings.token_type_embeddings.weight"][0]

    def forward(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Return logits (B, C) float32 of ids (B, T) and a mask (B, T) bool; None: nothing is padded."""
        seen = None if mask is None else mask[:, None, None, :]
        x = self.tensors["embeddings.word_embeddings.weight"][ids] + self.places[: ids.shape[1]]
        x = self._norm(x, "embeddings.LayerNorm")
        for i in range(self.depth):
            x = self._block(x, seen, f"encoder.layer.{i}", last=i == self.depth - 1)
        return self._dense(torch.tanh(self._dense(x[:, 0], "pooler.dense")), "classifier").float()

    def _block(self, x: Tensor, seen: Tensor | None, name: str, *, last: bool) -> Tensor:
        batch, length, width = x.shape
        qkv = self._dense(x, f"{name}.qkv").view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        if last:
            x, query = x[:, :1], query[:, :, :1]
        read = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        read = read.transpose(1, 2).reshape(batch, -1, width)
        x = self._norm(
            x + self._dense(read, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm"
        )
        up = functional.gelu(self._dense(x, f"{name}.intermediate.dense"))
        return self._norm(x + self._dense(up, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _dense(self, x: Tensor, name: str) -> Tensor:
        return functional.linear(x, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        return functional.layer_norm(x, x.shape[-1:], weight, bias, self.epsilon)
