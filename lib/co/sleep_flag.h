// SPDX-License-Identifier: Apache-2.0
// SleepFlag: whether the reader of a queue sleeps, and which descriptor wakes it.
//
// The reader sets the flag, and then looks at the queue. A writer publishes its message, and then
// looks at the flag. So either the reader finds the message or the writer finds the flag. This
// needs one order of the four accesses for all threads, so each is seq_cst. The first writer clears
// the flag and wakes the reader; the others write nothing. The descriptor is relaxed: a writer
// loads it after the exchange that cleared the flag, and prepare() stored it before it set the
// flag.
//
// `Atomic` is std::atomic, except in tests/unit/io/baton_test.cpp, which enumerates the orders in
// which two threads can act here.
#pragma once

#include <atomic>

namespace ballast::co {

template <template <class> class Atomic>
class SleepFlag {
 public:
  // The reader will sleep on `wake_fd`. Returns false if the queue is not empty; the reader then
  // counts as awake. empty() must load with seq_cst what writers publish.
  template <class Empty>
  bool prepare(int wake_fd, Empty empty) {
    wake_fd_.store(wake_fd, std::memory_order_relaxed);
    sleeping_.store(true, std::memory_order_seq_cst);
    if (!empty()) {
      end();
      return false;
    }
    return true;
  }
  // The reader is awake. Relaxed: a writer that still finds the flag only writes once too often.
  void end() { sleeping_.store(false, std::memory_order_relaxed); }

  // A writer calls this after it has published with seq_cst. Returns the descriptor that it must
  // write to, or -1.
  int descriptor_to_wake() {
    if (sleeping_.load(std::memory_order_seq_cst) &&
        sleeping_.exchange(false, std::memory_order_seq_cst)) {
      return wake_fd_.load(std::memory_order_relaxed);
    }
    return -1;
  }

 private:
  Atomic<bool> sleeping_{false};
  Atomic<int> wake_fd_{-1};
};

}  // namespace ballast::co
