"""Dies or waits at a chosen step of process_lock.py: does what speak.py does, until the module is about
to make its call number NUMBER to the system. Nothing in the module is changed: the functions that it
calls are wrapped.

    fault.py die NUMBER WORDS...    says which call that is on standard error, and kills itself
    fault.py wait NUMBER WORDS...   says it on standard output, and waits for a line of standard input
"""

import os
import sys

import process_lock

CALLS = ("open", "close", "write", "read", "mkdir", "listdir", "stat", "lstat", "fstat", "unlink", "replace")

what, left = sys.argv[1], int(sys.argv[2])
kill, write = os.kill, os.write


def step(name):
    global left
    left -= 1
    if left == 0 and what == "wait":
        print("waits at:", name, flush=True)
        sys.stdin.readline()
    elif left == 0:
        write(2, f"dies at: {name}\n".encode())
        kill(os.getpid(), 9)  # on Windows this is TerminateProcess


def wrap(owner, name, shown=None):
    call = getattr(owner, name)

    def wrapped(*words, **named):
        step(shown or name)
        return call(*words, **named)

    setattr(owner, name, wrapped)


class File:
    """An open file whose end, when what was written reaches the disk, is a step."""

    def __init__(self, *words, **named):
        step("open file")
        self.file = open(*words, **named)

    def __enter__(self):
        return self.file

    def __exit__(self, *_):
        step("close file")
        self.file.close()


for one in CALLS:
    wrap(os, one)
process_lock.open = File
if os.name == "nt":
    import ctypes
    import msvcrt

    for one in ("open_osfhandle", "get_osfhandle"):
        wrap(msvcrt, one)
    for one, value in list(vars(process_lock).items()):
        if isinstance(value, ctypes._CFuncPtr):
            wrap(process_lock, one, value.__name__)
else:
    import fcntl

    wrap(fcntl, "flock")

sys.argv = ["speak.py", *sys.argv[3:]]
import speak  # noqa: E402, F401 - it does what its arguments say when it is imported
