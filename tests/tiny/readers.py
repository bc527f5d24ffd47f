"""Small models that read texts: masked language models, T5, translators, taggers and classifiers.

Where a test wants a literal answer the weights are set by hand: a masked model whose scores are those of a table
whatever it reads, a tagger that knows words, a T5 that writes one sentence.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tiny import tokens
from tiny.encoders import HALF, spread

SMALL = {"vocab_size": len(tokens.PIECES), "max_position_embeddings": 64, **HALF}
SENTENCES = ("hello world", "my card is lost", "the dog met a red car in paris", "book a room for two") * 3


def named(*labels: str) -> dict[str, Any]:
    return {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}


def masked(folder: Path, scores: Mapping[str, float] | None = None, seed: int = 0) -> Path:
    """A BERT; with ``scores`` each of these tokens has its score at every blank, and all others have -30."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    words = tokens.bert()
    model = spread(BertForMaskedLM(BertConfig(**SMALL)), 0.4, seed)
    if scores is not None:
        head = model.cls.predictions
        with torch.no_grad():
            head.transform.LayerNorm.weight.zero_()
            head.decoder.bias.fill_(-30.0)
            for token, score in scores.items():
                head.decoder.bias[words.convert_tokens_to_ids(token)] = score
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def roberta(folder: Path) -> Path:
    from transformers import RobertaConfig, RobertaForMaskedLM

    words = tokens.roberta(512)
    config = RobertaConfig(
        vocab_size=len(words), max_position_embeddings=66, type_vocab_size=1, pad_token_id=words.pad_token_id,
        bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id, **HALF,
    )  # fmt: skip
    spread(RobertaForMaskedLM(config), 0.4).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def t5(folder: Path, says: Sequence[str] = (), seed: int = 0, *, learns: bool = False) -> Path:
    """A T5; with ``says`` it writes these tokens one after the other, whatever it reads (each token once); one that
    ``learns`` begins as they do, without dropout."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    words = tokens.t5()
    config = T5Config(
        vocab_size=len(words) + 8, d_model=64, d_kv=8, d_ff=64, num_layers=1, num_heads=4, decoder_start_token_id=0,
        pad_token_id=words.pad_token_id, eos_token_id=words.eos_token_id, dropout_rate=0.0 if learns else 0.1,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = T5ForConditionalGeneration(config) if learns else spread(T5ForConditionalGeneration(config), 0.4, seed)
    if says:
        chain = [0, *(words.convert_tokens_to_ids(token) for token in says), words.eos_token_id]
        vectors = model.shared.weight.detach()[chain]
        with torch.no_grad():
            for name, weights in model.decoder.named_parameters():
                if name.endswith(".o.weight"):
                    weights.zero_()  # what it wrote last is all that it goes by
            layer = model.decoder.block[0].layer[-1].DenseReluDense
            layer.wi.weight.zero_()
            layer.wo.weight.zero_()
            for i, (before, after) in enumerate(itertools.pairwise(vectors)):
                layer.wi.weight[i] = before
                layer.wo.weight[:, i] = after
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def bart(folder: Path) -> Path:
    """Reads and writes bytes, 64 of each; it writes the mark of the beginning first."""
    from transformers import BartConfig, BartForConditionalGeneration

    words = tokens.roberta()
    marks = {f"{name}_token_id": getattr(words, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    more = {"decoder_start_token_id": words.eos_token_id, "forced_bos_token_id": words.bos_token_id}
    config = BartConfig(vocab_size=len(words), **marks, **more, **{**TRANSLATES, "max_position_embeddings": 64})
    spread(BartForConditionalGeneration(config), 0.1).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def marian(
    folder: Path, source: str | None = "en", target: str | None = "de", to: Sequence[str] = (), seed: int = 1
) -> Path:
    """A Marian of one pair; ``to`` are the marks of the languages that one of several writes, such as >>fra<<."""
    import warnings

    import sentencepiece
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "source.spm").open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(SENTENCES), model_writer=file, vocab_size=60, hard_vocab_limit=False, minloglevel=2,
            num_threads=1,
        )  # fmt: skip
    known = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    pieces = [known.id_to_piece(i) for i in range(3, known.get_piece_size())]
    vocab = {piece: i for i, piece in enumerate(["</s>", "<unk>", *pieces, *to, "<pad>"])}
    (folder / "vocab.json").write_text(json.dumps(vocab))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it recommends another package
        words = MarianTokenizer(
            source_spm=str(folder / "source.spm"), target_spm=str(folder / "source.spm"),
            vocab=str(folder / "vocab.json"), source_lang=source, target_lang=target, model_max_length=24,
        )  # fmt: skip
    words.save_pretrained(folder)
    pad = vocab["<pad>"]
    config = MarianConfig(
        vocab_size=len(vocab), pad_token_id=pad, eos_token_id=0, decoder_start_token_id=pad, forced_eos_token_id=0,
        **TRANSLATES,
    )  # fmt: skip
    _written(MarianMTModel(config), seed).save_pretrained(folder)
    return folder


def _written(model: Any, seed: int = 1) -> Any:
    """Spread, but for the vectors of tokens: where they are as wide, what is written is one token again and again."""
    import torch

    spread(model, 1.0, seed)
    with torch.no_grad():
        model.model.shared.weight.mul_(0.05)
    return model


TRANSLATES = {
    "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 24,
}  # fmt: skip


def nllb(folder: Path, languages: Sequence[str] = ("eng_Latn", "spa_Latn", "zho_Hans", "zho_Hant")) -> Path:
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    letters = sorted({letter for sentence in SENTENCES for letter in sentence} - {" "} | {"▁"})
    vocab = {piece: i for i, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", *letters])}
    words = NllbTokenizer(
        vocab=vocab, merges=[], src_lang=languages[0], tgt_lang=languages[1], extra_special_tokens=list(languages),
        model_max_length=24,
    )  # fmt: skip
    words.save_pretrained(folder)
    _m2m(M2M100ForConditionalGeneration, M2M100Config, words).save_pretrained(folder)
    return folder


def _m2m(kind: Any, config: Any, words: Any) -> Any:
    marks = {f"{name}_token_id": getattr(words, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    start = {"decoder_start_token_id": words.eos_token_id}
    return _written(kind(config(vocab_size=len(words), **marks, **start, **TRANSLATES)))


def tagger(folder: Path, labels: Sequence[str], knows: Mapping[str, str], length: int = 64) -> Path:
    """A BERT that gives each word it knows its label, and the first label to all others."""
    import torch
    from transformers import BertConfig, BertForTokenClassification

    words = tokens.bert(length)
    config = BertConfig(**{**SMALL, "max_position_embeddings": length}, **named(*labels))
    model = spread(BertForTokenClassification(config), 0.4)
    with torch.no_grad():
        _deaf(model.bert)
        ids = {word: words.convert_tokens_to_ids(word) for word in knows}
        assert words.unk_token_id not in ids.values(), "a word that it does not know"
        seen = model.eval().bert(torch.tensor([list(ids.values())])).last_hidden_state[0]
        model.classifier.weight.zero_()
        model.classifier.bias.zero_()
        model.classifier.bias[0] = 0.6 * float((seen[0] ** 2).sum())
        for word, vector in zip(ids, seen, strict=True):
            model.classifier.weight[labels.index(knows[word])] += vector
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def _deaf(bert: Any) -> None:
    """Let each token be all that its vector tells: no neighbours, no place."""
    bert.embeddings.position_embeddings.weight.zero_()
    bert.embeddings.token_type_embeddings.weight.zero_()
    for layer in bert.encoder.layer:
        for part in (layer.attention.output.dense, layer.output.dense):
            part.weight.zero_()
            part.bias.zero_()


def classifier(folder: Path, labels: Sequence[str], seed: int = 0) -> Path:
    from transformers import BertConfig, BertForSequenceClassification

    spread(BertForSequenceClassification(BertConfig(**SMALL, **named(*labels))), 0.4, seed).save_pretrained(folder)
    tokens.bert().save_pretrained(folder)
    return folder
