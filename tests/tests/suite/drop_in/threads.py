"""The process holds a lock: one object is held for all threads, a second one is refused.

    threads.py ACCOUNT
"""

import sys
import threading

from process_lock import ProcessLock


def in_threads(function, count=8):
    answers, start = [], threading.Barrier(count)

    def run():
        start.wait()
        answers.append(function())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(answers)


lock = ProcessLock("BRAIN_DROPIN", sys.argv[1])
assert in_threads(lock.acquire) == [True] * 8
assert not ProcessLock("BRAIN_DROPIN", sys.argv[1]).acquire()
lock.release()
assert not lock.acquired and not lock.lock_file.exists()
several = [ProcessLock("BRAIN_DROPIN", sys.argv[1]) for _ in range(8)]
held = iter(several)
assert in_threads(lambda: next(held).acquire()) == [False] * 7 + [True]
for one in several:
    one.release()
assert lock.acquire()
lock.release()
