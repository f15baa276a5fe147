// SPDX-License-Identifier: Apache-2.0
// FlushFailures: remembers failed flushes until an initiator is told.
//
// A kernel reports a failed flush only once. The next flush of the same file succeeds, although
// data that was acknowledged before both may be lost. So the failure must not be dropped on its way
// to the initiator. If a command was answered before its flush failed (it went on as an orphan, or
// was asked to end), the failure is UNHEARD: the next flush that succeeds takes it over and fails.
// A flush that succeeds while another one fails proves nothing for the data that both cover, so it
// fails as well. An unheard failure belongs to the store and outlives the LUN, because the LUN's
// last flush may fail when the next LUN has the store already.
//
// Here a flush is every operation that makes acknowledged data durable: a flush by itself, or the
// second half of a write with FUA. A native FUA write that ends with medium_error counts, too, if
// its command was answered before.
//
// Each Volume has one. Driving thread only.
#pragma once

#include <cstdint>
#include <memory>

#include "lib/backend/store_register.h"
#include "lib/base/line_limit.h"
#include "lib/base/result.h"
#include "lib/co/executor.h"

namespace ballast::volume {

class Request;

class FlushFailures {
 public:
  // `unheard` is the store's. It may be null if no LUN uses the store after this one.
  FlushFailures(const co::Executor& executor, std::shared_ptr<backend::UnheardFlush> unheard);
  FlushFailures(const FlushFailures&) = delete;
  FlushFailures& operator=(const FlushFailures&) = delete;

  // The number of failed flushes so far. A caller takes the mark before the change begins that a
  // flush must cover.
  std::uint64_t mark() const { return count_; }
  // Returns how a flush of `request` ends. It must cover everything that began since `mark`, and
  // the backend ended it with `status`.
  IoStatus judge(Request& request, std::uint64_t mark, IoStatus status);
  // Call it when a native FUA write of `request` has ended with `status`.
  void durable_write_ended(Request& request, IoStatus status);

 private:
  friend class Request;
  void tell(Request& request, IoStatus status);
  void unheard(IoStatus status);

  const co::Executor& executor_;
  std::uint64_t count_ = 0;
  IoStatus last_ = IoStatus::ok;
  const std::shared_ptr<backend::UnheardFlush> unheard_;
  LineLimit unheard_lines_;
};

}  // namespace ballast::volume
