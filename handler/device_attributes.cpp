// SPDX-License-Identifier: Apache-2.0
// The attributes of the backstore that decide how a LUN may answer: cmd_time_out and
// tmr_notification.
//
// The kernel accepts a change of cmd_time_out only while the backstore is not exported. So Ballast
// sets it when it opens the LUN. But rtslib writes its saved attributes after it has enabled the
// backstore, which is after open(), and tells nobody. So Ballast reads them again: with the first
// command, at each reconfiguration, and every attribute_interval. If the kernel refuses to set
// cmd_time_out, it is tried again at a reconfiguration, and every time_out_interval.
#include <algorithm>

#include "handler/device.h"
#include "lib/base/log.h"
#include "lib/base/values.h"

namespace ballast::handler {
namespace {

constexpr const char* cmd_time_out = "cmd_time_out";
constexpr const char* tmr_notification = "tmr_notification";
// In seconds. A backstore has this value unless somebody sets another (TCMU_TIME_OUT in
// drivers/target/target_core_user.c). After this time the kernel answers the command itself, with
// an error.
constexpr int kernels_default = 30;

// The age at which Ballast must have answered, if the kernel answers after `seconds`.
Nanoseconds before(int seconds) {
  const Nanoseconds all = std::chrono::seconds{seconds};
  return all - std::min<Nanoseconds>(all / 4, std::chrono::seconds{2});
}

}  // namespace

void Device::set_attributes() {
  if ((ring_->mailbox().flags & abi::TCMU_MAILBOX_FLAG_CAP_TMR) == 0 ||
      !attributes_->write(tmr_notification, 1)) {
    log(LogLevel::warning,
        "{}: the kernel does not tell Ballast about ABORT TASK and LUN RESET, so they wait for the "
        "deadline of the commands that they end; Linux 5.9 or later is needed, and the backstore's "
        "attribute tmr_notification must be 1",
        name_);
  }
  look_at_attributes();
}

void Device::look_at_attributes() {
  looked_at_attributes_ = executor_.now();
  const std::optional<int> tells = attributes_->read(tmr_notification);
  if (tells == 0 && attributes_->write(tmr_notification, 1)) {
    log(LogLevel::warning,
        "{}: tmr_notification was 0, and Ballast has set it to 1 again: with 0 an ABORT TASK waits "
        "for the deadline of its command",
        name_);
  }
  int seconds = attributes_->read(cmd_time_out).value_or(kernels_default);
  const bool may_try = !time_out_refused_.has_value() ||
                       looked_at_attributes_ - *time_out_refused_ >= time_out_interval;
  if (seconds == kernels_default && may_try) {
    const bool set = attributes_->write(cmd_time_out, 0);
    seconds = set ? 0 : seconds;
    time_out_refused_ = set ? std::nullopt : std::optional{looked_at_attributes_};
  }
  if (seconds != cmd_time_out_) {
    cmd_time_out_ = seconds;
    tell_cmd_time_out();
    lun_->set_longest_hold(seconds > 0 ? before(seconds) : Nanoseconds{});
  }
}

void Device::tell_cmd_time_out() const {
  if (cmd_time_out_ <= 0) {
    log(LogLevel::info, "{}: cmd_time_out is 0: the kernel leaves all answers to Ballast", name_);
    return;
  }
  const Nanoseconds last = before(cmd_time_out_);
  const Nanoseconds deadline = lun_->config().deadline;
  log(LogLevel::warning,
      "{}: cmd_time_out is {} s, after which the kernel fails a command; so Ballast answers BUSY "
      "after {}{}, and initiators report I/O errors in a long freeze; set it to 0 before the LUN "
      "is exported",
      name_, cmd_time_out_, config::format_duration(last),
      deadline > last ? ", not deadline=" + config::format_duration(deadline) + " as configured"
                      : " at the latest");
}

}  // namespace ballast::handler
