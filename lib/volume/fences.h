// SPDX-License-Identifier: Apache-2.0
// Fences: decides when an operation may touch its blocks.
//
// Changes that overlap run one after the other, in the order in which they came: each waits for
// every earlier change that overlaps it. A change may be answered early and go on as an orphan.
// Then every change that overlaps it, and is not at the backend yet, waits behind it. So a late
// write cannot land over newer data. Reads wait only for changes that are fenced off: those of
// orphans, see Request::fence_off. SCSI does not order a read and an ordinary change that are under
// way together. An onlooker waits as a change would, but nothing waits for it.
//
// A Hold is a local of the coroutine that works on the blocks. It takes its place when it is made
// and leaves it when it goes out of scope:
//
//   Fences::Hold hold{fences, lba, count, Fences::Kind::change};
//   if (!hold.granted()) {
//     const bool granted = co_await hold.wait(executor, token);
//
// Holds are kept in a treap by their first block. Each node knows the furthest end below it. So
// finding the holds that overlap takes logarithmic time in the number of all holds, plus the number
// of those found. The order in which they come does not matter, because the priorities come from a
// seed that no initiator knows.
//
// A read may begin before a change and be asked for again after it. The second one must not be
// answered with the old data. mark() and changed_since() find this out. The last `remembered`
// changes that ended are kept. If more have ended since the mark, changed_since() returns true.
//
// Driving thread only; allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/base/units.h"
#include "lib/co/cancel.h"
#include "lib/co/task.h"
#include "lib/co/wait.h"

namespace ballast::volume {

class Fences {
 public:
  enum class Kind : std::uint8_t { read, change, onlooker };

  class Hold {
   public:
    Hold(Fences& fences, Lba first, BlockCount count, Kind kind);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

    bool granted() const { return blockers_ == 0; }
    // Waits until the hold is granted or `cancel` is requested. Returns true if it is granted and
    // not cancelled. Call it only if the hold is not granted.
    co::Task<bool> wait(co::Executor& executor, co::CancelToken cancel);
    // From now on reads wait, too. Only for a granted change.
    void fence_off();

   private:
    friend class Fences;
    friend struct Anatomy;
    bool overlaps(const Hold& other) const { return first_ < other.end_ && other.first_ < end_; }
    bool waits_for(const Hold& earlier) const;
    void let_go_on();
    void unblock();
    Fences& fences_;
    Lba first_;
    Lba end_;
    std::uint64_t order_;         // place in the order in which holds came
    std::uint32_t blockers_ = 0;  // the earlier holds that it waits for
    Kind kind_;
    bool fenced_ = false;
    std::uint64_t fenced_at_ = 0;  // place in the same order: later reads wait
    co::Waker waker_{};
    // For the treap.
    std::uint32_t priority_;
    Lba furthest_;  // the largest end_ in this subtree
    Hold* left_ = nullptr;
    Hold* right_ = nullptr;
    Hold* parent_ = nullptr;
  };

  // The treap draws its priorities from `seed`. Initiators choose the order of the ranges. If they
  // knew the seed, they could turn the treap into a list.
  explicit Fences(std::uint64_t seed = 1) : random_{seed} {}
  ~Fences() { BALLAST_ASSERT(root_ == nullptr); }
  Fences(const Fences&) = delete;
  Fences& operator=(const Fences&) = delete;

  std::size_t holds() const { return count_; }    // including those that wait
  std::size_t fenced() const { return fenced_; }  // changes of orphans
  // For tests, which must notice it: nothing waits for changes that are fenced off any more.
  void sabotage() { sabotaged_ = true; }

  // A point in the order in which changes end.
  std::uint64_t mark() const { return ended_count_; }
  // Whether an overlapping change has ended since `mark`, or is under way.
  bool changed_since(std::uint64_t mark, Lba first, BlockCount count) const;

 private:
  friend struct Anatomy;
  static constexpr std::size_t remembered = 256;
  struct Ended {
    Lba first;
    Lba end;
  };
  static bool before(const Hold* a, const Hold* b) {
    return a->first_ < b->first_ || (a->first_ == b->first_ && a->order_ < b->order_);
  }
  static void update(Hold* node);
  static void split(Hold* node, Hold* pivot);
  void insert(Hold* hold);
  void erase(Hold* hold);
  // Calls visit(Hold&) for each hold that overlaps [first, end). Stops when visit returns false,
  // and then returns false.
  template <class Visit>
  static bool visit_overlapping(Hold* node, Lba first, Lba end, Visit visit);

  Hold* root_ = nullptr;
  std::size_t count_ = 0;
  std::size_t fenced_ = 0;
  std::uint64_t next_order_ = 0;
  std::uint64_t random_;
  bool sabotaged_ = false;
  std::array<Ended, remembered> ended_{};
  std::uint64_t ended_count_ = 0;
};

}  // namespace ballast::volume
