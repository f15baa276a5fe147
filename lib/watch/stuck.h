// SPDX-License-Identifier: Apache-2.0
// A thread of a LUN that does not go on, as another thread sees it.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "lib/base/units.h"

namespace ballast::watch {

struct StuckThread {
  std::string lun{};  // the backstore's name
  Nanoseconds for_how_long{};
  pid_t thread = 0;
  std::string thread_name{};
  char state = '?';            // as ps shows it: R runs, S sleeps, D sleeps unkillably
  bool drives = false;         // it drives the LUN, which answers nothing meanwhile
  std::string task{};          // whose coroutine it runs; empty: none
  std::string where{};         // that task's last wait, "file.cpp:123"; empty: it has not waited
  std::string what{};          // the task in words, or what else it does
  std::string kernel_place{};  // where it is in the kernel, in words; empty: not known
};

// What is known of LUNs without asking their executors.
struct FromOutside {
  std::vector<std::string> silent;  // LUNs that did not answer in time
  std::vector<StuckThread> stuck;
};

}  // namespace ballast::watch
