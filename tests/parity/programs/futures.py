# canary: concurrent.futures with processes and threads, and an array in shared memory
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from multiprocessing import shared_memory

import numpy as np


def fill(name, start):
    block = shared_memory.SharedMemory(name)
    array = np.ndarray((1000,), dtype=np.float64, buffer=block.buf)
    array[start : start + 250] = np.arange(start, start + 250)
    del array
    block.close()
    return start


def divide(x):
    return 1 / x


if __name__ == "__main__":
    block = shared_memory.SharedMemory(create=True, size=8000)
    with ProcessPoolExecutor(2) as pool:
        futures = [pool.submit(fill, block.name, start) for start in range(0, 1000, 250)]
        print(sorted(future.result() for future in as_completed(futures)))
        array = np.ndarray((1000,), dtype=np.float64, buffer=block.buf)
        print(array.sum())
        del array
        try:
            pool.submit(divide, 0).result()
        except ZeroDivisionError as error:
            print("from a worker:", error)
    block.close()
    block.unlink()
    with ThreadPoolExecutor(4) as pool:
        print(list(pool.map(divide, [1, 2, 4, 8])))
