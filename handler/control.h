// SPDX-License-Identifier: Apache-2.0
// The D-Bus object through which an operator sees into the plugin; ballastctl(8) is its usual
// caller.
//
//   system bus, name org.ballast.Ballast1, object /org/ballast/Ballast1,
//   interface org.ballast.Ballast1
//     List() -> s          InFlight(s lun) -> s    Slow(s lun) -> s
//     Stats(s lun) -> s    Tasks(s lun) -> s       each answers one JSON document; "": all LUNs
//     Version              property, s
//
// The documents are those of lib/watch/report.h, with one more member on the outside: "silent", an
// array of the names of LUNs whose executor did not answer in time, which have no entry in "luns".
// A name that no LUN has: org.ballast.Error.NoSuchLun, whose message says which there are.
// Who may call is the bus's business: org.ballast.Ballast1.conf, root only. The connection is our
// own, not the daemon's.
//
// Threads. Methods run on the daemon's main thread, in GLib's main loop, which also opens LUNs: a
// call keeps it for at most control_patience altogether, or up to control_limit where LUNs are
// silent (each has control_least_patience; beyond the limit one is named as silent unless it
// answers at once). GDBus has a worker thread of its own, which never calls us.
//
// No exception leaves, and nothing here fails the plugin: without the bus there is one warning in
// the log, and it is asked for again every two seconds.
#pragma once

#include "handler/lun_directory.h"
#include "lib/base/units.h"

namespace ballast::handler {

inline constexpr Nanoseconds control_patience = std::chrono::seconds{1};
inline constexpr Nanoseconds control_least_patience = std::chrono::milliseconds{20};
inline constexpr Nanoseconds control_limit = std::chrono::seconds{2};

// Once, on the main thread, from handler_init. Connects to the bus once GLib's main loop runs, and
// tells the LUNs when the daemon is asked to stop (SIGTERM, SIGINT; ControlledLun::daemon_stops);
// in a process that has no main loop nothing happens, and no thread is made.
void control_start() noexcept;

// Whether the daemon has not come to its main loop yet: it is starting, and opens the LUNs that the
// kernel has from before. On the daemon's main thread.
bool control_before_main_loop() noexcept;

// Whether the main loop is at what the kernel tells the daemon of devices (libtcmu's descriptor),
// and not at somebody's question on the bus. On the daemon's main thread.
bool control_in_kernel_event() noexcept;

// From open(), when the LUN can answer snapshot(); out of memory leaves it unseen, with a warning.
// From close(), before anything that snapshot() needs goes: returns once no snapshot is being
// taken, which lasts control_patience at most. Any thread.
void control_add(ControlledLun& lun) noexcept;
void control_remove(ControlledLun& lun) noexcept;

}  // namespace ballast::handler
