// SPDX-License-Identifier: Apache-2.0
#include "handler/ring_watch.h"

#include <sys/resource.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "lib/lun/config.h"

namespace ballast::handler {
namespace {

constexpr Nanoseconds longest_gap = std::chrono::milliseconds{10};

std::atomic<unsigned> watchers{0};
io::PollBudget daemon_budget;

unsigned most_watchers() {
  static const unsigned most = std::max(1U, std::thread::hardware_concurrency() / 2);
  return most;
}

bool join_watchers() {
  if (watchers.fetch_add(1, std::memory_order_relaxed) < most_watchers()) {
    return true;
  }
  watchers.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

}  // namespace

RingWatch::Turn::~Turn() {
  if (watches_) {
    watchers.fetch_sub(1, std::memory_order_relaxed);
  }
}

RingWatch::Allowance RingWatch::allowance() {
  const std::uint32_t poll = poll_.load(std::memory_order_relaxed);
  return poll == lun::poll_auto ? Allowance{daemon_budget, lun::poll_auto_percent}
                                : Allowance{budget_, poll};
}

void RingWatch::came(std::size_t commands, TimePoint now) {
  trial_.came(commands, now);
  if (idle_since_ != TimePoint{}) {
    const Nanoseconds gap = std::min(now - idle_since_, longest_gap);
    gap_ += (gap - gap_) / 8;
    idle_since_ = TimePoint{};
  }
}

RingWatch::Turn RingWatch::begin(std::size_t commands, TimePoint now) {
  came(commands, now);
  const Allowance allowed = allowance();
  return Turn{trial_.polls() && allowed.budget.allows(allowed.percent, now) && join_watchers()};
}

Nanoseconds RingWatch::window(TimePoint now) {
  idle_since_ = now;
  constexpr Nanoseconds slack = std::chrono::microseconds{10};
  const Nanoseconds likely = gap_ * 2 + slack;
  return likely <= longest_watch ? likely : Nanoseconds{};
}

void RingWatch::in_vain(Nanoseconds spent, TimePoint now) {
  const Allowance allowed = allowance();
  if (allowed.percent > 0) {  // it may have been switched off meanwhile
    allowed.budget.spend(spent, allowed.percent, now);
  }
}

void RingWatch::was_interrupted() {
  // A virtual machine may have stood still as a whole. That is no reason to stop.
  rusage usage{};
  if (::getrusage(RUSAGE_THREAD, &usage) == 0 &&
      std::exchange(preemptions_, std::int64_t{usage.ru_nivcsw}) != usage.ru_nivcsw) {
    trial_.give_up();
  }
}

}  // namespace ballast::handler
