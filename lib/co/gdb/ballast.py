# SPDX-License-Identifier: Apache-2.0
"""What every coroutine of Ballast was doing, out of a core file or a stopped process.

    gdb -batch -x lib/co/gdb/ballast.py -ex ballast-tasks PROGRAM CORE

PROGRAM needs debug information (the plugin is built with it: for a core of tcmu-runner, gdb finds
handler_ballast.so by itself). Runs nothing in the process, so it works on a core.
"""

import gdb


def text(pointer):
    return pointer.string(errors="replace") if int(pointer) != 0 else None


def place(site):
    """file:line and function of a std::source_location, of libstdc++."""
    implementation = site["_M_impl"]
    if int(implementation) == 0:
        return "?"
    implementation = implementation.dereference()
    return "%s:%d, %s" % (
        text(implementation["_M_file_name"]),
        int(implementation["_M_line"]),
        text(implementation["_M_function_name"]),
    )


def seconds(time_point):
    return int(time_point["since_start"]["__r"]) / 1e9


def follow(pointer, link):
    while int(pointer) != 0:
        yield pointer.dereference()
        pointer = pointer.dereference()[link]


class BallastTasks(gdb.Command):
    """ballast-tasks: the live tasks of every executor: name, what each waits for, where, since when.
Ages are as of the executor's last tick."""

    def __init__(self):
        super().__init__("ballast-tasks", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        try:
            executors = gdb.parse_and_eval("'ballast::co::live_executors'")
        except gdb.error as problem:
            raise gdb.GdbError("no Ballast with debug information in this process: %s" % problem)
        count = 0
        for executor in follow(executors, "next_live_"):
            count += 1
            self.show(executor)
        if count == 0:
            gdb.write("no executor is alive\n")

    def show(self, executor):
        statistics = executor["stats_"]
        gdb.write(
            "executor %s: %d tasks, %d ready, %d ticks, %d refused wakes%s\n"
            % (
                text(executor["name_"]),
                int(executor["registry_"]["size_"]),
                int(executor["ready_count_"]),
                int(statistics["ticks"]),
                int(statistics["refused_wakes"]),
                ", in a tick now" if executor["running_"] else "",
            )
        )
        now = seconds(executor["now_"])
        for task in follow(executor["registry_"]["head_"], "next"):
            waits_for = text(task["waits_for"])
            gdb.write(
                "  %d %s, age %.6f s, spawned at %s\n"
                % (
                    int(task["id"]),
                    text(task["name"]),
                    now - seconds(task["spawned"]),
                    place(task["spawn_site"]),
                )
            )
            if waits_for is None:
                gdb.write("      ready or running\n")
            else:
                gdb.write(
                    "      waits %.6f s for %s at %s\n"
                    % (now - seconds(task["since"]), waits_for, place(task["wait_site"]))
                )


BallastTasks()
