"""Lets other Pythons work for it, does not care for them when it ends, and may start a terminal."""

import multiprocessing
import os
import subprocess
import sys
import time


def work():
    print(f"worker {os.getpid()}", flush=True)
    time.sleep(100)


if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    if len(sys.argv) > 2:
        terminal = subprocess.Popen([sys.argv[2]], stdout=subprocess.DEVNULL)
        print(f"terminal {terminal.pid}", flush=True)
    multiprocessing.Process(target=work, daemon=True).start()
    try:
        time.sleep(100)
    finally:
        os._exit(0)
