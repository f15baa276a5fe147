// SPDX-License-Identifier: Apache-2.0
#include "lib/co/mailbox.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/assert.h"

namespace ballast::co {
namespace {

void write_one(int event_fd) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(event_fd, &one, sizeof one);
}

}  // namespace

Mailbox::Mailbox()
    : cells_{std::make_unique<Cell[]>(capacity)},
      event_fd_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)},
      linger_fd_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
  for (std::size_t i = 0; i < capacity; ++i) {
    cells_[i].sequence.store(i, std::memory_order_relaxed);
  }
}

Mailbox::~Mailbox() {
  for (const int fd : {event_fd_, linger_fd_}) {
    if (fd >= 0) {
      ::close(fd);
    }
  }
}

// Each cell's `sequence` counts its rounds: `position` means free for that position, `position + 1`
// means written.
void Mailbox::push(const Message& message) {
  std::size_t position = tail_.load(std::memory_order_relaxed);
  for (;;) {
    Cell& cell = cells_[position % capacity];
    const std::size_t sequence = cell.sequence.load(std::memory_order_acquire);
    if (sequence == position) {
      if (tail_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
        cell.message = message;
        cell.sequence.store(position + 1, std::memory_order_seq_cst);
        if (const int wake_fd = sleep_flag_.descriptor_to_wake(); wake_fd >= 0) {
          write_one(wake_fd);
        }
        return;
      }
    } else if (sequence < position) {
      // The queue is full, and only this thread could make room: a deadlock.
      BALLAST_ASSERT(consumer_.load(std::memory_order_relaxed) != std::this_thread::get_id());
      full_waits_.fetch_add(1, std::memory_order_relaxed);
      ::sched_yield();
      position = tail_.load(std::memory_order_relaxed);
    } else {
      position = tail_.load(std::memory_order_relaxed);
    }
  }
}

bool Mailbox::empty() const {
  const std::size_t position = head_.load(std::memory_order_relaxed);
  return cells_[position % capacity].sequence.load(std::memory_order_seq_cst) != position + 1;
}

bool Mailbox::pop(Message& message) {
  const std::size_t position = head_.load(std::memory_order_relaxed);
  Cell& cell = cells_[position % capacity];
  if (cell.sequence.load(std::memory_order_acquire) != position + 1) {
    return false;
  }
  message = cell.message;
  cell.sequence.store(position + capacity, std::memory_order_release);
  head_.store(position + 1, std::memory_order_relaxed);
  return true;
}

void Mailbox::begin_consuming() {
  consumer_.store(std::this_thread::get_id(), std::memory_order_relaxed);
}

void Mailbox::end_consuming() {
  consumer_.store(std::thread::id{}, std::memory_order_relaxed);
}

bool Mailbox::prepare_sleep(int wake_fd) {
  return sleep_flag_.prepare(wake_fd, [this] { return empty(); });
}

void Mailbox::wake_up() {
  end_sleep();
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(event_fd_, &count, sizeof count);
}

void Mailbox::kick() {
  write_one(event_fd_);
}

}  // namespace ballast::co
