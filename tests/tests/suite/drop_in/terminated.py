"""A SIGTERM at one line of process_lock.py after another ends the bot, and leaves nothing that is held.

    terminated.py ACCOUNT EVERY
"""

import os
import signal
import sys

import process_lock
from process_lock import ProcessLock


def trace_until(number, count=0):
    def trace(frame, event, _argument):
        nonlocal count
        if frame.f_code.co_filename != process_lock.__file__:
            return None
        count += event == "line"
        if event == "line" and count == number:
            sys.settrace(None)
            os.kill(os.getpid(), signal.SIGTERM)
        return trace
    return trace


def bot(what, number):
    """One that has held another lock before: from then on the module listens to the signal."""
    with ProcessLock("BRAIN_DROPIN"):
        pass
    lock = ProcessLock("BRAIN_DROPIN", sys.argv[1])
    if what == "release":
        lock.acquire()
    sys.settrace(trace_until(number))
    try:
        getattr(lock, what)()
    except Exception as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(2)
    sys.settrace(None)
    os._exit(0)  # it has fewer lines


for what in ("acquire", "release"):
    number = 1
    while True:
        pid = os.fork()
        if pid == 0:
            bot(what, number)
        _, status = os.waitpid(pid, 0)
        with ProcessLock("BRAIN_DROPIN", sys.argv[1]):
            pass
        if status == 0:
            break
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM, (what, number, status)
        number += int(sys.argv[2])
    assert number > 100, (what, number)
