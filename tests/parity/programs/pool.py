# canary: pools of processes, forked and spawned, with results in order
import multiprocessing as mp
import os


def init(base):
    global offset
    offset = base


def score(x):
    return x * x + offset


def where(_):
    return os.getcwd(), os.environ.get("SCREENING_CONSENT_TEXT", "")[:20], os.getuid() == os.geteuid()


if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        context = mp.get_context(method)
        with context.Pool(2, init, (7,)) as pool:
            print(method, pool.map(score, range(10), chunksize=3))
            print(method, "same surroundings:", set(pool.map(where, range(4))) == {where(0)})
    queue = mp.SimpleQueue()
    worker = mp.Process(target=queue.put, args=({"rows": 3},))
    worker.start()
    print(queue.get())
    worker.join()
    print("exit code", worker.exitcode)
