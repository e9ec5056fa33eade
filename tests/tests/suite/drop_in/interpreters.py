"""Locks of a sub-interpreter, which ends before its process does.

    interpreters.py ACCOUNT
"""

import os
import sys

try:
    import _interpreters as interpreters
except ImportError:
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        sys.exit(0)  # this Python has none

TEXT = f"""
import sys
sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
from process_lock import ProcessLock
assert ProcessLock("BRAIN_DROPIN", {sys.argv[1]!r}).acquire()
"""

for _ in range(2):
    one = interpreters.create()
    run = interpreters.exec if hasattr(interpreters, "exec") else interpreters.run_string
    failed = run(one, TEXT)
    assert failed is None, failed
    interpreters.destroy(one)

from process_lock import ProcessLock

assert ProcessLock("BRAIN_DROPIN", sys.argv[1]).acquire()
