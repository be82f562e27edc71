"""A language model of transformers, as small as they get, for tests of what runs one in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import transformers

TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
PAD, EOS, TURN = 0, 1, 2


def save_small_llama(folder: Path) -> Path:
    """A folder with a Llama of 16 dimensions, and a tokenizer that knows bytes and three special tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    tokens = ["<pad>", "<eos>", "<turn>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")
    fast.add_special_tokens({"additional_special_tokens": ["<turn>"]})
    fast.chat_template = TEMPLATE
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    sizes["initializer_range"] = 0.5  # so that what was said before the last token counts
    ids = {"pad_token_id": PAD, "eos_token_id": EOS, "bos_token_id": None}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=len(tokens), **sizes, **ids))
    network.save_pretrained(folder)
    fast.save_pretrained(folder)
    assert sorted(path.name for path in folder.glob("*.safetensors")) == ["model.safetensors"]
    return folder


def writing(monkeypatch: pytest.MonkeyPatch, write: Callable[[str], str], ends: Sequence[int] = (EOS,)) -> list[Any]:
    """Let the network write what ``write`` makes of the prompt; tokenizing, templates and decoding stay as they are."""
    calls: list[Any] = []

    def generated(self: Any, input_ids: Any, attention_mask: Any, **options: Any) -> Any:
        import torch

        calls.append({"input_ids": input_ids, "attention_mask": attention_mask, **options})
        tokenizer = transformers.AutoTokenizer.from_pretrained(self.config._name_or_path)
        rows = []
        for ids, mask in zip(input_ids, attention_mask, strict=True):
            new = tokenizer(write(tokenizer.decode(ids[mask.bool()])), add_special_tokens=False)["input_ids"]
            rows.append([*new, *ends][: options["max_new_tokens"]])
        longest = max(map(len, rows))
        padded = [row + [options["pad_token_id"]] * (longest - len(row)) for row in rows]
        return torch.cat([input_ids, torch.tensor(padded)], 1)

    monkeypatch.setattr(transformers.LlamaForCausalLM, "generate", generated)
    return calls
