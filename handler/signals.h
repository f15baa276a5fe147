// SPDX-License-Identifier: Apache-2.0
// The signals of the D-Bus object: a LUN tells that its store stalls, or answers again.
//
// The thread that drives the LUN only puts the news into a queue, and wakes the main loop with a
// write to an eventfd. The main thread sends what is in the queue. It sends `most_at_once`, and no
// more before the bus has taken these, because GDBus itself keeps what a slow bus does not take,
// without limit. So at most `most_waiting` wait. News beyond that are dropped, and one line of the
// log says how many: who listens asks for List now and then as well.
#pragma once

#include <gio/gio.h>

#include <cstddef>

#include "lib/watch/stall.h"

namespace ballast::handler {

inline constexpr std::size_t most_waiting = 1024;
inline constexpr std::size_t most_at_once = 32;

// Any thread. Does not wait.
void signal_stall(watch::StallNews news) noexcept;

// These are called on the main thread. Once, before its loop runs:
void signals_start() noexcept;
// Signals go to this connection from now on; null: nowhere, and what waits is dropped.
void signals_go_to(GDBusConnection* connection) noexcept;
// Sends what waits. Before an answer is sent, so that it does not overtake a signal that says the
// same.
void signals_send() noexcept;

}  // namespace ballast::handler
