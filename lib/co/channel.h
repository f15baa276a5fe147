// SPDX-License-Identifier: Apache-2.0
// A bounded first-in first-out channel between coroutines of one executor.
//
//   const bool taken = co_await channel.push(std::move(value));  // waits while full; false: closed
//   std::optional<T> next = co_await channel.pop();              // waits while empty; empty:
//   closed
//                                                                // and drained
//
// Values come out in the order they went in, and go to poppers in the order those came. A value is
// handed over before its popper runs. close() lets poppers drain what is there; pushers that wait
// get false, and their values are destroyed. Destroying a channel that is waited for is a bug
// (asserted); values still in it are destroyed. Driving thread only; allocates at construction only
// (T itself may).
#pragma once

#include <coroutine>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "lib/co/executor.h"
#include "lib/co/intrusive_list.h"

namespace ballast::co {

template <class T>
class Channel {
 public:
  Channel(Executor& executor, std::size_t capacity, const char* what = "channel")
      : executor_{executor},
        what_{what},
        capacity_{capacity},
        ring_{std::make_unique<std::optional<T>[]>(capacity)} {
    BALLAST_ASSERT(capacity > 0);
  }
  ~Channel() = default;  // asserts that nobody waits
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  class Pusher : public ListNode<Pusher> {
   public:
    Pusher(Channel& channel, T value, Site site)
        : channel_{channel}, value_{std::move(value)}, site_{site} {}
    bool await_ready() {
      taken_ = channel_.try_push_from(value_);
      return taken_ || channel_.closed_;
    }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) {
      channel_.pushers_.push_back(*this);
      wait_.emplace(channel_.executor_, channel_.what_, site_);
      wait_->await_suspend(handle);
    }
    [[nodiscard]] bool await_resume() {
      if (wait_.has_value()) {
        (void)wait_->await_resume();
      }
      return taken_;
    }

   private:
    friend class Channel;
    Channel& channel_;
    T value_;
    Site site_;
    bool taken_ = false;
    std::optional<Wait> wait_;
  };

  class Popper : public ListNode<Popper> {
   public:
    Popper(Channel& channel, Site site) : channel_{channel}, site_{site} {}
    bool await_ready() {
      value_ = channel_.try_pop();
      return value_.has_value() || channel_.closed_;
    }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) {
      channel_.poppers_.push_back(*this);
      wait_.emplace(channel_.executor_, channel_.what_, site_);
      wait_->await_suspend(handle);
    }
    std::optional<T> await_resume() {
      if (wait_.has_value()) {
        (void)wait_->await_resume();
      }
      return std::move(value_);
    }

   private:
    friend class Channel;
    Channel& channel_;
    Site site_;
    std::optional<T> value_;
    std::optional<Wait> wait_;
  };

  Executor& executor() { return executor_; }
  std::size_t capacity() const { return capacity_; }
  std::size_t size() const { return size_; }
  bool closed() const { return closed_; }

  Pusher push(T value, Site site = Site::current()) {
    return Pusher{*this, std::move(value), site};
  }
  Popper pop(Site site = Site::current()) { return Popper{*this, site}; }

  // False if full or closed; the value is then untouched.
  bool try_push(T& value) { return try_push_from(value); }
  bool try_push(T&& value) { return try_push_from(value); }
  // Empty if there is none.
  std::optional<T> try_pop();

  // Closing twice does nothing.
  void close();

 private:
  bool try_push_from(T& value);
  void store(T& value) {
    ring_[(first_ + size_) % capacity_].emplace(std::move(value));
    ++size_;
  }

  Executor& executor_;
  const char* what_;
  std::size_t capacity_;
  std::unique_ptr<std::optional<T>[]> ring_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  bool closed_ = false;
  IntrusiveList<Pusher> pushers_;
  IntrusiveList<Popper> poppers_;
};

template <class T>
bool Channel<T>::try_push_from(T& value) {
  if (closed_ || size_ == capacity_) {
    return false;
  }
  if (Popper* const popper = poppers_.pop_front()) {
    popper->value_.emplace(std::move(value));
    (void)popper->wait_->waker().wake();
  } else {
    store(value);
  }
  return true;
}

template <class T>
std::optional<T> Channel<T>::try_pop() {
  if (size_ == 0) {
    return std::nullopt;
  }
  std::optional<T> value = std::exchange(ring_[first_], std::nullopt);
  first_ = (first_ + 1) % capacity_;
  --size_;
  if (Pusher* const pusher = pushers_.pop_front()) {
    store(pusher->value_);
    pusher->taken_ = true;
    (void)pusher->wait_->waker().wake();
  }
  return value;
}

template <class T>
void Channel<T>::close() {
  closed_ = true;
  while (Pusher* const pusher = pushers_.pop_front()) {
    (void)pusher->wait_->waker().wake();
  }
  while (Popper* const popper = poppers_.pop_front()) {
    (void)popper->wait_->waker().wake();
  }
}

}  // namespace ballast::co
