// SPDX-License-Identifier: Apache-2.0
// Whether the machine at the other end of a TCP connection is gone: switched off, or cut off.
//
// A machine that is there acknowledges data, and answers the probes of a window that is closed,
// also if the server on it hangs. So what counts is what its kernel does, never how long the server
// takes. The kernel of this machine knows (TCP_INFO), but gives up only after a quarter of an hour
// by default. Its TCP_USER_TIMEOUT cannot be used: it also ends a connection whose window was
// closed for so long, though the peer answers every probe (tcp_probe_timer in
// net/ipv4/tcp_timer.c). For a connection with nothing under way there is keepalive.
#pragma once

#include <netinet/tcp.h>

#include "lib/base/units.h"

namespace ballast::backend {

// How long a peer must have been silent.
inline constexpr Nanoseconds peer_patience = std::chrono::seconds{40};

// Pure.
bool is_gone(const tcp_info& info, Nanoseconds patience);

// The same for a socket. A socket that is not TCP has no peer that could be gone. Any thread.
bool peer_is_gone(int fd, Nanoseconds patience);

}  // namespace ballast::backend
