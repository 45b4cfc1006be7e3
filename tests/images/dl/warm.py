# mypy: ignore-errors
"""A training loop whose kernels torch.compile makes: how many came out of its cache, and how long the first step took."""

import sys
import time
from pathlib import Path

import torch
from torch._dynamo.utils import counters

model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.GELU(), torch.nn.LayerNorm(128), torch.nn.Linear(128, 8))
compiled = torch.compile(model)
began = time.monotonic()
torch.testing.assert_close(compiled(torch.ones(32, 64)), model(torch.ones(32, 64)))
seconds = time.monotonic() - began
found = counters["inductor"]
print("hits", found["fxgraph_cache_hit"], "misses", found["fxgraph_cache_miss"], "seconds", round(seconds, 2), flush=True)
# Trains on until it is told that the saver has saved.
end = time.monotonic() + 300
while "wait" in sys.argv and time.monotonic() < end and not Path("/opt/ml/output/saved").exists():
    time.sleep(0.2)
