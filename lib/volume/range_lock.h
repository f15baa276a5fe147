// SPDX-License-Identifier: Apache-2.0
// Who may change which blocks now: first come, first served over ranges.
//
// Changes share their ranges with each other (SBC orders nothing between commands under way), but
// not with an exclusive holder, COMPARE AND WRITE, which needs its blocks to itself from its read
// to its write. A holder waits for every earlier one that overlaps it if either of the two is
// exclusive, so an exclusive one is neither overtaken nor starved. While nothing exclusive is
// about, taking and leaving cost a list insertion and a removal.
//
// A Hold is a local of the coroutine that makes the change; it joins the queue when it is made and
// leaves when it goes out of scope:
//
//   RangeLock::Hold hold{ranges, lba, count, RangeLock::Kind::shared};
//   if (!hold.granted()) {
//     co::Wait wait{executor, "range lock"};
//     hold.wake_when_granted(wait.waker());
//     co_await wait;
//   }
//
// Driving thread only; allocates nothing.
#pragma once

#include <cstddef>

#include "lib/base/units.h"
#include "lib/co/wait.h"

namespace ballast::volume {

class RangeLock {
 public:
  enum class Kind : bool { shared, exclusive };

  class Hold {
   public:
    Hold(RangeLock& lock, Lba first, BlockCount count, Kind kind);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

    bool granted() const { return granted_; }
    // Only while not granted.
    void wake_when_granted(co::Waker waker) { waker_ = waker; }

   private:
    friend class RangeLock;
    bool conflicts_with(const Hold& other) const {
      return (kind_ == Kind::exclusive || other.kind_ == Kind::exclusive) && first_ < other.end_ &&
             other.first_ < end_;
    }
    RangeLock& lock_;
    Lba first_;
    Lba end_;
    Kind kind_;
    bool granted_;
    co::Waker waker_{};
    Hold* prev_ = nullptr;
    Hold* next_ = nullptr;
  };

  RangeLock() = default;
  ~RangeLock() { BALLAST_ASSERT(head_ == nullptr); }
  RangeLock(const RangeLock&) = delete;
  RangeLock& operator=(const RangeLock&) = delete;

  std::size_t holders() const { return holders_; }  // those that wait included

 private:
  static bool must_wait(const Hold& hold);
  void grant_after(Hold* from);
  Hold* head_ = nullptr;
  Hold* tail_ = nullptr;
  std::size_t holders_ = 0;
  std::size_t exclusive_ = 0;
};

}  // namespace ballast::volume
