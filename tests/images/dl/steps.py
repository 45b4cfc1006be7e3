# mypy: ignore-errors
"""Works together with the other hosts until one of them is gone."""

import time

import torch
import torch.distributed as dist

dist.init_process_group("gloo")
step = 0
while True:
    dist.all_reduce(torch.ones(1))
    step += 1
    if step == 3:
        print("working", flush=True)
    time.sleep(0.05)
