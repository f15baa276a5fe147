// SPDX-License-Identifier: Apache-2.0
// Closes a LUN.
#include <algorithm>
#include <utility>

#include "lib/base/log.h"
#include "lib/co/sleep.h"
#include "lib/lun/lun.h"

namespace ballast::lun {

void Lun::stop() {
  closing_.spawn("stop", stop_soon());
}

co::Task<void> Lun::stop_soon() {
  const bool leaving = co_await leaving_.wait_until(executor_.now() + close_patience);
  const bool hangs = task_set_ != nullptr && (task_set_->stalled() || task_set_->orphans() > 0);
  if (!leaving && hangs) {
    co_await end_in_order(Nanoseconds{});
  }
}

void Lun::close(Nanoseconds patience) {
  leaving_.set();
  no_store_.request();
  closing_.spawn("close", close_in_order(std::min(patience, close_patience)));
}

co::Task<void> Lun::close_in_order(Nanoseconds patience) {
  co_await end_in_order(patience);
  departed_ = true;
}

co::Task<void> Lun::end_in_order(Nanoseconds patience) {
  if (std::exchange(ending_, true)) {
    co_await ended_.wait();
    co_return;
  }
  if (task_set_ != nullptr) {
    const bool idle = co_await task_set_->idle_until(executor_.now() + patience);
    if (!idle) {
      log(LogLevel::warning,
          "{}: closing: {} commands are unanswered because {} has not answered; Ballast answers "
          "them "
          "now",
          name(), unanswered(), store_);
    }
    co_await task_set_->shut();
  }
  closing_.spawn("close: backend", close_backend());
  const bool closed = co_await closed_.wait_until(executor_.now() + depart_patience);
  if (!closed) {
    log(LogLevel::warning,
        "{}: closed, but operations of it still run on {}, which does not end them; the storage "
        "stays locked until the last of them has ended",
        name(), store_);
  }
  ended_.set();
}

co::Task<void> Lun::close_backend() {
  co_await not_opening_.wait();
  if (backend_ != nullptr) {
    volume_->shut();
    copy_reads_.withdraw();
    store_wait_.stop();
    room_watch_.stop();
    co_await co::yield(executor_);
    co_await backend_->close();
  }
  if (task_set_ != nullptr) {
    co_await task_set_->drained();
  }
  co_await copy_reads_.join();
  co_await resizes_.join();
  co_await store_wait_.join();
  co_await room_watch_.join();
  co_await moves_.join();
  if (ended_.is_set()) {
    log(LogLevel::info, "{}: the last operation has ended, and the storage is free for others",
        name());
  }
  closed_.set();
  closing_.spawn("close: last", leave());
}

// Waits for the tasks that closed_ has woken, so that none is left when is_gone() returns true.
co::Task<void> Lun::leave() {
  co_await leaving_.wait();
  while (closing_.live() > 1) {
    co_await co::yield(executor_);
  }
  gone_.store(true, std::memory_order_release);
}

}  // namespace ballast::lun
