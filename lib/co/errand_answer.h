// SPDX-License-Identifier: Apache-2.0
// ErrandAnswer: what an errand (lib/base/errand.h) brings back to a coroutine.
//
// The coroutine looks now and then whether it is there, and waits only as long as it can afford. So
// the errand wakes nobody, and either may be gone before the other: they share the answer.
//
//   const auto answer = std::make_shared<ErrandAnswer<int>>();
//   const bool sent = send_errand("ballast/count", [answer] { answer->give(count()); });
//   const bool given = sent && co_await given_within(executor, answer, patience);
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "lib/base/units.h"
#include "lib/co/executor.h"
#include "lib/co/sleep.h"
#include "lib/co/task.h"

namespace ballast::co {

template <class T>
class ErrandAnswer {
 public:
  // The errand, once.
  void give(T value) {
    const std::lock_guard lock{mutex_};
    value_.emplace(std::move(value));
    given_ = true;
  }
  bool is_given() const {
    const std::lock_guard lock{mutex_};
    return given_;
  }
  // Once it is given; once.
  T take() {
    const std::lock_guard lock{mutex_};
    return *std::exchange(value_, std::nullopt);
  }

 private:
  mutable std::mutex mutex_;
  std::optional<T> value_;
  bool given_ = false;
};

// Ends when the answer is given, or after `patience`; whether it is given.
template <class T>
Task<bool> given_within(Executor& executor, std::shared_ptr<ErrandAnswer<T>> answer,
                        Nanoseconds patience) {
  constexpr Nanoseconds last_look = std::chrono::milliseconds{16};
  Nanoseconds look = std::chrono::milliseconds{1};
  const TimePoint until = executor.now() + patience;
  while (!answer->is_given() && executor.now() < until) {
    co_await sleep_for(executor, look);
    look = std::min(look * 2, last_look);
  }
  co_return answer->is_given();
}

}  // namespace ballast::co
