// SPDX-License-Identifier: Apache-2.0
// StoreClaim: that a store is in use in this process, from its opening until its last operation has
// ended; and what its next user has to know of it.
//
// A LUN that was closed while its storage hung leaves operations behind, and what they do late must
// not land over the work of the next LUN on the same store. Locks see to that where there are any;
// on a file system without (NFS, FUSE) and for what no lock is asked, this register does: a file by
// its device and inode number, a block device by its number. Both are right for as long as it is
// open. (Afterwards the number may be another file's: then its first flush fails without need.) Any
// thread; never blocks.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "lib/base/result.h"

namespace ballast::backend {

// How a flush of a store failed that no initiator has heard of; ok: none did.
using UnheardFlush = std::atomic<IoStatus>;

class StoreClaim {
 public:
  // Nothing: the store has a claim already.
  static std::optional<StoreClaim> make(const struct stat& status);

  StoreClaim() = default;
  StoreClaim(StoreClaim&& other) noexcept
      : key_{std::exchange(other.key_, std::nullopt)},
        unheard_flush_{std::move(other.unheard_flush_)} {}
  StoreClaim& operator=(StoreClaim&& other) noexcept {
    if (this != &other) {
      release();
      key_ = std::exchange(other.key_, std::nullopt);
      unheard_flush_ = std::move(other.unheard_flush_);
    }
    return *this;
  }
  ~StoreClaim() { release(); }

  // The store's, not the LUN's: a LUN may be gone when its last flush fails.
  const std::shared_ptr<UnheardFlush>& unheard_flush() const { return unheard_flush_; }

  // Once its last operation has ended.
  void release() noexcept;

 private:
  using Key = std::pair<dev_t, ino_t>;  // of a block device: its own number, and 0
  std::optional<Key> key_;
  std::shared_ptr<UnheardFlush> unheard_flush_;
};

}  // namespace ballast::backend
