"""Holds one thread of a process, as a debugger does, until standard input ends.

Usage: hold_thread.py PROCESS NAME. Says "held" when the thread of that name stands still.
"""

import ctypes
import os
import sys

PTRACE_INTERRUPT, PTRACE_DETACH, PTRACE_SEIZE = 0x4207, 17, 0x4206
WAIT_ALL_THREADS = 0x40000000


def thread_of(process, name):
    for thread in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{thread}/comm") as comm:
            if comm.read().strip() == name:
                return int(thread)
    sys.exit(f"process {process} has no thread {name}")


def ptrace(libc, request, thread):
    if libc.ptrace(request, thread, None, None) != 0:
        sys.exit(f"ptrace({request}, {thread}): {os.strerror(ctypes.get_errno())}; it needs root, or kernel.yama.ptrace_scope=0")


def main():
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    thread = thread_of(int(sys.argv[1]), sys.argv[2])
    ptrace(libc, PTRACE_SEIZE, thread)
    ptrace(libc, PTRACE_INTERRUPT, thread)
    os.waitpid(thread, WAIT_ALL_THREADS)
    print("held", flush=True)
    sys.stdin.read()
    ptrace(libc, PTRACE_DETACH, thread)


main()
