// SPDX-License-Identifier: Apache-2.0
// StoreClaim: marks a store as in use by this process, from its opening until its last operation
// has ended. It also carries the news that the store's next user needs.
//
// A LUN that was closed while its storage hung leaves operations behind. When they are carried out
// late, they must not overwrite data that the next LUN wrote to the same store. File locks prevent
// that, if the file system has them; on one without locks (NFS, FUSE), this register does. It knows
// a file by its device and inode number, and a block device by its device number. Both numbers are
// unambiguous while the store is open. Afterwards another file may get the same number; then its
// first flush may fail without need. Any thread; waits for nothing but a short mutex.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "lib/base/result.h"

namespace ballast::backend {

// How a flush of a store failed, if no initiator has been told yet; ok: none failed.
using UnheardFlush = std::atomic<IoStatus>;

class StoreClaim {
 public:
  // Returns nothing if the store has a claim already. `status`: fstat() of the open store.
  static std::optional<StoreClaim> make(const struct stat& status);
  // The same for a store that has a name and no file: an export of a server.
  static std::optional<StoreClaim> make(std::string name);

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

  // Belongs to the store and not to the LUN: the LUN may be gone when its last flush fails. Null
  // after release().
  const std::shared_ptr<UnheardFlush>& unheard_flush() const { return unheard_flush_; }

  // Ends the claim. Call it once the last operation has ended; it does nothing if there is no
  // claim.
  void release() noexcept;

 private:
  // For a block device: its device number, and 0. For a store without a file: 0, 0 and its name.
  using Key = std::tuple<dev_t, ino_t, std::string>;
  static std::optional<StoreClaim> make(Key key);
  std::optional<Key> key_;
  std::shared_ptr<UnheardFlush> unheard_flush_;
};

}  // namespace ballast::backend
