# mypy: ignore-errors
"""A user's training script: a small network on pictures that it makes itself, one epoch, read by two worker processes."""

import json
import os
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

CLASSES, SIDE = 4, 16


class Bars(Dataset):
    """Noise with a bright bar in one quarter of the picture: which quarter is the class."""

    def __init__(self, count: int, seed: int) -> None:
        made = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(0, CLASSES, (count,), generator=made)
        self.pictures = torch.randn(count, 1, SIDE, SIDE, generator=made)
        for picture, label in zip(self.pictures, self.labels.tolist(), strict=True):
            picture[0, label * SIDE // CLASSES : (label + 1) * SIDE // CLASSES] += 0.7

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.pictures[index], self.labels[index]


def accuracy(model: nn.Module, data: DataLoader) -> float:
    model.eval()
    with torch.no_grad():
        right = sum(int((model(pictures).argmax(1) == labels).sum()) for pictures, labels in data)
    return right / len(data.dataset)


def main() -> None:
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * (SIDE // 2) ** 2, CLASSES)
    ).to(device)
    train = DataLoader(Bars(2048, 1), batch_size=32, shuffle=True, num_workers=2)
    test = DataLoader(Bars(512, 2), batch_size=128, num_workers=2)
    before = accuracy(model, test)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    model.train()
    for pictures, labels in train:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(pictures.to(device)), labels.to(device)).backward()
        optimizer.step()
    facts = {"before": before, "after": accuracy(model, test), "device": device.type, "uid": os.getuid()}
    torch.save(model.state_dict(), "/opt/ml/model/model.pt")
    Path("/opt/ml/output/data/facts.json").write_text(json.dumps(facts))
    print("trained")


if __name__ == "__main__":
    main()
