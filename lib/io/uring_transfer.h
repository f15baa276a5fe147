// SPDX-License-Identifier: Apache-2.0
// Operations of a Uring, from the side of the coroutine that waits for them.
//
// Uring::read and Uring::write are tasks with a frame of their own. A coroutine that moves data
// with every command can save that frame:
//
//   io::Transfer transfer{io::Transfer::Way::read, file, offset, to, 0, &ticket};
//   while (!transfer.ended()) {
//     io::Running part{uring, transfer};
//     const int got = co_await part;
//     transfer.took(got);
//   }
//   const int result = transfer.result();  // as Uring::read's
#pragma once

#include <climits>
#include <cstdint>
#include <span>

#include "lib/io/uring.h"

namespace ballast::io {

// A read or write of any length, in the parts that the kernel makes of it. The arguments are those
// of Uring::read and Uring::write, and must live as long.
class Transfer {
 public:
  enum class Way : std::uint8_t { read, write };
  // `lane`: as in OpRequest. A part that `at_once` refuses goes on through `store`.
  Transfer(Way way, UringFile file, Bytes offset, SgView view, int rw_flags, OpTicket* ticket,
           Lane lane = Lane::here);
  Transfer(Way way, UringFile file, Bytes offset, std::span<const std::byte> bytes, int rw_flags,
           OpTicket* ticket, Lane lane = Lane::here);

  bool ended() const { return result_ != going_on; }
  int result() const { return result_; }
  // Call it when a part has ended with `result`.
  void took(int result);
  // Why the kernel refused to begin a part at once: EAGAIN or EOPNOTSUPP; 0 if it did not refuse.
  int refused() const { return refused_; }

 private:
  friend class Running;
  static constexpr int going_on = INT_MIN;
  // Returns the next part. If it moves an SgView, its segments go to `segments`.
  OpRequest next(SgView* segments) const;

  Way way_;
  UringFile file_;
  std::uint64_t offset_;
  SgView view_{};  // used if bytes_ is empty
  std::span<const std::byte> bytes_{};
  Lane lane_;
  int refused_ = 0;
  int rw_flags_;
  OpTicket* ticket_;
  std::size_t size_;
  std::size_t done_ = 0;
  int restarts_ = 0;
  int result_ = going_on;
};

// One operation, which goes to the kernel when it is awaited. A local of the coroutine. The
// operation's slot does not belong to it: the last completion gives the slot back. This object only
// waits for the result.
class Running {
 public:
  Running(Uring& ring, const Transfer& transfer)
      : ring_{ring},
        request_{transfer.next(&view_)},
        ticket_{transfer.ticket_},
        wait_{ring.executor_, transfer.way_ == Transfer::Way::read ? "read" : "write"} {}
  Running(Uring& ring, const OpRequest& request, const char* what, OpTicket* ticket)
      : ring_{ring}, request_{request}, ticket_{ticket}, wait_{ring.executor_, what} {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) {
    wait_.await_suspend(handle);
    ring_.start(*this);
  }
  int await_resume() noexcept { return static_cast<int>(wait_.await_resume()); }

 private:
  friend class Uring;
  Uring& ring_;
  SgView view_{};
  OpRequest request_;
  OpTicket* ticket_;
  co::Wait wait_;
  Running* next_ = nullptr;
};

}  // namespace ballast::io
