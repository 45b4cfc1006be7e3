# canary: torch on the CPU: a training, a checkpoint, two processes that agree over gloo
# images: dl
import os
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def work(rank, path):
    dist.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=2)
    tensor = torch.ones(4) * (rank + 1)
    dist.all_reduce(tensor)
    if rank == 0:
        print("all_reduce", tensor.tolist(), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    torch.manual_seed(7)
    torch.set_num_threads(1)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    X = torch.randn(128, 4)
    y = X.sum(1, keepdim=True)
    for _ in range(50):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(X), y)
        loss.backward()
        optimizer.step()
    print("loss", round(loss.item(), 4), "cuda:", torch.cuda.is_available())
    with tempfile.TemporaryDirectory() as directory:
        torch.save(model.state_dict(), os.path.join(directory, "model.pt"))
        print(sorted(torch.load(os.path.join(directory, "model.pt"), weights_only=True)))
        mp.spawn(work, (os.path.join(directory, "store"),), nprocs=2)
    print("hub below home:", torch.hub.get_dir().startswith(os.path.expanduser("~")))
