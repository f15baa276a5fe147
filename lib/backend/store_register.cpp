// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/store_register.h"

#include <mutex>
#include <set>

namespace ballast::backend {
namespace {

// Never destroyed: departed LUNs end whenever they do.
struct Register {
  std::mutex mutex;
  std::set<std::pair<dev_t, ino_t>> claimed;
};
Register& the_register() {
  static Register& the_one = *new Register;
  return the_one;
}

}  // namespace

std::optional<StoreClaim> StoreClaim::make(const struct stat& status) {
  const Key key = S_ISBLK(status.st_mode) ? Key{status.st_rdev, 0}  // no file has inode 0
                                          : Key{status.st_dev, status.st_ino};
  Register& all = the_register();
  const std::lock_guard lock{all.mutex};
  if (!all.claimed.insert(key).second) {
    return std::nullopt;
  }
  StoreClaim claim;
  claim.key_ = key;
  return claim;
}

void StoreClaim::release() noexcept {
  if (!key_.has_value()) {
    return;
  }
  Register& all = the_register();
  const std::lock_guard lock{all.mutex};
  all.claimed.erase(*std::exchange(key_, std::nullopt));
}

}  // namespace ballast::backend
