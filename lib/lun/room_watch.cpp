// SPDX-License-Identifier: Apache-2.0
#include "lib/lun/room_watch.h"

#include <utility>

#include "lib/base/log.h"
#include "lib/base/values.h"

namespace ballast::lun {

RoomWatch::RoomWatch(co::Executor& executor, std::string lun, Bytes threshold)
    : executor_{executor},
      lun_{std::move(lun)},
      threshold_{threshold},
      hurry_{executor, "the time to look at the store's room"},
      looks_{executor} {}

void RoomWatch::watch(backend::Backend& store, Looked looked) {
  if (stopped_) {
    return;
  }
  if (!store.capabilities().room) {
    if (threshold_ > Bytes{}) {
      log(LogLevel::warning,
          "{}: soft_threshold has no effect: {} does not tell how much room it has", lun_,
          store.description());
    }
    return;
  }
  store_ = &store;
  looked_ = std::move(looked);
  looks_.spawn("room of the store", look_again());
}

void RoomWatch::set_threshold(Bytes threshold) {
  if (threshold != threshold_) {
    threshold_ = threshold;
    is_below_ = false;
    hurry_.set();
  }
}

void RoomWatch::stop() {
  stopped_ = true;
  hurry_.set();
}

co::Task<void> RoomWatch::look_again() {
  while (!stopped_) {
    const std::optional<backend::Room> found = co_await store_->room();
    if (stopped_) {
      co_return;
    }
    is_known_ = found.has_value();
    room_ = found.value_or(backend::Room{});
    looked_(judge());
    (void)co_await hurry_.wait_until(executor_.now() + interval);
    hurry_.reset();
  }
}

// Returns whether the threshold has just been reached.
bool RoomWatch::judge() {
  const bool was_below = is_below_;
  if (!is_known_) {
    return false;
  }
  is_below_ = room_.free < threshold_;
  if (is_below_ == was_below) {
    return false;
  }
  try {
    tell();
  } catch (const std::bad_alloc&) {
    log_plain(LogLevel::warning, "out of memory: a store has passed its soft_threshold");
  }
  return is_below_;
}

void RoomWatch::tell() const {
  if (is_below_) {
    log(LogLevel::warning,
        "{}: {} has only {} of room left for all who share it, less than soft_threshold={}: make "
        "room, or writes to blocks that are not allocated yet will fail",
        lun_, store_->description(), config::format_bytes(room_.free),
        config::format_bytes(threshold_));
  } else {
    log(LogLevel::info, "{}: {} has {} of room again", lun_, store_->description(),
        config::format_bytes(room_.free));
  }
}

}  // namespace ballast::lun
