// SPDX-License-Identifier: Apache-2.0
// A thread that the kernel keeps in state D for as long as a test wants: it has called vfork(2),
// and its child neither ends nor executes anything.
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "lib/watch/thread_state.h"

namespace ballast::test {

class UnkillableThread {
 public:
  UnkillableThread() {
    if (::pipe(pipe_) != 0) {
      return;
    }
    thread_ = std::thread{[this] {
      id_ = ::gettid();
      const long child = wait_for_child(pipe_[0]);
      (void)::waitpid(static_cast<pid_t>(child), nullptr, 0);
    }};
    using namespace std::chrono_literals;
    for (int i = 0; i < 3000 && !is_unkillable(); ++i) {
      std::this_thread::sleep_for(10ms);
    }
  }
  ~UnkillableThread() {
    wake();
    ::close(pipe_[0]);
    ::close(pipe_[1]);
  }
  UnkillableThread(const UnkillableThread&) = delete;
  UnkillableThread& operator=(const UnkillableThread&) = delete;

  pid_t id() const { return id_; }
  bool is_unkillable() const {
    const auto state = id_ != 0 ? watch::thread_state(id_) : std::nullopt;
    return state.has_value() && state->state == 'D';
  }
  // Lets it go, and waits for its end.
  void wake() {
    if (thread_.joinable()) {
      [[maybe_unused]] const ssize_t written = ::write(pipe_[1], "x", 1);
      thread_.join();
    }
  }

 private:
  // A system call without a function call: parent and child have one stack.
  [[gnu::always_inline]] static long call(long number, long a = 0, void* b = nullptr, long c = 0) {
    long result = 0;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(a), "S"(b), "d"(c)
                 : "rcx", "r11", "memory");
    return result;
  }
  [[gnu::noinline]] __attribute__((no_sanitize("thread", "address", "undefined"))) static long
  wait_for_child(int fd) {
    char byte = 0;
    const long child = call(SYS_vfork);
    if (child == 0) {
      // A test that fails does not wake it: then it ends with the test.
      (void)call(SYS_prctl, PR_SET_PDEATHSIG, reinterpret_cast<void*>(SIGKILL));
      (void)call(SYS_read, fd, &byte, 1);
      (void)call(SYS_exit);
    }
    return child;
  }

  int pipe_[2] = {-1, -1};
  std::atomic<pid_t> id_{0};
  std::thread thread_;
};

}  // namespace ballast::test
