"""Forks while another thread takes and gives back locks: no child is stuck, or holds what it should not.

    forks.py ACCOUNT
"""

import os
import signal
import sys
import threading
import warnings

from process_lock import ProcessLock

warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, which is what this is about
is_over = False


def work():
    while not is_over:
        with ProcessLock("BRAIN_DROPIN", sys.argv[1]):
            pass


thread = threading.Thread(target=work)
thread.start()
try:
    for number in range(100):
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)
            lock = ProcessLock("BRAIN_CHILD")
            is_taken = lock.acquire()
            lock.release()
            os._exit(0 if is_taken is True else 1)
        _, status = os.waitpid(pid, 0)
        assert status == 0, (number, status)
finally:
    is_over = True
    thread.join()
assert ProcessLock("BRAIN_DROPIN", sys.argv[1]).acquire()
