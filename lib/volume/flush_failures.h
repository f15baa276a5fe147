// SPDX-License-Identifier: Apache-2.0
// Failed flushes, until an initiator was told.
//
// A kernel reports a failed flush once: the next one of the same file is answered with success,
// although what was acknowledged before both may be gone. So the failure must not get lost on its
// way: where the command that flushed was answered before its flush failed (it went on as an
// orphan, or was asked to end meanwhile), the failure is UNHEARD, and the next flush that ends well
// takes it over and fails. And a flush that ends well beside one that failed proves nothing of what
// both covered: it fails as well. An unheard failure is the store's: it outlives the LUN, whose
// last flush may fail when the next one has the store.
//
// "Flush" is whatever makes acknowledged data durable: a flush by itself, or the second half of a
// write with FUA. A native FUA write that fails without a receiver counts as one.
//
// One for each Volume. Driving thread only.
#pragma once

#include <cstdint>
#include <memory>

#include "lib/backend/store_register.h"
#include "lib/base/result.h"

namespace ballast::volume {

class Request;

class FlushFailures {
 public:
  // `name` is the LUN's, for the log, and outlives this. Null: nobody will have the store after it.
  FlushFailures(const char* name, std::shared_ptr<backend::UnheardFlush> unheard);
  FlushFailures(const FlushFailures&) = delete;
  FlushFailures& operator=(const FlushFailures&) = delete;

  // Now, among the failures. A flush is asked to cover what was under way since then.
  std::uint64_t mark() const { return count_; }
  // How a flush of `request` ends that has to cover what began at `mark`, when the backend says
  // `status`.
  IoStatus judge(Request& request, std::uint64_t mark, IoStatus status);
  // A native FUA write of `request` ended so.
  void durable_write_ended(Request& request, IoStatus status);

 private:
  friend class Request;
  void tell(Request& request, IoStatus status);
  void unheard(IoStatus status);

  const char* name_;
  std::uint64_t count_ = 0;
  IoStatus last_ = IoStatus::ok;
  const std::shared_ptr<backend::UnheardFlush> unheard_;
};

}  // namespace ballast::volume
