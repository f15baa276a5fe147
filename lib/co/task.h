// SPDX-License-Identifier: Apache-2.0
// Task<T>: a coroutine of this project. It is lazy, awaited exactly once, and bound to one
// executor.
//
// A coroutine that returns Task must name its executor in its parameters. The first parameter that
// is an Executor or has executor() decides; for a member function, the first parameter is the
// object itself. The frame comes from that executor's pool. Awaiting a task starts it. It runs in
// the caller's turn and returns to the caller, without the run queue and without deepening the
// stack.
//
// Errors here are values. Only std::bad_alloc may leave the body of a task, and only if its type
// has a value for it: the task then ends with the value of when_out_of_memory(T*), which is found
// by name. Any other exception ends the process.
//
//   Task<IoStatus> File::read(Bytes offset, io::SgView to);   // File has executor()
//   const IoStatus status = co_await file.read(offset, to);   // never inside a condition
//
// There are no detached tasks: a task that is not awaited is spawned into a TaskGroup.
#pragma once

#include <cerrno>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "lib/base/assert.h"
#include "lib/co/executor.h"

namespace ballast::co {

class TaskGroup;
template <class T>
class Task;

// Is told when a task ends, after the task's locals are gone and before its awaiter goes on. It
// saves a frame: a coroutine that would wrap another only to do something afterwards can be a plain
// function that returns the other's task and listens to it (Task::on_end). Must not destroy the
// task.
template <class T>
class TaskListener {
 public:
  virtual void task_ended(const T& value, std::uint32_t tag) = 0;
  // Called instead of task_ended() when the task is destroyed without having been awaited.
  virtual void task_dropped(std::uint32_t tag) = 0;

 protected:
  ~TaskListener() = default;
};

// A listener and its tag, whose meaning the listener chooses.
template <class T>
struct TaskEnding {
  TaskListener<T>* listener = nullptr;
  std::uint32_t tag = 0;
  void tell(const T& value) const {
    if (listener != nullptr) {
      listener->task_ended(value, tag);
    }
  }
  void drop() const {
    if (listener != nullptr) {
      listener->task_dropped(tag);
    }
  }
};

template <class T>
concept NamesExecutor = requires(T& t) {
  { t.executor() } -> std::same_as<Executor&>;
};

template <class First, class... Rest>
Executor& executor_of(First& first, Rest&... rest) {
  using Plain = std::remove_cv_t<First>;
  if constexpr (NamesExecutor<Plain>) {
    return const_cast<Plain&>(first).executor();
  } else if constexpr (std::is_pointer_v<Plain>) {
    if constexpr (NamesExecutor<std::remove_cv_t<std::remove_pointer_t<Plain>>>) {
      return first->executor();
    } else {
      return executor_of(rest...);
    }
  } else {
    static_assert(sizeof...(Rest) > 0, "a Task's parameters must name its executor");
    return executor_of(rest...);
  }
}

constexpr int when_out_of_memory(const int*) {
  return -ENOMEM;
}
// Of a text that explains something, nothing is left.
inline std::string when_out_of_memory(const std::string*) {
  return {};
}

[[noreturn]] inline void exception_left_task() noexcept {
  assertion_failed("an exception left a task", __FILE__, __LINE__);
}

struct PromiseBase {
  template <class... Args>
  explicit PromiseBase(Args&... args) : executor_{&executor_of(args...)} {}

  // Inlined even at -O0. Otherwise g++ takes the template for a mismatch with the plain delete.
  template <class... Args>
  [[gnu::always_inline]] static void* operator new(std::size_t size, Args&... args) {
    return executor_of(args...).frames().allocate(size);
  }
  static void operator delete(void* frame) noexcept { FramePool::release(frame); }

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) noexcept {
      if constexpr (requires { handle.promise().ending_; }) {
        handle.promise().ending_.tell(*handle.promise().value_);
      }
      PromiseBase& promise = handle.promise();
      if (promise.continuation_) {
        promise.executor_->transfer_to(promise.continuation_);
      } else {
        promise.executor_->finish(&promise);
      }
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }

  Executor& executor() const { return *executor_; }
  TaskInfo* info() const { return info_; }

  Executor* executor_;
  TaskInfo* info_ = nullptr;
  std::coroutine_handle<> continuation_{};
  Site awaited_at_{};               // where continuation_ awaits it
  TaskGroup* group_ = nullptr;      // set by spawn
  std::coroutine_handle<> self_{};  // set by spawn
};

template <class T>
struct Promise final : PromiseBase {
  using PromiseBase::PromiseBase;
  Task<T> get_return_object() noexcept;
  template <class U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() {
    BALLAST_ASSERT(value_.has_value());
    return std::move(*value_);
  }
  void unhandled_exception() noexcept {
    if constexpr (requires(T * type) { when_out_of_memory(type); }) {
      out_of_memory(when_out_of_memory(static_cast<T*>(nullptr)));
    } else {
      exception_left_task();
    }
  }
  std::optional<T> value_;
  TaskEnding<T> ending_;

 private:
  void out_of_memory(T value) noexcept {
    try {
      throw;
    } catch (const std::bad_alloc&) {
      value_.emplace(std::move(value));
    } catch (...) {
      exception_left_task();
    }
  }
};

template <>
struct Promise<void> final : PromiseBase {
  using PromiseBase::PromiseBase;
  Task<void> get_return_object() noexcept;
  void return_void() noexcept {}
  [[noreturn]] void unhandled_exception() noexcept { exception_left_task(); }
  void take() noexcept {}
};

template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  Task(Task&& other) noexcept : handle_{std::exchange(other.handle_, {})} {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Task() { destroy(); }
  bool empty() const { return !handle_; }  // default-constructed, or moved from

  class Awaiter {
   public:
    explicit Awaiter(Handle child) : child_{child} {}
    bool await_ready() const noexcept { return false; }
    template <class Parent>
    void await_suspend(std::coroutine_handle<Parent> parent, Site site = Site::current()) noexcept {
      PromiseBase& child = child_.promise();
      BALLAST_ASSERT(!child.continuation_);                             // one awaiter
      BALLAST_ASSERT(child.executor_ == &parent.promise().executor());  // one executor
      child.continuation_ = parent;
      child.awaited_at_ = site;
      child.info_ = parent.promise().info();
      child.executor_->transfer_to(child_);
    }
    T await_resume() { return child_.promise().take(); }

   private:
    Handle child_;
  };

  // Makes `ending` hear of the end of this task, which must not have been awaited yet. Returns the
  // ending that was set before; `ending` must tell that one first (TaskEnding::tell, drop).
  TaskEnding<T> on_end(TaskEnding<T> ending) requires(!std::is_void_v<T>) {
    BALLAST_ASSERT(handle_);
    return std::exchange(handle_.promise().ending_, ending);
  }

  Awaiter operator co_await() && {
    BALLAST_ASSERT(handle_);
    return Awaiter{handle_};
  }

 private:
  friend promise_type;
  friend class TaskGroup;
  explicit Task(Handle handle) : handle_{handle} {}
  void destroy() {
    if (handle_) {
      // The task was never started, or it has finished. A suspended task is still known to a waker.
      BALLAST_ASSERT(!handle_.promise().continuation_ || handle_.done());
      if constexpr (!std::is_void_v<T>) {
        if (!handle_.done()) {
          handle_.promise().ending_.drop();
        }
      }
      std::exchange(handle_, {}).destroy();
    }
  }
  Handle handle_{};
};

template <class T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>{std::coroutine_handle<Promise<T>>::from_promise(*this)};
}
inline Task<void> Promise<void>::get_return_object() noexcept {
  return Task<void>{std::coroutine_handle<Promise<void>>::from_promise(*this)};
}

}  // namespace ballast::co
