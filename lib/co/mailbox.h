// SPDX-License-Identifier: Apache-2.0
// The way from other threads to an executor: a bounded queue of messages with many producers and
// one consumer.
//
// A message is a function and two words. The executor runs it at the start of its next tick, in the
// order of posting. A producer that finds the queue full yields its time slice until there is room;
// these waits are counted. Other threads may wait so. Code that runs on the executor would wait for
// itself, so push() asserts that it does not. Waking the consumer costs one eventfd write per
// sleep: only the first message after prepare_sleep() writes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>

#include "lib/co/sleep_flag.h"
#include "lib/co/wait.h"

namespace ballast::co {

struct Message {
  void (*run)(void* context, std::int64_t value) = nullptr;  // null: wake `waker` with `value`
  void* context = nullptr;
  std::int64_t value = 0;
  Waker waker{};
  Site site{};
};

class Mailbox {
 public:
  static constexpr std::size_t capacity = 1024;  // messages; a power of two
  // Takes two descriptors; see is_open().
  Mailbox();
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // False: there were no descriptors, and the mailbox may only be destroyed.
  bool is_open() const { return event_fd_ >= 0 && linger_fd_ >= 0; }

  // Any thread.
  void push(const Message& message);
  bool empty() const;
  // Whether half of the queue waits: the consumer does not come to it. Who can do without asks this
  // first, so that those who must post find room.
  bool is_crowded() const {
    return tail_.load(std::memory_order_relaxed) - head_.load(std::memory_order_relaxed) >=
           capacity / 2;
  }

  // The consumer: the executor's driving thread.
  bool pop(Message& message);
  // Call them around a tick. In between, only the calling thread can make room in the queue.
  void begin_consuming();
  void end_consuming();

  // The sleeping protocol. fd() is an eventfd (non-blocking) that becomes readable when a message
  // comes after prepare_sleep(). If prepare_sleep() returns false, messages wait already: do not
  // sleep. wake_up() ends the sleep and drains the eventfd. kick() makes fd() readable.
  int fd() const { return event_fd_; }
  bool prepare_sleep() { return prepare_sleep(event_fd_); }
  void wake_up();
  void kick();
  // The same for a second thread that may sleep instead of the first: prepare_sleep(linger_fd()).
  // The two do not disturb each other. end_sleep() is wake_up() without the system call; a thread
  // that polled a descriptor drains it itself.
  int linger_fd() const { return linger_fd_; }
  bool prepare_sleep(int wake_fd);
  void end_sleep() { sleep_flag_.end(); }

  std::uint64_t full_waits() const { return full_waits_.load(std::memory_order_relaxed); }

 private:
  struct Cell {
    std::atomic<std::size_t> sequence;
    Message message;
  };
  std::unique_ptr<Cell[]> cells_;
  alignas(64) std::atomic<std::size_t> tail_{0};  // next to write
  alignas(64) std::atomic<std::size_t> head_{0};  // next to read
  alignas(64) SleepFlag<std::atomic> sleep_flag_;
  std::atomic<std::uint64_t> full_waits_{0};
  std::atomic<std::thread::id> consumer_{};  // the thread that is in a tick now
  int event_fd_;
  int linger_fd_;
};

}  // namespace ballast::co
