// SPDX-License-Identifier: Apache-2.0
// The target port groups of a LUN whose store is shared (alua.h). targetcli makes them after the
// backstore is enabled, so after open(), and may change them later. So Ballast reads them with the
// first command, and every attribute_interval.
#include <new>
#include <utility>

#include "handler/device.h"
#include "lib/base/log.h"

namespace ballast::handler {

// The first commands may find the groups not read yet. They are answered BUSY, because INQUIRY must
// tell of the groups. If configfs does not answer, the LUN is served without groups.
void Device::identify() {
  ask_for_groups();
  const bool known = groups_ == nullptr || take_groups();
  if (!known && executor_.now() - *asked_for_groups_ < group_patience) {
    return;
  }
  lun_->identify(std::move(identity_));
  look_at_attributes();
}

void Device::ask_for_groups() {
  if (groups_ == nullptr) {
    return;
  }
  try {
    groups_->ask();
  } catch (const std::bad_alloc&) {
    // the next time
  }
  if (!asked_for_groups_.has_value()) {
    asked_for_groups_ = executor_.now();
  }
}

// Returns whether there was a new reading.
bool Device::take_groups() {
  std::optional<GroupReading> reading;
  if (groups_ != nullptr) {
    reading = groups_->take();
  }
  if (!reading.has_value()) {
    return false;
  }
  lun_->set_groups(std::move(reading->groups));
  if (reading->problem != group_problem_) {
    group_problem_ = std::move(reading->problem);
    if (group_problem_.empty()) {
      log(LogLevel::info, "{}: its target port groups are in order", name_);
    } else {
      log(LogLevel::warning, "{}: {}", name_, group_problem_);
    }
  }
  return true;
}

}  // namespace ballast::handler
