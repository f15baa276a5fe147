// SPDX-License-Identifier: Apache-2.0
// Request: one command as the volume sees it. The volume reports progress to it, and asks it
// whether to go on.
//
// The asker passes a Request to each operation; all operations of one command get the same one. The
// volume reports where the command is: behind a fence, or at the backend. It checks the Request
// before it starts an operation at the backend. After stop(), it starts none any more, all waits
// end, and the backend is asked to end its operations of this request. An operation that the
// backend cannot end goes on; at_backend() says how many there are.
//
// The asker owns the Request, which outlives its operations. Driving thread only. Allocates
// nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "lib/backend/elevator.h"
#include "lib/base/assert.h"
#include "lib/base/result.h"
#include "lib/co/cancel.h"
#include "lib/co/semaphore.h"
#include "lib/co/task.h"
#include "lib/volume/fences.h"
#include "lib/volume/flush_failures.h"
#include "lib/volume/tier.h"

namespace ballast::volume {

// Is told where a request is. The calls come from inside the volume's operations and must not start
// any.
class RequestObserver {
 public:
  virtual ~RequestObserver() = default;
  virtual void entered_fence() = 0;     // it waits for an overlapping operation
  virtual void left_fence() = 0;        // it does not wait any more
  virtual void entered_elevator() = 0;  // it waits for the elevator
  virtual void left_elevator() = 0;
  virtual void entered_source() = 0;  // it waits for another LUN, whose blocks it copies
  virtual void left_source() = 0;
  virtual void entered_backend() = 0;  // its first operation is there
  virtual void left_backend() = 0;     // its last operation there has ended
};

class Request;
class Volume;

// The range that a request changes. It is held while this object lives.
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

// A place at the backend for one operation of a request, from its start to its end. It is empty if
// nothing of the request may reach the backend any more.
class Place {
 public:
  enum class Kind : std::uint8_t { looks, changes };
  // `mark` is the current Fences::mark(). In the tier of the log, the request has its need already.
  Place(Request& request, Kind kind, Tier tier, co::Semaphore::Guard slot, std::uint64_t mark);
  ~Place();
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  explicit operator bool() const { return static_cast<bool>(slot_); }

 private:
  Request& request_;
  const Kind kind_;
  const co::Semaphore::Guard slot_;
};

// An operation that is at the backend without a coroutine of the volume, and the things that must
// be given back at its end. A request has at most one at a time.
class Direct final : private co::TaskListener<IoStatus> {
 public:
  explicit Direct(Request& request) : request_{request} {}

 private:
  friend class Volume;
  void task_ended(const IoStatus& status, std::uint32_t) override;
  void task_dropped(std::uint32_t) override;
  void over();
  Request& request_;
  std::optional<backend::Elevator::Seat> seat_;  // none without an elevator
  std::optional<Place> place_;                   // none: no operation is under way
  std::optional<Change> change_;                 // the range that a write holds
  FlushFailures* durable_ = nullptr;             // is told how a native FUA write failed
  co::TaskEnding<IoStatus> before_;
};

class Request {
 public:
  explicit Request(RequestObserver* observer = nullptr) : observer_{observer} {}
  ~Request() { BALLAST_ASSERT(at_backend_ == 0); }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  // --- for its owner
  // From now on nothing of the request reaches the backend, and its operations there are asked to
  // end. A second call does nothing.
  void stop() {
    if (!ok(untold_)) {
      failures_->unheard(std::exchange(untold_, IoStatus::ok));
    }
    stop_.request();
  }
  bool stopped() const { return stop_.requested(); }
  std::uint32_t at_backend() const { return at_backend_; }
  // The tier that the operations at the backend wait for now. What began to wait for the log may
  // wait for the store later, when the log has no more room, or has let go of blocks before they
  // were read. The other way round, it stays the store: the operation has begun there.
  Tier tier() const {
    BALLAST_ASSERT(at_backend_ > 0);
    const bool at_store = tier_ == Tier::store ||
                          (need_.reads.value() > 0 && log_->reads_store(need_.lba, need_.reads));
    return at_store ? Tier::store : tier_of(log_, need_);
  }
  bool reached_backend() const { return reached_backend_; }  // now or before
  // Whether a change of it is at the backend now. (A change that has ended cannot land late.)
  bool change_at_backend() const { return changes_at_backend_ > 0; }
  // Whether an operation that may not be done twice has reached the backend: the write of a COMPARE
  // AND WRITE.
  bool irrevocable() const { return irrevocable_; }
  // From now on new reads wait for the change that this request makes, until the change has ended.
  // Call it before the request is answered while its change is at the backend.
  void fence_off() {
    if (hold_ != nullptr && hold_->granted()) {
      hold_->fence_off();
    }
  }
  // Whether no other change can have overwritten what it changed: it holds a range, and has
  // released no range that it was granted.
  bool holds_all() const { return hold_ != nullptr && !let_go_; }
  // The value of Fences::mark() when its first operation reached the backend.
  std::uint64_t read_mark() const { return read_mark_; }

  // --- for the volume
  co::CancelToken token() { return stop_.token(); }
  RequestObserver* observer() const { return observer_; }

 private:
  friend class Volume;
  friend class Change;
  friend class Place;
  friend class FlushFailures;
  friend struct Anatomy;
  RequestObserver* observer_;
  co::CancelSource stop_;
  Fences::Hold* hold_ = nullptr;  // the range that it changes now
  Direct direct_{*this};
  FlushFailures* failures_ = nullptr;
  IoStatus untold_ = IoStatus::ok;  // a failed flush that its owner has not been told of yet
  std::uint64_t read_mark_ = 0;
  std::uint32_t at_backend_ = 0;
  std::uint32_t changes_at_backend_ = 0;
  Tier tier_ = Tier::store;                    // when the operations began
  const backend::LogCoverage* log_ = nullptr;  // it and the next one: in the tier of the log
  Need need_{};
  bool reached_backend_ = false;
  bool irrevocable_ = false;
  bool let_go_ = false;  // it has released a range that it was granted
};

inline Place::Place(Request& request, Kind kind, Tier tier, co::Semaphore::Guard slot,
                    std::uint64_t mark)
    : request_{request}, kind_{kind}, slot_{std::move(slot)} {
  if (!slot_) {
    return;
  }
  BALLAST_ASSERT(!request_.stopped());
  if (!std::exchange(request_.reached_backend_, true)) {
    request_.read_mark_ = mark;
  }
  request_.changes_at_backend_ += kind_ == Kind::changes ? 1U : 0U;
  if (request_.at_backend_++ > 0) {
    request_.tier_ = slower(tier, request_.tier_);
    return;
  }
  request_.tier_ = tier;
  if (request_.observer_ != nullptr) {
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
  if (granted()) {  // otherwise it changed nothing there
    request_.let_go_ = true;
  }
}

}  // namespace ballast::volume
