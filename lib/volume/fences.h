// SPDX-License-Identifier: Apache-2.0
// Who may touch which blocks now.
//
// Changes that overlap go one after the other, in the order of coming: each waits for every earlier
// one that overlaps it. So whichever of them is answered early and goes on as an orphan, everything
// that overlaps it and is not at the backend yet waits behind it: a late write cannot land over
// newer data. Reads wait only for what is fenced off (an orphan's change, see
// Request::fence_off): beside an ordinary change SCSI orders nothing for them. An onlooker waits as
// a change would, and nothing waits for it.
//
// A Hold is a local of the coroutine that works on the blocks; it takes its place when it is made
// and leaves it when it goes out of scope:
//
//   Fences::Hold hold{fences, lba, count, Fences::Kind::change};
//   if (!hold.granted()) {
//     const bool granted = co_await hold.wait(executor, token);
//
// Holds are kept in a treap by their first block, each node knowing the furthest end below it, so
// that finding those that overlap takes logarithmic time in what is in flight, plus their number.
// Whatever the order of coming is: the priorities are drawn from a seed that no initiator knows.
//
// A read that began before a change and is asked for again after it must not be answered with the
// old data: mark() and changed_since() tell. Changes that have ended are remembered for a while;
// who asks about a longer time is told "changed".
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
    // Waits until granted, true, or until `cancel` asks, false. Only while not granted.
    co::Task<bool> wait(co::Executor& executor, co::CancelToken cancel);
    // From now on reads wait too. For a granted change.
    void fence_off();

   private:
    friend class Fences;
    bool overlaps(const Hold& other) const { return first_ < other.end_ && other.first_ < end_; }
    bool waits_for(const Hold& earlier) const;
    void let_go_on();
    void unblock();
    Fences& fences_;
    Lba first_;
    Lba end_;
    std::uint64_t order_;         // of coming
    std::uint32_t blockers_ = 0;  // earlier ones that it waits for
    Kind kind_;
    bool fenced_ = false;
    std::uint64_t fenced_at_ = 0;  // in the order of coming: later reads wait
    co::Waker waker_{};
    // The treap.
    std::uint32_t priority_;
    Lba furthest_;  // the largest end_ in this subtree
    Hold* left_ = nullptr;
    Hold* right_ = nullptr;
    Hold* parent_ = nullptr;
  };

  // `seed`: the priorities of the treap come from it. Unknown to initiators, who choose the order
  // of ranges and could otherwise make a list of it.
  explicit Fences(std::uint64_t seed = 1) : random_{seed} {}
  ~Fences() { BALLAST_ASSERT(root_ == nullptr); }
  Fences(const Fences&) = delete;
  Fences& operator=(const Fences&) = delete;

  std::size_t holds() const { return count_; }    // those that wait included
  std::size_t fenced() const { return fenced_; }  // orphans' changes
  // So that tests can see that they would notice: nothing waits for what is fenced off.
  void sabotage() { sabotaged_ = true; }

  // A point in the order of changes.
  std::uint64_t mark() const { return ended_count_; }
  // Whether a change that overlaps has ended since `mark`, or is under way.
  bool changed_since(std::uint64_t mark, Lba first, BlockCount count) const;

 private:
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
  // Calls visit(Hold&) for each that overlaps [first, end); stops when it returns false.
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
