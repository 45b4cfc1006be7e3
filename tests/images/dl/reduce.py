# mypy: ignore-errors
"""A user's program for several hosts, as it runs in a PyTorchJob: what it needs to know comes from the environment."""

import torch
import torch.distributed as dist

dist.init_process_group("gloo")
value = torch.tensor([10 ** dist.get_rank()])
dist.all_reduce(value)
print(f"rank {dist.get_rank()} of {dist.get_world_size()}: {value.item()}")
dist.destroy_process_group()
