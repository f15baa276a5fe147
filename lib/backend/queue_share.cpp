// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/queue_share.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "lib/base/never_destroyed.h"

namespace ballast::backend {

struct QueueShare::Device {
  std::atomic<std::size_t> luns{0};
};

namespace {

std::mutex mutex;

}  // namespace

QueueShare::QueueShare(dev_t device, std::size_t tags) : tags_{tags} {
  // The map keeps one entry for each device that ever had a LUN; there are few such devices.
  auto& devices = never_destroyed<std::map<dev_t, Device>>();
  const std::lock_guard lock{mutex};
  device_ = &devices[device];
  device_->luns.fetch_add(1, std::memory_order_relaxed);
}

QueueShare::~QueueShare() {
  device_->luns.fetch_sub(1, std::memory_order_relaxed);
}

std::size_t QueueShare::operations() const {
  const std::size_t luns = std::max<std::size_t>(device_->luns.load(std::memory_order_relaxed), 1);
  return std::max<std::size_t>(tags_ / 2 / luns, 1);
}

}  // namespace ballast::backend
