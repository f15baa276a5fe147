// SPDX-License-Identifier: Apache-2.0
#include "lib/lun/store_wait.h"

#include <algorithm>
#include <new>
#include <utility>

namespace ballast::lun {

StoreWait::StoreWait(co::Executor& executor, watch::SlowLog& slow_log)
    : executor_{executor}, slow_log_{slow_log}, questions_{executor} {
  slow_log_.tell([this] { a_command_is_slow(); });
}

void StoreWait::ask(Nanoseconds limit, Told told) {
  if (backend_ == nullptr) {
    told({});
    return;
  }
  questions_.spawn("what the store waits for",
                   ask_in_turn(std::min(limit, patience), std::move(told)));
}

co::Task<void> StoreWait::ask_in_turn(Nanoseconds limit, Told told) {
  if (backend_ == nullptr) {  // stop() came first
    told({});
    co_return;
  }
  std::string text = co_await backend_->waits_for(limit);
  told(std::move(text));
}

void StoreWait::a_command_is_slow() {
  const TimePoint now = executor_.now();
  if (asked_for_log_.has_value() && now - *asked_for_log_ < watch::SlowLog::window) {
    return;
  }
  asked_for_log_ = now;
  ask(patience, [this](const std::string& text) {
    try {
      slow_log_.store_waits_for(text, executor_.now());
    } catch (const std::bad_alloc&) {
      // the log goes without it
    }
  });
}

}  // namespace ballast::lun
