"""Tokenizers that know every text by its bytes, and a few words."""

from __future__ import annotations

from typing import Any

WORDS = ("a", "red", "blue", "car", "dog", "photo", "of", "the", "barking", "hello")


def clip(length: int = 77) -> Any:
    """Numbered as the real one: bytes first, the two marks last, which CLIP's pooling looks for."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges: dict[tuple[str, str], None] = {}
    for word in WORDS:
        parts = [*word[:-1], word[-1] + "</w>"]
        merges |= {("".join(parts[:i]), parts[i]): None for i in range(1, len(parts))}
    pieces = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges)]
    marks = ("<|startoftext|>", "<|endoftext|>")
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys([*pieces, *marks]))}
    return CLIPTokenizer(vocab=vocab, merges=list(merges), pad_token=marks[1], model_max_length=length)


def of_bytes(length: int) -> Any:
    """One token a byte, with an end."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = ["<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=length
    )


def roberta(length: int = 64) -> Any:
    from tokenizers import pre_tokenizers
    from transformers import RobertaTokenizer

    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    return RobertaTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], model_max_length=length)


READ = (
    "ann", "bob", "smith", "joe", "biden", "acme", "corp", "met", "in", "new", "york", "paris", "and", "at", "on",
    "who", "is", "my", "card", "lost", "book", "room", "for", "two", "travel", "banking", "weather", "this",
    "example", "what", "like", "today", "i", "see", "him", "again", "boss", "works", "called", "left", "hello",
    "world",
)  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
PIECES = (
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]", *dict.fromkeys((*WORDS, *READ, *LETTERS, *".,:;!?'-_&")),
    *("##" + letter for letter in LETTERS),
)  # fmt: skip


def bert(length: int = 64) -> Any:
    """Whole words, and letters for all others."""
    from transformers import BertTokenizer

    return BertTokenizer(vocab={piece: i for i, piece in enumerate(PIECES)}, model_max_length=length)


def t5(length: int = 64) -> Any:
    from transformers import T5Tokenizer

    words = {"▁" + word for word in (*WORDS, *READ)}
    letters = {*LETTERS, *".,:;!?'-", "▁"}
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((word, -5.0) for word in sorted(words - letters))]
    pieces += [(letter, -9.0) for letter in sorted(letters)]
    return T5Tokenizer(vocab=pieces, extra_ids=10, model_max_length=length)
