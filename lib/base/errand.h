// SPDX-License-Identifier: Apache-2.0
// Errand: a call that may hang, made on a thread of its own that is never joined.
//
// A frozen file system, or a server that does not answer, can keep a thread asleep in the kernel
// without limit. The daemon's main thread and the threads of a LUN must not sleep so long, so they
// send an errand: its thread makes the call, and the sender waits only as long as it can afford.
// The errand's thread ends when the kernel lets it, or with the process.
//
// Any thread may send one. An errand owns all that it uses: its closure holds values and shared
// pointers. It logs nothing that only its sender may say. It uses nothing that is destroyed when
// main() returns.
#pragma once

#include <chrono>
#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <utility>

#include "lib/base/units.h"

namespace ballast {

// The most errands under way at once. A store that hangs keeps one for each question asked of it.
inline constexpr std::size_t most_errands = 4096;

bool send_errand_function(const char* name, std::function<void()> work) noexcept;

// Starts `work` on a detached thread with all signals blocked, called `name` (cut to 15
// characters). Returns false, and starts nothing, if there are too many errands, if memory has run
// out, or if the thread cannot be made; `work` is destroyed then. `work` must not throw anything
// but std::bad_alloc, which ends the errand.
template <std::invocable Work>
bool send_errand(const char* name, Work work) noexcept {
  try {
    return send_errand_function(name, std::function<void()>{std::move(work)});
  } catch (const std::bad_alloc&) {
    return false;
  }
}

std::size_t errands_under_way() noexcept;

// Runs `work` as an errand and returns its result. Returns nothing if the errand could not be
// started or did not return within `patience`; in that case it goes on, and its result is thrown
// away.
template <class T>
std::optional<T> ask_with_patience(const char* name, Nanoseconds patience,
                                   std::function<T()> work) {
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<T> result;
  };
  auto shared = std::make_shared<Shared>();
  const bool sent = send_errand(name, [shared, work = std::move(work)] {
    T result = work();
    const std::lock_guard lock{shared->mutex};
    shared->result.emplace(std::move(result));
    shared->changed.notify_all();
  });
  if (!sent) {
    return std::nullopt;
  }
  std::unique_lock lock{shared->mutex};
  shared->changed.wait_for(lock, patience, [&] { return shared->result.has_value(); });
  return std::move(shared->result);
}

}  // namespace ballast
