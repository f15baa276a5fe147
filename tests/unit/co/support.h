// SPDX-License-Identifier: Apache-2.0
// Shared by the tests of lib/co. Include this file before tests/cmocka.h.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <vector>

#include "lib/co/executor.h"
#include "lib/co/task.h"
#include "lib/co/task_group.h"

namespace ballast::test {

inline void run(co::Executor& executor) {
  do {
    (void)executor.tick();
  } while (!executor.idle());
}

// Runs `function` in a child. Returns whether it ended its process by SIGABRT, as a failed
// assertion does.
template <class Function>
bool aborts(Function function) {
  const pid_t child = ::fork();
  if (child == 0) {
    (void)std::freopen("/dev/null", "w", stderr);
    const rlimit no_core{};
    (void)::setrlimit(RLIMIT_CORE, &no_core);
    function();
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
  }
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

// Collects refused wakes in place of the log.
class RefusedWakes {
 public:
  explicit RefusedWakes(co::Executor& executor) { executor.set_refused_wake_reporter(&add, this); }
  std::vector<co::RefusedWake> all;

 private:
  static void add(void* self, const co::RefusedWake& refused) {
    static_cast<RefusedWakes*>(self)->all.push_back(refused);
  }
};

}  // namespace ballast::test
