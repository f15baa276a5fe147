// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/machine/wanted.h"

#include <algorithm>

#include "lib/base/assert.h"

namespace ballast::ctl {
namespace {

using std::chrono::seconds;
constexpr int most_retries = 5;  // SD_MAX_RETRIES, drivers/scsi/sd.h
constexpr seconds least_interval{5};

Nanoseconds rounded_up(Nanoseconds time) {
  return seconds{whole_seconds(time)};
}

}  // namespace

std::int64_t whole_seconds(Nanoseconds time) {
  return std::chrono::ceil<seconds>(time).count();
}

timeline::Settings wanted(const timeline::Settings& found, const Goal& goal) {
  BALLAST_ASSERT(goal.survive > Nanoseconds{} && goal.survive <= longest_survive);
  BALLAST_ASSERT(goal.deadline > Nanoseconds{} && goal.deadline <= longest_survive);
  timeline::Settings good = found;
  const Nanoseconds patience = rounded_up(goal.deadline + answer_margin);
  if (good.noop_out_interval == Nanoseconds{}) {
    good.noop_out_interval = least_interval;
  }
  good.noop_out_timeout = std::max(good.noop_out_timeout, patience);
  good.abort_timeout = std::max(good.abort_timeout, patience);
  good.lu_reset_timeout = std::max(good.lu_reset_timeout, patience);
  good.tgt_reset_timeout = std::max(good.tgt_reset_timeout, patience);
  good.eh_deadline.reset();
  if (good.replacement_timeout) {
    good.replacement_timeout = std::max(*good.replacement_timeout, rounded_up(goal.survive));
  }
  // The NOP's verdict comes before the timeout.
  good.timeout =
      std::max(good.timeout, good.noop_out_interval + good.noop_out_timeout + least_interval);
  if (good.max_retries >= 0) {
    good.max_retries = std::max(good.max_retries, most_retries);
  }
  // Ballast keeps commands once BUSY might not be believed any more. The error handler begins at
  // twice the timeout; what it aborts is sent again, but not a read-ahead. One deadline more, for
  // the last BUSY before that. (BUSY itself is then believed for three times as long.)
  good.timeout = std::max(good.timeout, rounded_up((goal.survive + goal.deadline) / 2));
  return good;
}

}  // namespace ballast::ctl
