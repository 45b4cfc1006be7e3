# canary: how many threads and how much memory libraries think they have, under limits of the container
# start: own
# cpus: 1
# memory: 1g
import os

import joblib
import numpy as np
from threadpoolctl import threadpool_info

print("os.cpu_count is the machine's:", os.cpu_count() == len(os.sched_getaffinity(0)))
print("joblib", joblib.cpu_count())
np.ones((200, 200)) @ np.ones((200, 200))
print({info["user_api"]: info["num_threads"] == os.cpu_count() for info in threadpool_info()})
print({name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")})
v2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
quota = "/sys/fs/cgroup/cpu.max" if v2 else "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"
memory = "/sys/fs/cgroup/memory.max" if v2 else "/sys/fs/cgroup/memory/memory.limit_in_bytes"
print(open(quota).read().split(), open(memory).read().strip())
