// SPDX-License-Identifier: Apache-2.0
#include "lib/base/guarded_exit.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "lib/base/log_writer.h"

namespace ballast {
namespace {

void end(int status, void*) {
  constexpr auto look_interval = std::chrono::milliseconds{10};
  for (Nanoseconds waited{}; DelaysExit::count() > 0 && waited < exit_patience;
       waited += look_interval) {
    std::this_thread::sleep_for(look_interval);
  }
  (void)flush_log(std::chrono::seconds{1});
  (void)std::fflush(stdout);
  (void)std::fflush(stderr);
  ::_exit(status);
}

}  // namespace

bool guard_exit() noexcept {
  return exit_is_plain || ::on_exit(&end, nullptr) == 0;
}

}  // namespace ballast
