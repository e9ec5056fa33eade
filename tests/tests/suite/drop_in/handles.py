"""A file that could be opened and gets no descriptor is closed again. On Windows that are two steps."""

import os

import process_lock
from process_lock import LockError, ProcessLock

if os.name == "nt":
    import ctypes
    import msvcrt

    def handles():
        count = ctypes.c_uint32()
        kernel32 = ctypes.WinDLL("kernel32")
        kernel32.GetCurrentProcess.restype = ctypes.c_void_p
        assert kernel32.GetProcessHandleCount(ctypes.c_void_p(kernel32.GetCurrentProcess()), ctypes.byref(count))
        return count.value

    def fails(*_):
        raise OSError(24, "too many open files")

    lock = ProcessLock("BRAIN_DROPIN")
    assert lock.acquire()
    lock.release()
    true_one, msvcrt.open_osfhandle = msvcrt.open_osfhandle, fails
    before = handles()
    for _ in range(50):
        try:
            lock.acquire()
        except LockError:
            continue
        raise AssertionError("it was taken without a descriptor")
    assert handles() < before + 25, (before, handles())
    msvcrt.open_osfhandle = true_one
    assert lock.acquire()
    lock.release()
