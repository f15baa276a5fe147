// SPDX-License-Identifier: Apache-2.0
// RoomWatch: asks a LUN's store from time to time how much room it has left, and says so when that
// falls below a soft threshold: in the log, and to whoever is told of it.
//
// It says so once. It says it again after the room has been above the threshold. A store that does
// not answer is not asked again before it has.
//
// Driving thread only.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "lib/backend/backend.h"
#include "lib/base/units.h"
#include "lib/co/event.h"
#include "lib/co/executor.h"
#include "lib/co/task_group.h"

namespace ballast::lun {

class RoomWatch {
 public:
  static constexpr Nanoseconds interval = std::chrono::seconds{10};

  // `lun`: its name, for the log. `threshold`: bytes; 0: there is none.
  RoomWatch(co::Executor& executor, std::string lun, Bytes threshold);

  co::Executor& executor() { return executor_; }

  // Calls `looked` after each look, with whether the threshold has been reached. Does nothing if
  // the store cannot tell.
  using Looked = std::function<void(bool reached)>;
  void watch(backend::Backend& store, Looked looked);
  void set_threshold(Bytes threshold);
  // As it was found last.
  std::optional<backend::Room> room() const {
    return is_known_ ? std::optional{room_} : std::nullopt;
  }
  // Whether the last look found less room than the threshold.
  bool is_below() const { return is_below_; }
  // From now on the store is not asked. Call it before it is closed.
  void stop();
  // Ends when the store has answered.
  co::Task<void> join() { return looks_.join(); }

 private:
  friend struct Anatomy;
  co::Task<void> look_again();
  bool judge();
  void tell() const;

  co::Executor& executor_;
  const std::string lun_;
  Bytes threshold_;
  backend::Backend* store_ = nullptr;
  Looked looked_;
  // Not an optional, whose layout a core file does not tell.
  bool is_known_ = false;
  backend::Room room_{};
  bool is_below_ = false;
  co::Event hurry_;  // look now
  bool stopped_ = false;
  co::TaskGroup looks_;
};

}  // namespace ballast::lun
