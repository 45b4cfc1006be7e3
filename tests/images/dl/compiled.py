# mypy: ignore-errors
"""torch.compile makes a kernel with the image's own compiler, and it gives what the plain function gives."""

import torch


def plain(x: torch.Tensor) -> torch.Tensor:
    return torch.sin(x) ** 2 + torch.cos(x) ** 2 + x.relu().sum()


x = torch.linspace(-3, 3, 1000)
torch.testing.assert_close(torch.compile(plain, fullgraph=True)(x), plain(x))
print("compiled")
