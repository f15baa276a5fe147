// SPDX-License-Identifier: Apache-2.0
// RbdRequests: finds out which OSD the operations of a connection to Ceph wait for.
//
// librados knows, and says so on the connection's admin socket (`objecter_requests`), also while
// the OSD stands still. An errand asks it, because nobody promises that it answers. The coroutine
// that wants to know looks now and then whether the errand is back. There is one errand at most for
// each connection: while one hangs, nothing is asked.
//
// Driving thread only.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/units.h"
#include "lib/co/errand_answer.h"
#include "lib/co/executor.h"
#include "lib/co/task.h"

namespace ballast::backend {

// What the oldest request waits for: "osd.3, object rbd_data.10af.00000000000000ff, for 12.1 s; 31
// more requests wait". Empty if there is none, or if the answer cannot be understood. `answer`: to
// objecter_requests. Pure.
std::string oldest_request(std::string_view answer);

class RbdRequests {
 public:
  // `admin_socket`: its path; empty: there is none, and so there is never an answer.
  RbdRequests(co::Executor& executor, std::string admin_socket)
      : executor_{executor}, admin_socket_{std::move(admin_socket)} {}

  co::Executor& executor() { return executor_; }

  // Returns what the oldest request waits for; empty if that is not known within `patience`. Ends
  // before this object is destroyed.
  co::Task<std::string> oldest(Nanoseconds patience);

 private:
  using Question = co::ErrandAnswer<std::string>;
  std::shared_ptr<Question> ask();

  co::Executor& executor_;
  const std::string admin_socket_;
  std::shared_ptr<Question> asked_;  // the last one; null before the first
};

}  // namespace ballast::backend
