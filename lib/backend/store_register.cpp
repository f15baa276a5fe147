// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/store_register.h"

#include <map>
#include <mutex>

#include "lib/base/never_destroyed.h"

namespace ballast::backend {
namespace {

struct Store {
  bool claimed = false;
  std::shared_ptr<UnheardFlush> unheard_flush = std::make_shared<UnheardFlush>(IoStatus::ok);
};

using Key = std::tuple<dev_t, ino_t, std::string>;

struct Register {
  std::mutex mutex;
  std::map<Key, Store> stores;
};
Register& the_register() {
  return never_destroyed<Register>();
}

// The store is not claimed, and there is no news of it for a next user.
bool is_forgotten(const std::pair<const Key, Store>& entry) {
  const Store& store = entry.second;
  return !store.claimed && store.unheard_flush.use_count() == 1 &&
         *store.unheard_flush == IoStatus::ok;
}

}  // namespace

std::optional<StoreClaim> StoreClaim::make(const struct stat& status) {
  return make(S_ISBLK(status.st_mode) ? Key{status.st_rdev, 0, ""}  // no file has inode 0
                                      : Key{status.st_dev, status.st_ino, ""});
}

std::optional<StoreClaim> StoreClaim::make(std::string name) {
  return make(Key{0, 0, std::move(name)});
}

std::optional<StoreClaim> StoreClaim::make(Key key) {
  Register& all = the_register();
  const std::lock_guard lock{all.mutex};
  std::erase_if(all.stores, is_forgotten);
  Store& store = all.stores[key];
  if (std::exchange(store.claimed, true)) {
    return std::nullopt;
  }
  StoreClaim claim;
  claim.key_ = std::move(key);
  claim.unheard_flush_ = store.unheard_flush;
  return claim;
}

void StoreClaim::release() noexcept {
  if (!key_.has_value()) {
    return;
  }
  Register& all = the_register();
  const std::lock_guard lock{all.mutex};
  all.stores.find(*std::exchange(key_, std::nullopt))->second.claimed = false;
  unheard_flush_.reset();
}

}  // namespace ballast::backend
