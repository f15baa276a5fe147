// SPDX-License-Identifier: Apache-2.0
// Gate: counts the operations inside, so that closing can wait until the last one has left.
//
//   const co::Gate::Guard inside{gate};    // a local of each operation
//
//   gate.close();                          // no operation enters any more
//   co_await gate.drain();                 // and the last one has left
//
// drain() ends once nothing is inside, or at once if nothing was inside when it began. On a closed
// gate this stays so. On an open gate, others may have entered before the drainer runs. There may
// be any number of drainers.
//
// Destroying a gate with an operation inside, or with a drainer, is a bug (asserted). Driving
// thread only; allocates nothing but a drainer's frame.
#pragma once

#include <cstddef>

#include "lib/co/event.h"
#include "lib/co/task.h"

namespace ballast::co {

class Gate {
 public:
  // `what` names what a drainer waits for, and must outlive the gate (a literal).
  explicit Gate(Executor& executor, const char* what) : left_{executor, what} {}
  ~Gate() { BALLAST_ASSERT(count_ == 0); }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  Executor& executor() { return left_.executor(); }

  // Returns false if the gate is closed. After true, the caller must call leave().
  [[nodiscard]] bool enter() {
    if (closed_) {
      return false;
    }
    ++count_;
    used_ = true;
    return true;
  }
  void leave() {
    BALLAST_ASSERT(count_ > 0);
    if (--count_ == 0 && left_.waiting() > 0) {
      left_.set();
      left_.reset();
    }
  }

  // Enters, and leaves when it is destroyed. Entering a closed gate this way is a bug (asserted).
  class [[nodiscard]] Guard {
   public:
    explicit Guard(Gate& gate) : gate_{gate} {
      const bool entered = gate_.enter();
      BALLAST_ASSERT(entered);
    }
    ~Guard() { gate_.leave(); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Gate& gate_;
  };

  // No operation enters any more; those inside stay until they leave.
  void close() { closed_ = true; }
  bool closed() const { return closed_; }
  std::size_t count() const { return count_; }  // operations inside
  bool used() const { return used_; }           // whether any operation ever entered

  Task<void> drain();
  // Returns false if an operation was still inside at `deadline`.
  Task<bool> drain_until(TimePoint deadline);

 private:
  friend struct Anatomy;
  std::size_t count_ = 0;
  bool closed_ = false;
  bool used_ = false;
  Event left_;  // set for a moment when the last one leaves
};

}  // namespace ballast::co
