// SPDX-License-Identifier: Apache-2.0
#include "lib/volume/flush_failures.h"

#include <utility>

#include "lib/base/log.h"
#include "lib/volume/request.h"

namespace ballast::volume {

FlushFailures::FlushFailures(const co::Executor& executor,
                             std::shared_ptr<backend::UnheardFlush> unheard)
    : executor_{executor},
      unheard_{unheard != nullptr ? std::move(unheard)
                                  : std::make_shared<backend::UnheardFlush>(IoStatus::ok)} {}

IoStatus FlushFailures::judge(Request& request, std::uint64_t mark, IoStatus status) {
  if (status == IoStatus::cancelled || status == IoStatus::no_resource) {
    return status;  // the flush did not take place: the kernel still reports a failure later
  }
  const IoStatus before = unheard_->exchange(IoStatus::ok, std::memory_order_relaxed);
  if (!ok(status)) {
    // An initiator may take NOT READY for something that passes, and flush again. So it must not
    // hide that an earlier flush has lost data.
    status = status == IoStatus::not_ready && !ok(before) ? before : status;
    ++count_;
    last_ = status;
  } else if (!ok(before)) {
    status = before;
  } else {
    return mark == count_ ? IoStatus::ok : last_;
  }
  tell(request, status);
  return status;
}

void FlushFailures::durable_write_ended(Request& request, IoStatus status) {
  if (status == IoStatus::medium_error) {
    tell(request, status);
  }
}

// The request's owner is told by the operation's result, unless it stops the request before.
void FlushFailures::tell(Request& request, IoStatus status) {
  if (request.stopped()) {
    unheard(status);
    return;
  }
  request.failures_ = this;
  request.untold_ = status;
}

void FlushFailures::unheard(IoStatus status) {
  if (status != IoStatus::not_ready || ok(unheard_->load(std::memory_order_relaxed))) {
    unheard_->store(status, std::memory_order_relaxed);
  }
  if (const auto left_out = unheard_lines_.next_in_words(executor_.now())) {
    log(LogLevel::error,
        "{}: a flush failed ({}) after the command that asked for it was answered BUSY: the next "
        "flush will fail, so that the initiator learns of it{}",
        executor_.name(), to_string(status), *left_out);
  }
}

}  // namespace ballast::volume
