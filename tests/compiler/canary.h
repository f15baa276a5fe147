// SPDX-License-Identifier: Apache-2.0
// Shared by the canaries: the smallest possible coroutine, a child process to crash in, and the
// verdict. It uses nothing of lib/co, because these programs judge the compiler.
//
// A canary says whether this compiler has its trap. It fails if g++ 12 behaves otherwise than the
// rules of this project assume. With any other compiler it reports the result and passes.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <utility>

namespace canary {

// A lazy coroutine that goes to its awaiter and back by symmetric transfer.
template <class T>
class Task {
 public:
  struct promise_type {
    struct Final {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(
          std::coroutine_handle<promise_type> handle) const noexcept {
        const std::coroutine_handle<> next = handle.promise().continuation;
        return next ? next : std::noop_coroutine();
      }
      void await_resume() const noexcept {}
    };
    Task get_return_object() {
      return Task{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    Final final_suspend() const noexcept { return {}; }
    void return_value(T given) { value = std::move(given); }
    void unhandled_exception() { std::terminate(); }
    std::coroutine_handle<> continuation{};
    std::optional<T> value;
  };

  Task(Task&& other) noexcept : handle_{std::exchange(other.handle_, {})} {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) {
      handle_.destroy();
    }
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> parent) {
    handle_.promise().continuation = parent;
    return handle_;
  }
  T await_resume() { return std::move(*handle_.promise().value); }

  std::coroutine_handle<promise_type> handle() const { return handle_; }
  // Runs the task from outside a coroutine. The task must not wait for anything.
  T run() {
    handle_.resume();
    return std::move(*handle_.promise().value);
  }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_{handle} {}
  std::coroutine_handle<promise_type> handle_;
};

// Runs `function` in a child process. Returns true if `function` returned true there, and false if
// it returned false or the child crashed.
template <class Function>
bool survives(Function function) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit no_core{};
    (void)::setrlimit(RLIMIT_CORE, &no_core);
    (void)std::freopen("/dev/null", "w", stderr);
    ::_exit(function() ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// The exit code for main(): compares what was seen with what g++ 12 is known to do.
inline int verdict(const char* trap, bool seen, bool known_of_gxx_12) {
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ == 12
  const bool as_known = seen == known_of_gxx_12;
  std::printf("%s: %s on g++ %s%s\n", trap, seen ? "present" : "absent", __VERSION__,
              as_known ? "" : ", which is not what the rules of this project assume");
  return as_known ? 0 : 1;
#else
  std::printf("%s: %s on %s (%s on g++ 12)\n", trap, seen ? "present" : "absent", __VERSION__,
              known_of_gxx_12 ? "present" : "absent");
  return 0;
#endif
}

}  // namespace canary
