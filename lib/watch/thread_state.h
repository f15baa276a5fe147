// SPDX-License-Identifier: Apache-2.0
// What the kernel says of a thread of this process (/proc/self/task/<tid>). These files take no
// lock that a thread holds while it sleeps for storage, so reading them does not hang. Any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace ballast::watch {

struct ThreadState {
  std::string name;
  char state = '?';            // R runs, S sleeps, D sleeps unkillably, as ps shows it
  std::uint64_t switches = 0;  // times that it gave its processor away, or lost it
};
// Nothing if there is no such thread.
std::optional<ThreadState> thread_state(pid_t thread);

// Where the thread is in the kernel: "in io_schedule; system call 426 0x5 …; kernel stack
// io_schedule < …". Leaves out what cannot be read; empty if nothing can. The stack is for root
// only.
std::string kernel_place(pid_t thread);

// Whether threads of this process sleep unkillably, all the time from one look to the next. As long
// as one does, the process cannot end.
class UnkillableThreads {
 public:
  // Returns such a thread. The first look after forget() has nothing to compare with: it returns
  // whichever thread sleeps unkillably now. 0: there is none.
  pid_t look();
  void forget() { seen_.reset(); }

 private:
  std::optional<std::map<pid_t, std::uint64_t>> seen_;  // its switches
};

}  // namespace ballast::watch
