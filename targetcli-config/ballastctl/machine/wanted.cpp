// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/machine/wanted.h"

#include <algorithm>

#include "lib/base/assert.h"
#include "lib/watch/initiator.h"

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

timeline::Settings wanted(const timeline::Settings& found, const Goal& goal, Paths paths) {
  BALLAST_ASSERT(goal.survive > Nanoseconds{} && goal.survive <= longest_survive);
  BALLAST_ASSERT(goal.deadline > Nanoseconds{} && goal.deadline <= longest_survive);
  timeline::Settings good = found;
  const Nanoseconds patience = rounded_up(goal.deadline + watch::answer_margin);
  if (good.noop_out_interval == Nanoseconds{}) {
    good.noop_out_interval = least_interval;
  }
  good.noop_out_timeout = std::max(good.noop_out_timeout, patience);
  good.abort_timeout = std::max(good.abort_timeout, patience);
  good.lu_reset_timeout = std::max(good.lu_reset_timeout, patience);
  good.tgt_reset_timeout = std::max(good.tgt_reset_timeout, patience);
  good.eh_deadline.reset();
  if (paths == Paths::several) {
    if (!good.replacement_timeout || *good.replacement_timeout > longest_failover) {
      good.replacement_timeout = good_failover;
    }
  } else if (good.replacement_timeout) {
    good.replacement_timeout = std::max(*good.replacement_timeout, rounded_up(goal.survive));
  }
  // A NOP must find a dead connection before the timeout of the command.
  good.timeout =
      std::max(good.timeout, good.noop_out_interval + good.noop_out_timeout + least_interval);
  if (good.max_retries >= 0) {
    good.max_retries = std::max(good.max_retries, most_retries);
  }
  // When initiators might not accept BUSY any more, Ballast holds commands instead of answering.
  // The error handler begins at twice the timeout. It aborts a command, which is then sent again,
  // unless it is a read-ahead. So twice the timeout must cover the freeze, and one deadline more
  // for the last BUSY before it. (BUSY is then accepted for three times as long.)
  good.timeout = std::max(good.timeout, rounded_up((goal.survive + goal.deadline) / 2));
  return good;
}

}  // namespace ballast::ctl
