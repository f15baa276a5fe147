// SPDX-License-Identifier: Apache-2.0
// One suspension: the wait record, the Waker that ends it, and the Wait that a coroutine awaits.
//
// A record goes armed -> queued -> consumed, once. It lives in a slab of the executor, not in the
// coroutine's frame, and each use of a slot has a generation of its own. A Waker names slot and
// generation. A second wake, or a wake of a wait that ended long ago, finds another state or
// another generation. The executor refuses it, counts it, and reports it with both places. So no
// completion, however late or doubled, can enter a coroutine that waits for something else.
//
//   co::Wait wait{executor, "ring write"};     // a named local; the record is armed now
//   start_something(wait.waker());             // may wake at once, later, or never
//   const std::int64_t value = co_await wait;  // the value that the waker passed
//
// Everything here runs on the executor's driving thread, except Waker::post.
#pragma once

#include <coroutine>
#include <cstdint>
#include <source_location>

#include "lib/base/assert.h"
#include "lib/base/units.h"

namespace ballast::co {

class Executor;
struct TaskInfo;

using Site = std::source_location;

enum class WaitState : std::uint8_t { free, armed, queued };

// The part of a wait that reports show.
struct WaitStory {
  const char* what = nullptr;
  Site wait_site{};
  Site wake_site{};  // line 0 until it is woken
};

// Owned by the executor's slab. Only lib/co reads or writes the fields.
struct WaitRecord {
  WaitRecord* next = nullptr;  // free list, run queue
  std::coroutine_handle<> handle{};
  Executor* executor = nullptr;
  TaskInfo* task = nullptr;
  std::uint64_t generation = 0;
  std::int64_t value = 0;
  WaitStory story{};
  WaitStory previous{};  // of the wait this slot served before, for reports
  WaitState state = WaitState::free;
  bool transfer = false;  // a bounded inline run that goes on through the queue; no Wait behind it
};

// The right to end one wait, once. A copyable value. wake() and post() need one that is not empty.
class Waker {
 public:
  Waker() = default;

  // Ends the wait with `value`. It queues the coroutine and never runs it. Returns false if the
  // wait was already over; the executor has then counted and reported that.
  bool wake(std::int64_t value = 0, Site site = Site::current()) const;

  // The same from any other thread, through the executor's mailbox. The executor must outlive it.
  void post(std::int64_t value = 0, Site site = Site::current()) const;

  explicit operator bool() const { return record_ != nullptr; }

  // Whether the wait that this Waker names still goes on. Driving thread.
  bool pending() const {
    return record_ != nullptr && record_->generation == generation_ &&
           record_->state == WaitState::armed;
  }

 private:
  friend class Executor;
  friend class Wait;
  friend struct Anatomy;
  Waker(WaitRecord* record, std::uint64_t generation) : record_{record}, generation_{generation} {}
  WaitRecord* record_ = nullptr;
  std::uint64_t generation_ = 0;
};

// One suspension of one coroutine. A local of the coroutine that awaits it; not movable.
class Wait {
 public:
  // `what` names the thing that is waited for. It must outlive the wait (a literal).
  Wait(Executor& executor, const char* what, Site site = Site::current());
  ~Wait();  // ends the wait if it was not awaited: a later wake is refused
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  // Only before the wait was awaited to its end.
  Waker waker() const {
    BALLAST_ASSERT(record_ != nullptr);
    return Waker{record_, record_->generation};
  }

  bool await_ready() const noexcept {
    BALLAST_ASSERT(record_ != nullptr);  // one wait, one co_await
    return record_->state == WaitState::queued;
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    suspend(handle, handle.promise().info());
  }
  std::int64_t await_resume() noexcept;

 private:
  void suspend(std::coroutine_handle<> handle, TaskInfo* task) noexcept;
  WaitRecord* record_;
};

}  // namespace ballast::co
