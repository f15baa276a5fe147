// SPDX-License-Identifier: Apache-2.0
// How other threads reach an executor: a bounded queue of messages, many producers, one consumer.
//
// A message is a function and two words; it is run on the executor at the start of its next tick,
// in the order of posting. A producer that finds the queue full yields its time slice until there
// is room, and the times that happened are counted. Foreign threads may wait so; code that runs on
// the executor would wait for itself, which is asserted. Waking the consumer costs one eventfd
// write per sleep: only the first message after the consumer said prepare_sleep() writes.
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

  // False: there were no descriptors, and it may only be destroyed.
  bool is_open() const { return event_fd_ >= 0 && linger_fd_ >= 0; }

  // Any thread.
  void push(const Message& message);
  bool empty() const;

  // The consumer: the executor's driving thread.
  bool pop(Message& message);
  // Around a tick: the calling thread is the one that makes room.
  void begin_consuming();
  void end_consuming();

  // The sleeping protocol. fd() is an eventfd (non-blocking) that becomes readable when a message
  // comes after prepare_sleep(). prepare_sleep() returns false if messages wait already: don't
  // sleep then. wake_up() ends the sleep and drains the eventfd. kick() makes fd() readable.
  int fd() const { return event_fd_; }
  bool prepare_sleep() { return prepare_sleep(event_fd_); }
  void wake_up();
  void kick();
  // The same for a second thread that may sleep instead, undisturbed by the first and not
  // disturbing it: prepare_sleep(linger_fd()). end_sleep() is wake_up() without the system call;
  // whoever polled a descriptor drains it himself.
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
  std::atomic<std::thread::id> consumer_{};  // who is in a tick now
  int event_fd_;
  int linger_fd_;
};

}  // namespace ballast::co
