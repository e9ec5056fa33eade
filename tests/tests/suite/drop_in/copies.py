"""Copies of a held lock hold nothing; inner blocks and `importlib.reload` take nothing away.

    copies.py ACCOUNT
"""

import copy
import importlib
import multiprocessing
import pickle
import sys

import process_lock
from process_lock import LockHeldError, ProcessLock


class Named(ProcessLock):
    """As a bot may derive one of its own."""

    def __init__(self, name, account):
        super().__init__(name, account)
        self.note = ["kept"]


def is_held(lock):
    return lock.acquired or lock._is_held


def hand_over(lock, answers):
    answers.put((is_held(lock), lock.name, lock.account, lock.acquire()))


def copies(lock):
    yield "copy", copy.copy(lock)
    yield "deepcopy", copy.deepcopy(lock)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield f"pickle {protocol}", pickle.loads(pickle.dumps(lock, protocol))


def check_copies(account):
    for kind in (ProcessLock, Named):
        lock = kind("BRAIN_DROPIN", account)
        assert lock.acquire()
        for what, other in copies(lock):
            assert not is_held(other), what
            assert (other.name, other.account, type(other)) == (lock.name, lock.account, kind), what
            other.release()
            assert is_held(lock) and lock.lock_file.exists(), what
            assert not other.acquire(), what
        if kind is Named:
            assert copy.deepcopy(lock).note == ["kept"]
        lock.release()
        first = copy.copy(lock)
        assert first.acquire() and not lock.acquire()
        first.release()


def check_workers(account):
    lock = ProcessLock("BRAIN_DROPIN", account)
    assert lock.acquire()
    for how in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context(how)
        answers = context.Queue()
        worker = context.Process(target=hand_over, args=(lock, answers))
        worker.start()
        assert answers.get(timeout=60) == (False, lock.name, lock.account, False), how
        worker.join()
        assert is_held(lock) and lock.lock_file.exists(), how
    lock.release()


def check_blocks(account):
    lock = ProcessLock("BRAIN_DROPIN", account)
    with lock as one:
        assert one is lock
        with lock:
            with lock:
                pass
            assert is_held(lock) and lock.lock_file.exists()
        assert is_held(lock) and lock.lock_file.exists()
        try:
            with ProcessLock("brain_dropin", account):
                raise AssertionError("taken twice")
        except LockHeldError:
            pass
        assert lock.lock_file.exists()
    assert not is_held(lock) and not lock.lock_file.exists()
    # What `acquire` has taken, `release` gives back.
    assert lock.acquire() and lock.acquire()
    with lock:
        pass
    assert is_held(lock)
    lock.release()
    assert not is_held(lock)
    with lock:
        lock.release()
        assert not is_held(lock)
    with lock:
        assert is_held(lock)
    assert not is_held(lock)


def check_reload(account):
    lock = ProcessLock("BRAIN_DROPIN", account)
    assert lock.acquire()
    module = importlib.reload(process_lock)
    assert is_held(lock) and not module.ProcessLock("BRAIN_DROPIN", account).acquire()
    lock.release()
    assert not lock.lock_file.exists()
    new = module.ProcessLock("BRAIN_DROPIN", account)
    assert new.acquire()
    new.release()
    assert not module._held and not module._in_hand


if __name__ == "__main__":
    check_copies(sys.argv[1])
    check_blocks(sys.argv[1])
    check_reload(sys.argv[1])
    # The file's own classes are of the module before it was loaded again.
    from process_lock import ProcessLock

    check_workers(sys.argv[1])
