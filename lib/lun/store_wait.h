// SPDX-License-Identifier: Apache-2.0
// StoreWait: asks a LUN's backend what its operations wait for at the store, when somebody wants to
// know: an operator, or the slow-request log when it has reported a command.
//
// The backend takes its time to answer (Backend::waits_for). Nothing else waits meanwhile. For the
// log it is asked once in each SlowLog::window.
//
// Driving thread only.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "lib/backend/backend.h"
#include "lib/base/units.h"
#include "lib/co/executor.h"
#include "lib/co/task_group.h"
#include "lib/watch/slow_log.h"

namespace ballast::lun {

class StoreWait {
 public:
  // How long an answer may take, at most.
  static constexpr Nanoseconds patience = std::chrono::milliseconds{250};
  using Told = std::function<void(std::string)>;

  // `slow_log` outlives this object, and begins to tell it of slow commands.
  StoreWait(co::Executor& executor, watch::SlowLog& slow_log);

  co::Executor& executor() { return executor_; }

  // From now on this backend is asked.
  void use(backend::Backend& backend) { backend_ = &backend; }
  // Calls `told` once, with "" if the answer is not known within `limit`; possibly within ask().
  void ask(Nanoseconds limit, Told told);
  // From now on no backend is asked. Call it before the backend is closed.
  void stop() { backend_ = nullptr; }
  // Ends when the last question has been answered.
  co::Task<void> join() { return questions_.join(); }

 private:
  void a_command_is_slow();
  co::Task<void> ask_in_turn(Nanoseconds limit, Told told);

  co::Executor& executor_;
  watch::SlowLog& slow_log_;
  backend::Backend* backend_ = nullptr;
  std::optional<TimePoint> asked_for_log_;
  co::TaskGroup questions_;
};

}  // namespace ballast::lun
