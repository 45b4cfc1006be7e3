# canary: joblib: processes, memory-mapped arguments, a cache on disk
import os
import tempfile

import numpy as np
from joblib import Memory, Parallel, delayed


def part(data, n):
    return float(data[n::4].sum()), isinstance(data, np.memmap)


with tempfile.TemporaryDirectory() as directory:
    memory = Memory(directory, verbose=0)

    @memory.cache
    def slow(x):
        print("computing", x)
        return x + 1

    print(slow(1), slow(1), slow(2))

data = np.arange(1_000_000, dtype=np.float64)
results = Parallel(n_jobs=2)(delayed(part)(data, n) for n in range(4))
print(results)
print(Parallel(n_jobs=2, prefer="threads")(delayed(len)("x" * n) for n in range(5)))
print("shared memory is writable:", os.access("/dev/shm", os.W_OK))
