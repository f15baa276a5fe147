// SPDX-License-Identifier: Apache-2.0
// The D-Bus object that shows an operator what the plugin does. Its usual caller is ballastctl(8).
//
//   system bus, name org.ballast.Ballast1, object /org/ballast/Ballast1,
//   interface org.ballast.Ballast1
//     List() -> s, Stats(s lun) -> s ...  the methods of lib/watch/bus.h: each answers one JSON
//                                         document; "": all LUNs
//     Stalled(s lun, s json), Recovered(s lun, s json)
//                                         signals: the LUN's store does not answer, or does again
//     Version                             property, s
//
// Signals carry a document as methods answer it, of one LUN (report.h). An answer that shows a LUN
// stalled, or recovered, comes after the signal that says so, unless the bus is so slow that
// signals wait (signals.h). The policies of the bus let nobody receive signals who may not ask.
//
// The documents are those of ballast-json(5). A LUN whose executor did not answer in time has no
// entry in "luns"; it is named in "silent", and "stuck" says what its thread is doing.
// A call with a name that no LUN has fails with org.ballast.Error.NoSuchLun, and its message lists
// the names that there are. The bus decides who may call: org.ballast.Ballast1.conf permits
// root, and org.ballast.Ballast1.readers.conf a group what only shows something. The connection is
// our own, not the daemon's.
//
// Threads. Methods run on the daemon's main thread, in GLib's main loop, which also opens LUNs. A
// call normally takes control_patience at most. If LUNs are silent it may take up to control_limit,
// because each LUN then has control_least_patience. Beyond control_limit, a LUN that does not
// answer at once is listed as silent. GDBus has a worker thread of its own, which never calls us.
//
// No exception leaves, and nothing here makes the plugin fail. Without the bus Ballast logs one
// warning and tries again every two seconds.
#pragma once

#include "handler/lun_directory.h"
#include "lib/base/units.h"

namespace ballast::handler {

inline constexpr Nanoseconds control_patience = std::chrono::seconds{1};
inline constexpr Nanoseconds control_least_patience = std::chrono::milliseconds{20};
inline constexpr Nanoseconds control_limit = std::chrono::seconds{2};

// Called once, on the main thread, by handler_init. It connects to the bus as soon as GLib's main
// loop runs. When the daemon is told to stop (SIGTERM or SIGINT), it tells the LUNs
// (ControlledLun::daemon_stops). In a process without a main loop it does nothing and makes no
// thread.
void control_start() noexcept;

// Whether the daemon has not reached its main loop yet: it is starting, and opens the LUNs that the
// kernel already has. Call it on the daemon's main thread.
bool control_before_main_loop() noexcept;

// Whether the main loop is handling an event from the kernel about devices (libtcmu's descriptor),
// and not a request on the bus. Call it on the daemon's main thread.
bool control_in_kernel_event() noexcept;

// open() calls control_add() when the LUN can answer snapshot(). If memory runs out the LUN stays
// invisible to ballastctl, and a warning is logged. close() calls control_remove() before anything
// that snapshot() needs is destroyed. control_remove() waits for a snapshot of this LUN to end,
// control_patience at most. Any thread.
void control_add(ControlledLun& lun) noexcept;
void control_remove(ControlledLun& lun) noexcept;

}  // namespace ballast::handler
