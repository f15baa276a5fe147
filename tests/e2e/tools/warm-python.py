#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs targetcli and targetctl for warm-python.cpp, each call in a process of its own that has their
modules imported already: importing takes seconds under emulation, and the tests make dozens of calls.

usage: warm-python.py SOCKET

What runs is /usr/bin/targetcli or /usr/bin/targetctl as it is, but for light_stack(). A call comes as
one message: the number of arguments, the arguments (the program's name first), and the environment,
separated by NULs; with it standard input, output and error, and the current folder. The answer is the
exit status, four bytes. A caller that goes away takes its program along.
"""
import inspect
import os
import runpy
import select
import signal
import socket
import struct
import sys

# Imported for those that will be forked.
import rtslib_fb  # noqa: F401
import targetcli  # noqa: F401


def light_stack(context=1):
    """inspect.stack() without lines of source. targetcli's shell asks for a stack at each message of its
    log, even one that nobody sees, and searching the sources is half of what a call costs."""
    frames, frame = [], sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        frames.append(inspect.FrameInfo(frame, code.co_filename, frame.f_lineno, code.co_name, None, None))
        frame = frame.f_back
    return frames


inspect.stack = light_stack


def become(message, files):
    """The program that was asked for; comes back when it would end."""
    count, *words = message.decode("utf-8", "surrogateescape").split("\0")
    arguments, environment = words[:int(count)], words[int(count):]
    *streams, folder = files
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.fchdir(folder)
    for file in files:
        os.close(file)
    os.environ.clear()
    os.environ.update(word.split("=", 1) for word in environment if "=" in word)
    sys.argv = ["/usr/bin/" + arguments[0], *arguments[1:]]
    sys.path[0] = "/usr/bin"
    runpy.run_path(sys.argv[0], run_name="__main__")


def serve(caller):
    """True in the process that has run the program."""
    message, files, _, _ = socket.recv_fds(caller, 1 << 17, 4)
    program = os.fork()
    if program == 0:
        caller.close()
        become(message, files)
        return True
    for file in files:
        os.close(file)
    ended = os.pidfd_open(program)
    ready = select.poll()
    ready.register(caller, select.POLLIN)
    ready.register(ended, select.POLLIN)
    if ended not in (number for number, _ in ready.poll()):
        os.kill(program, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    try:
        caller.sendall(struct.pack("=i", status if status >= 0 else 128 - status))
    except OSError:
        pass
    os._exit(0)


def main(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen(16)
        while True:
            caller, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                if serve(caller):
                    return
            caller.close()
            try:
                while os.waitpid(-1, os.WNOHANG)[0] != 0:
                    pass
            except ChildProcessError:
                pass


main(sys.argv[1])
