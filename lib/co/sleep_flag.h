// SPDX-License-Identifier: Apache-2.0
// SleepFlag: whether the reader of a queue sleeps, and which descriptor wakes it.
//
// The reader says that it sleeps, and looks at the queue after that. A writer publishes its
// message, and looks at the flag after that. So either the reader finds the message or the writer
// finds the flag: that needs the four accesses in one order for all, so each is seq_cst. The first
// writer takes the flag away and wakes; the others write nothing. The descriptor is relaxed: the
// exchange that takes the flag away read what prepare() stored behind it.
//
// `Atomic` is std::atomic, but for tests/unit/io/baton_test.cpp, which enumerates what two threads
// may do here in what order.
#pragma once

#include <atomic>

namespace ballast::co {

template <template <class> class Atomic>
class SleepFlag {
 public:
  // The reader: it will sleep on `wake_fd`. False: the queue is not empty, as empty() says, which
  // loads seq_cst what writers publish; the reader counts as awake.
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
  // The reader is awake. Relaxed: a writer that still finds the flag writes once too often.
  void end() { sleeping_.store(false, std::memory_order_relaxed); }

  // A writer, after it has published with seq_cst: the descriptor that it must write to, or -1.
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
