// SPDX-License-Identifier: Apache-2.0
// One command as the volume sees it: what it is told while it works, and whether to go on.
//
// Whoever asks for an operation passes a Request; all operations of one command pass the same one.
// The volume reports through it where the command is (behind a fence, at the backend), and looks at
// it before each operation that it would start at the backend: once stop() was called, none is
// started any more, waits end at once, and what is at the backend is asked to end. What the backend
// cannot end goes on; at_backend() says how much that is.
//
// Owned by the asker; outlives its operations. Driving thread only. Allocates nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "lib/base/assert.h"
#include "lib/base/result.h"
#include "lib/co/cancel.h"
#include "lib/co/semaphore.h"
#include "lib/co/task.h"
#include "lib/volume/fences.h"
#include "lib/volume/flush_failures.h"

namespace ballast::volume {

// Hears where a request is. Calls come from inside the volume's operations and must not start any.
class RequestObserver {
 public:
  virtual ~RequestObserver() = default;
  virtual void entered_fence() = 0;    // waits for something that overlaps
  virtual void left_fence() = 0;       // and does not any more
  virtual void entered_backend() = 0;  // the first operation of it is there
  virtual void left_backend() = 0;     // the last operation of it that was there has ended
};

class Request;
class Volume;

// The range that a request changes, held for as long as this lives.
class Change {
 public:
  Change(Fences& fences, Request& request, Lba lba, BlockCount count);
  ~Change();
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;
  bool granted() const { return hold_.granted(); }
  Fences::Hold& hold() { return hold_; }

 private:
  Request& request_;
  Fences::Hold hold_;
};

// A place at the backend for one operation of a request, from its start to its last completion.
// Empty where nothing of the request may reach the backend any more.
class Place {
 public:
  enum class Kind : std::uint8_t { looks, changes };
  // `mark`: where Fences::mark() stands.
  Place(Request& request, Kind kind, co::Semaphore::Guard slot, std::uint64_t mark);
  ~Place();
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  explicit operator bool() const { return static_cast<bool>(slot_); }

 private:
  Request& request_;
  const Kind kind_;
  const co::Semaphore::Guard slot_;
};

// An operation that went to the backend without a coroutine of the volume's, and what has to be
// given back at its end. One at a time.
class Direct final : private co::TaskListener<IoStatus> {
 public:
  explicit Direct(Request& request) : request_{request} {}

 private:
  friend class Volume;
  void task_ended(const IoStatus& status, std::uint32_t) override;
  void task_dropped(std::uint32_t) override;
  void over();
  Request& request_;
  std::optional<Place> place_;        // none: none is under way
  std::optional<Change> change_;      // what a write holds
  FlushFailures* durable_ = nullptr;  // of a write with native FUA: hears how it ended
  co::TaskEnding<IoStatus> before_;
};

class Request {
 public:
  explicit Request(RequestObserver* observer = nullptr) : observer_{observer} {}
  ~Request() { BALLAST_ASSERT(at_backend_ == 0); }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  // --- for its owner ---
  // Nothing more reaches the backend, and what is there is asked to end. Once.
  void stop() {
    if (!ok(untold_)) {
      failures_->unheard(std::exchange(untold_, IoStatus::ok));
    }
    stop_.request();
  }
  bool stopped() const { return stop_.requested(); }
  std::uint32_t at_backend() const { return at_backend_; }
  bool reached_backend() const { return reached_backend_; }  // ever
  // A change of it is there now. (One that has ended cannot land late any more.)
  bool change_at_backend() const { return changes_at_backend_ > 0; }
  // An operation that may not be done twice has reached the backend: the write of a COMPARE AND
  // WRITE.
  bool irrevocable() const { return irrevocable_; }
  // Reads that arrive from now on wait for the change that this request makes, until it has ended.
  // Whoever answers a request whose change is still at the backend calls this first.
  void fence_off() {
    if (hold_ != nullptr && hold_->granted()) {
      hold_->fence_off();
    }
  }
  // Whether nobody can have changed what it changed: it holds a range, and has let go of none yet.
  bool holds_all() const { return hold_ != nullptr && !let_go_; }
  // Where Fences::mark() stood when the first operation of it reached the backend.
  std::uint64_t read_mark() const { return read_mark_; }

  // --- for the volume ---
  co::CancelToken token() { return stop_.token(); }
  RequestObserver* observer() const { return observer_; }

 private:
  friend class Volume;
  friend class Change;
  friend class Place;
  friend class FlushFailures;
  RequestObserver* observer_;
  co::CancelSource stop_;
  Fences::Hold* hold_ = nullptr;  // the range that it changes now
  Direct direct_{*this};
  FlushFailures* failures_ = nullptr;
  IoStatus untold_ = IoStatus::ok;  // a failed flush that the owner has yet to hear of
  std::uint64_t read_mark_ = 0;
  std::uint32_t at_backend_ = 0;
  std::uint32_t changes_at_backend_ = 0;
  bool reached_backend_ = false;
  bool irrevocable_ = false;
  bool let_go_ = false;  // of a range that it was granted
};

inline Place::Place(Request& request, Kind kind, co::Semaphore::Guard slot, std::uint64_t mark)
    : request_{request}, kind_{kind}, slot_{std::move(slot)} {
  if (!slot_) {
    return;
  }
  BALLAST_ASSERT(!request_.stopped());
  if (!std::exchange(request_.reached_backend_, true)) {
    request_.read_mark_ = mark;
  }
  request_.changes_at_backend_ += kind_ == Kind::changes ? 1U : 0U;
  if (request_.at_backend_++ == 0 && request_.observer_ != nullptr) {
    request_.observer_->entered_backend();
  }
}
inline Place::~Place() {
  if (!slot_) {
    return;
  }
  request_.changes_at_backend_ -= kind_ == Kind::changes ? 1U : 0U;
  if (--request_.at_backend_ == 0 && request_.observer_ != nullptr) {
    request_.observer_->left_backend();
  }
}

inline Change::Change(Fences& fences, Request& request, Lba lba, BlockCount count)
    : request_{request}, hold_{fences, lba, count, Fences::Kind::change} {
  request_.hold_ = &hold_;
}
inline Change::~Change() {
  request_.hold_ = nullptr;
  if (granted()) {  // else nothing was changed under it
    request_.let_go_ = true;
  }
}

}  // namespace ballast::volume
