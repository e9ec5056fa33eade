"""Interrupts acquire and release at each line of process_lock.py. Whatever the line, the lock is
afterwards held and known, or free, and nothing of it is left.

    interrupted.py ACCOUNT EVERY   where EVERY is the distance of the lines that are tried
"""

import gc
import sys

import process_lock
from process_lock import ProcessLock


def interrupt(call, number):
    """Calls `call` with a Ctrl-C at the line of that number; returns whether there are so many."""
    count = 0

    def trace(frame, event, _argument):
        nonlocal count
        if frame.f_code.co_filename != process_lock.__file__:
            return None
        if event == "line":
            count += 1
            if count == number:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


def enter(lock):
    lock.__enter__()


def leave(lock):
    lock.__exit__(None, None, None)


def is_free(lock):
    """Whether the very next lock, of another folder, gets the account."""
    gc.collect()
    assert not process_lock._held and not process_lock._in_hand, (process_lock._held, process_lock._in_hand)
    assert not lock.lock_file.exists(), "the record is left"
    first, process_lock.LOCK_DIR = process_lock.LOCK_DIR, process_lock.LOCK_DIR.parent / "other" / ".locks"
    other = ProcessLock("BRAIN_BOREAS", sys.argv[1])
    taken = other.acquire()
    other.release()
    process_lock.LOCK_DIR = first
    return taken


def main(account, every):
    with ProcessLock("BRAIN_ATLAS", account):
        pass  # what is done only once
    for what, call in (
            ("acquire", ProcessLock.acquire), ("enter", enter), ("release", ProcessLock.release), ("leave", leave)):
        number, is_interrupted = 1, True
        while is_interrupted:
            lock = ProcessLock("BRAIN_ATLAS", account)
            if what == "release":
                assert lock.acquire()
            if what == "leave":
                enter(lock)
            is_interrupted = interrupt(lambda: call(lock), number)
            if lock.acquired:
                assert lock in process_lock._held, (what, number, "held by no lock")
                assert what in ("release", "leave") or not is_interrupted, (what, number, "failed, and holds the lock")
                lock.release()
            assert is_free(lock), (what, number, "not free")
            number += every
        print(what, "has", number, "lines")


main(sys.argv[1], int(sys.argv[2]))
