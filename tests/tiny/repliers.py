"""A Llama that answers by rule: the words that stand in its prompt choose one of the replies that it knows.

Nothing is trained.  Each word that a rule looks for, and each reply, is one token.  The one layer attends to all tokens
alike, so what it writes where the answer begins is how often each word stood before; the rows of the last matrix are
the rules, and what follows a reply is the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tiny.writers import fresh, talks, words

Rule = tuple[tuple[str, ...], str]
"""Words, and the reply to a prompt that has them."""
SURE = 1e6
"""How far apart the scores of two replies are, by which draws are as good as certain."""
LESS = 5e-5
"""What a word more costs a rule: less than one that stands there gives it, in any prompt of some thousand tokens."""
PLAIN, SAID = 0, 1
"""Places of a vector: what all other tokens are, and what ends an answer; then the words and the replies."""


def replier(folder: Path, *rules: Rule, room: int = 8192) -> Path:
    """Answers with the reply of the rule whose words stand most often in a prompt; of rules alike in that, one of the
    fewest words, and of those a drawn one.  A rule of no words is for all else.  A word is any text that is no part of
    a reply and no part of another word where they stand.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    known = list(dict.fromkeys(word for looked_for, _ in rules for word in looked_for))
    replies = list(dict.fromkeys(reply for _, reply in rules if reply))
    reads = words(*(f"<{i}>" for i in range(len(rules))))  # a rule that is chosen, before its reply: skipped as a mark
    add(reads, [*known, *replies])
    places = {text: 2 + i for i, text in enumerate([*known, *replies])}
    wide = 2 + len(places) + len(places) % 2
    config = LlamaConfig(
        **talks(
            reads, hidden_size=wide, intermediate_size=2, num_hidden_layers=1, num_attention_heads=1,
            num_key_value_heads=1, max_position_embeddings=room, rms_norm_eps=1e-12, tie_word_embeddings=False,
        )
    )  # fmt: skip
    model = fresh(LlamaForCausalLM, config)
    layer = model.model.layers[0]
    with torch.no_grad():
        for weights in (
            layer.self_attn.q_proj, layer.self_attn.k_proj, layer.mlp.gate_proj, layer.mlp.up_proj,
            layer.mlp.down_proj, model.lm_head, model.model.embed_tokens,
        ):  # fmt: skip
            weights.weight.zero_()
        passed = torch.ones(wide)
        passed[[SAID, *(places[reply] for reply in replies)]] = 0.0  # replies in a prompt count for nothing
        layer.self_attn.v_proj.weight.copy_(torch.diag(passed))
        layer.self_attn.o_proj.weight.copy_(torch.eye(wide))
        faint, loud = 1e-3, 1e3  # beside what the layer writes
        shown, chosen = model.model.embed_tokens.weight, model.lm_head.weight
        shown[:, PLAIN], chosen[:, PLAIN] = faint, -SURE
        for text, place in places.items():
            token = reads.convert_tokens_to_ids(text)
            shown[token] = 0.0
            if text in replies:
                shown[token, SAID], chosen[token, place] = loud, SURE
            else:
                shown[token, place] = faint
        chosen[reads.eos_token_id, SAID] = SURE
        for i, (looked_for, reply) in enumerate(rules):
            token = reads.convert_tokens_to_ids(f"<{i}>")
            shown[token, places.get(reply, SAID)] = loud
            chosen[token, PLAIN] = -SURE * LESS * len(looked_for)
            for word in looked_for:
                chosen[token, places[word]] = SURE
    model.save_pretrained(folder)
    reads.save_pretrained(folder)
    return folder


def add(reads: Any, texts: Sequence[str]) -> None:
    """Each text as one token of its own."""
    from tokenizers import AddedToken

    reads.add_tokens([AddedToken(text, normalized=False) for text in texts])
