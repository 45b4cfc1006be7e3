# canary: threads: a queue, a pool of BLAS, a deep recursion in a larger stack
import queue
import sys
import threading

import numpy as np

work, done = queue.Queue(), []


def worker():
    while (n := work.get()) is not None:
        done.append(float(np.linalg.norm(np.ones((n, n)))))
        work.task_done()
    work.task_done()


threads = [threading.Thread(target=worker, name=f"worker-{n}") for n in range(8)]
for thread in threads:
    thread.start()
for n in range(1, 41):
    work.put(n)
for _ in threads:
    work.put(None)
work.join()
print(sum(done), len(done), threading.active_count() < 10)


def deep(n):
    return 0 if n == 0 else 1 + deep(n - 1)


sys.setrecursionlimit(60_000)
threading.stack_size(512 << 20)
thread = threading.Thread(target=lambda: print("depth", deep(50_000)))
thread.start()
thread.join()
a = np.random.default_rng(7).normal(size=(400, 400))
print(round(float(np.linalg.svd(a @ a.T, compute_uv=False)[0]), 3))
