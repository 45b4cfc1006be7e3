# mypy: ignore-errors
"""Computes on the GPU, and sums over NCCL in a world of this process alone. Exit code 3 where there is no GPU that can be used."""

import os
import sys

import torch
import torch.distributed as dist

if not torch.cuda.is_available():
    print("no GPU: torch.cuda.is_available() is False")
    sys.exit(3)
left = torch.randn(512, 512, dtype=torch.float64)
right = torch.randn(512, 512, dtype=torch.float64)
error = float((left.cuda() @ right.cuda()).cpu().sub(left @ right).abs().max())
assert error < 1e-9, error
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29501", RANK="0", WORLD_SIZE="1")
dist.init_process_group("nccl")
value = torch.full((4,), 3.0, device="cuda")
dist.all_reduce(value)
assert value.tolist() == [3.0] * 4
dist.destroy_process_group()
print(f"{torch.cuda.get_device_name(0)}: computed, NCCL {'.'.join(map(str, torch.cuda.nccl.version()))}")
