// SPDX-License-Identifier: Apache-2.0
// Guarded exit: the process ends without destroying what its threads use.
//
// exit() runs the destructors of all libraries while other threads go on. Librados, librbd, OpenSSL
// and GnuTLS do not bear that: a thread that connects, closes or transfers at that moment crashes.
// Such threads are never joined: errands (errand.h), LUNs that are still closing, and threads of
// the libraries' own.
//
// So a room that loads such a library guards the exit. Then exit() waits until nothing is left that
// should be closed first, at most exit_patience, writes what is in the log and in stdout and
// stderr, and ends the process.
#pragma once

#include <atomic>
#include <chrono>

#include "lib/base/units.h"

namespace ballast {

inline constexpr Nanoseconds exit_patience = std::chrono::seconds{2};

// Tools that report at the exit (leaks, coverage) need the usual one.
#ifdef BALLAST_PLAIN_EXIT
inline constexpr bool exit_is_plain = true;
#else
inline constexpr bool exit_is_plain = false;
#endif

// exit() begins with what was registered last. So call it when the library is loaded, and again
// when a thread has used it for the first time: some of what is destroyed is made only then. Each
// call registers once more. Any thread. Returns false if there is no memory for it; then the exit
// stays as it is.
bool guard_exit() noexcept;

// While one lives, a guarded exit waits. For what is worth closing, such as a connection.
class DelaysExit {
 public:
  DelaysExit() { ++count_; }
  ~DelaysExit() { --count_; }
  DelaysExit(const DelaysExit&) = delete;
  DelaysExit& operator=(const DelaysExit&) = delete;
  static int count() { return count_.load(); }

 private:
  static inline std::atomic<int> count_{0};
};

}  // namespace ballast
