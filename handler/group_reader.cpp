// SPDX-License-Identifier: Apache-2.0
#include "handler/group_reader.h"

#include <mutex>
#include <new>
#include <utility>

#include "handler/lun_name.h"
#include "lib/base/errand.h"
#include "lib/base/unique_fd.h"

namespace ballast::handler {

struct GroupReader::Shared {
  UniqueFd folder;
  std::mutex mutex;  // guards what follows
  bool under_way = false;
  std::optional<GroupReading> reading;
};

GroupReader::GroupReader(abi::tcmu_device* dev) : shared_{std::make_shared<Shared>()} {
  shared_->folder = open_in_configfs(dev, "alua");
}

GroupReader::~GroupReader() = default;

void GroupReader::ask() {
  {
    const std::lock_guard lock{shared_->mutex};
    if (std::exchange(shared_->under_way, true)) {
      return;
    }
  }
  const bool sent = send_errand("ballast/alua", [shared = shared_] {
    std::optional<GroupReading> reading;
    try {
      reading = read_groups(shared->folder.get(), "/sys/kernel/config/target");
    } catch (const std::bad_alloc&) {
      // the next one tries again
    }
    const std::lock_guard lock{shared->mutex};
    shared->reading = std::move(reading);
    shared->under_way = false;
  });
  if (!sent) {
    const std::lock_guard lock{shared_->mutex};
    shared_->under_way = false;
  }
}

std::optional<GroupReading> GroupReader::take() {
  const std::lock_guard lock{shared_->mutex};
  return std::exchange(shared_->reading, std::nullopt);
}

}  // namespace ballast::handler
