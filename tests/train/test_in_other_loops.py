"""The modules in a loop that is not ours: the Trainer of transformers."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
transformers = pytest.importorskip("transformers")

from torch import nn  # noqa: E402

from leaven.train import LeMDA, ManifoldMixup, MlpVae  # noqa: E402

DEAF = {"report_to": "none", "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True, "use_cpu": True}


class Net(nn.Module):
    """Two modalities side by side; LeMDA's loss is its own while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.table = nn.Linear(6, 8), nn.Linear(3, 8)
        self.head, self.lemda = nn.Linear(16, 2), LeMDA(MlpVae(2, 8, latent=2, layers=2))

    def forward(self, text: torch.Tensor, table: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        z = torch.cat([self.text(text), self.table(table)], dim=1)
        return {"loss": self.lemda(z, labels, self.head), "logits": self.head(z)}


def rows(n: int = 16) -> list[dict[str, torch.Tensor]]:
    luck = torch.Generator().manual_seed(0)
    drawn = [(torch.randn(6, generator=luck), torch.randn(3, generator=luck)) for _ in range(n)]
    return [{"text": a, "table": b, "labels": (a.sum() > 0).long()} for a, b in drawn]


def test_lemda_in_the_trainer_of_transformers(tmp_path: Path):
    torch.manual_seed(0)
    net = Net()
    rest = [p for name, p in net.named_parameters() if not name.startswith("lemda.")]
    groups = [{"params": rest, "lr": 1e-2}, {"params": list(net.lemda.parameters()), "lr": 1e-3}]
    how = transformers.TrainingArguments(str(tmp_path), max_steps=4, per_device_train_batch_size=8, **DEAF)
    trainer = transformers.Trainer(net, how, train_dataset=rows(), optimizers=(torch.optim.AdamW(groups), None))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert trainer.train().training_loss > 0
    still = [name for name, value in net.state_dict().items() if torch.equal(value, before[name])]
    assert not [name for name in still if not name.startswith("lemda.")]
    assert "lemda.augmenter.decoder.3.weight" not in still  # the layer that begins at 0 has left it
    assert trainer.predict(rows(4)).predictions.shape == (4, 2)


def test_manifold_mixup_in_the_trainer_of_transformers(tmp_path: Path):
    class Mixing(transformers.Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):  # type: ignore[no-untyped-def]
            with self.mix(inputs["labels"]) as shares:
                logits = model(inputs["text"])
            self.seen.append(shares)
            return nn.functional.cross_entropy(logits, shares)

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    how = transformers.TrainingArguments(
        str(tmp_path), max_steps=3, per_device_train_batch_size=8, remove_unused_columns=False, **DEAF
    )
    trainer = Mixing(net, how, train_dataset=rows())
    trainer.seen = []
    trainer.mix = ManifoldMixup(net, ["0"], classes=2, generator=torch.Generator().manual_seed(0))
    trainer.train()
    assert len(trainer.seen) == 3
    assert any(((shares > 0.01) & (shares < 0.99)).any() for shares in trainer.seen)
