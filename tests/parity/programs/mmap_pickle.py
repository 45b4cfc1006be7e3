# canary: large arrays: memory-mapped files, out-of-band pickles, memory that is shared and anonymous
import mmap
import os
import pickle
import tempfile

import numpy as np

with tempfile.TemporaryDirectory() as directory:
    path = os.path.join(directory, "features.npy")
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(4096, 1024))
    out[:] = np.arange(1024, dtype=np.float32)
    out.flush()
    back = np.load(path, mmap_mode="r")
    print(back.shape, float(back[4095].sum()), os.path.getsize(path))
    buffers = []
    head = pickle.dumps(np.asarray(back), protocol=5, buffer_callback=buffers.append)
    print(len(head) < 1000, len(buffers), float(pickle.loads(head, buffers=buffers)[7].sum()))
area = mmap.mmap(-1, 32 << 20)
if os.fork() == 0:
    area[:5] = b"child"
    os._exit(0)
os.wait()
print(area[:5])
fd = os.memfd_create("weights")
os.truncate(fd, 8 << 20)
print(os.fstat(fd).st_size)
with open("/dev/shm/canary-%d" % os.getpid(), "wb") as file:
    os.unlink(file.name)
    file.write(b"x" * (100 << 20))
    print("100 MiB of shared memory:", file.tell())
