// SPDX-License-Identifier: Apache-2.0
// Errand: a call that may hang, made on a thread of its own that nobody joins.
//
// A file system that is frozen, or a server that does not answer, keeps a thread asleep in the
// kernel for as long as it likes. So the daemon's main thread and the threads of a LUN send
// somebody else: whoever sent the errand waits as long as it can afford and goes on. The thread
// ends when the kernel lets it, or with the process.
//
// Any thread. An errand owns all that it uses (its closure holds values and shared pointers), logs
// nothing that only its sender may say, and uses nothing that is destroyed when main() returns.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "lib/base/units.h"

namespace ballast {

// Errands under way at once; a store that hangs keeps one for each thing that was asked of it.
inline constexpr std::size_t most_errands = 4096;

// Starts `work` on a detached thread, called `name` (cut to 15 characters), with all signals
// blocked. False, and nothing started: there are too many, or the thread cannot be made. `work`
// must not throw anything but std::bad_alloc, which ends the errand.
bool send_errand(const char* name, std::function<void()> work) noexcept;

std::size_t errands_under_way() noexcept;

// What `work` returned; nothing if it did not return within `patience` (it goes on, and its result
// is thrown away) or could not be started.
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
