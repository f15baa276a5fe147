// SPDX-License-Identifier: Apache-2.0
#include "lib/scsi/throttle.h"

#include <algorithm>

namespace ballast::scsi {
namespace {

constexpr Nanoseconds second = std::chrono::seconds{1};

// A command has at most some MiB, and at least some KiB a second are allowed: no overflow.
Nanoseconds time_for(Bytes bytes, Bytes a_second) {
  const double seconds = static_cast<double>(bytes.value()) / static_cast<double>(a_second.value());
  return std::chrono::duration_cast<Nanoseconds>(std::chrono::duration<double>{seconds});
}

}  // namespace

Throttle::Throttle(co::Executor& executor, const config::Limits& limits)
    : turn_{executor, 1, "a limit"}, changed_{executor, "a limit"} {
  set_limits(limits);
}

void Throttle::set_limits(const config::Limits& limits) {
  a_command_ = limits.max_iops == 0 ? Nanoseconds{} : second / limits.max_iops;
  a_second_ = limits.max_bandwidth;
  burst_ = limits.burst;
  on_ = limits.max_iops > 0 || limits.max_bandwidth > Bytes{};
  // What went through at the old rates is forgotten: it would hold up commands for too long.
  const TimePoint now = executor().now();
  commands_ = std::min(commands_, now);
  bytes_ = std::min(bytes_, now);
  changed_.set();
}

co::Task<void> Throttle::pass(Bytes bytes, co::CancelToken cancel) {
  const co::Semaphore::Guard first = co_await turn_.acquire_until(1, co::Timers::never, cancel);
  if (!first) {
    co_return;
  }
  for (;;) {
    const TimePoint at = earliest(executor().now());
    if (at <= executor().now()) {
      break;
    }
    changed_.reset();
    const bool changed = co_await changed_.wait_until(at, cancel);
    if (!changed && cancel.requested()) {
      co_return;
    }
  }
  count(bytes, executor().now());
}

TimePoint Throttle::earliest(TimePoint now) const {
  const Nanoseconds ahead = std::max(commands_ - now, bytes_ - now) - burst_;
  return now + std::max(ahead, Nanoseconds{});
}

void Throttle::count(Bytes bytes, TimePoint now) {
  if (a_command_ > Nanoseconds{}) {
    commands_ = std::max(commands_, now) + a_command_;
  }
  if (a_second_ > Bytes{}) {
    bytes_ = std::max(bytes_, now) + time_for(bytes, a_second_);
  }
}

}  // namespace ballast::scsi
