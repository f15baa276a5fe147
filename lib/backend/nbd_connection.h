// SPDX-License-Identifier: Apache-2.0
// NbdConnection: one connection to an NBD server that takes commands, driven by the LUN's executor.
//
// A request goes to the socket when it begins, as far as the socket takes it. While requests are
// under way, io_uring polls the socket: for reading, and for writing only while libnbd has
// something left to send. An idle connection is not polled, so that an idle LUN looks idle to the
// thread that lingers (lib/io/loop.h); its death shows with the next request. So a connection that
// is given up for a new one, retire(), makes one more request: a flush.
//
// A connection dies by itself, when the server closes it, breaks the protocol or cannot be reached
// any more (nbd_peer.h). It never dies because the server is slow. Every request that is under way
// then ends with ENOTCONN: the server may have carried it out, may do so later, or never.
// nbd_close() would forget the requests, so serve() shuts the socket down and lets libnbd notice
// that before.
//
// Driving thread only. The connection must be served until it has ended.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/backend/backend.h"
#include "lib/backend/nbd_connect.h"
#include "lib/backend/nbd_peer.h"
#include "lib/co/event.h"
#include "lib/co/task.h"
#include "lib/co/task_group.h"
#include "lib/co/wait.h"
#include "lib/io/uring.h"

namespace ballast::backend {

class NbdRequest;

class NbdConnection {
 public:
  // `patience`: how long the other machine may be silent.
  NbdConnection(co::Executor& executor, io::Uring& uring, NbdPeer peer,
                Nanoseconds patience = peer_patience);
  // Asserts that no request is under way.
  ~NbdConnection();
  NbdConnection(const NbdConnection&) = delete;
  NbdConnection& operator=(const NbdConnection&) = delete;

  co::Executor& executor() { return executor_; }
  const NbdOffer& offer() const { return peer_.offer; }
  TimePoint since() const { return since_; }  // when it was made
  // Whether requests may begin. A connection that has died may look alive until it is used.
  bool is_usable() const { return !ending_ && !retiring_; }
  std::size_t under_way() const { return under_way_; }

  // Moves requests and replies until the connection has died, or until close() was called and no
  // request is under way. Call it once.
  co::Task<void> serve();
  // Why it died, in words.
  const std::string& why() const { return why_; }
  // No request begins any more. Those under way have the server's time.
  void close();
  // The same, for a connection that a new one shall replace. The server may have restarted
  // unnoticed since the last request, and a flush on the new connection need not cover what this
  // one has written. So once nothing is under way, the server is asked to flush, if it can. If it
  // does not say that it has, the connection counts as one that died: why() says so.
  void retire();
  // Whether retire() was called, and the flush has ended well.
  bool has_flushed() const { return last_flush_ == 0; }
  // Ends the connection at once, for example because the server said that it is about to shut down.
  void drop(const char* why) noexcept;

 private:
  friend class NbdRequest;
  co::Task<void> move_until_the_end();
  co::Task<void> watch_peer();
  void began(std::int64_t cookie, NbdRequest& request);
  void begin_last_flush();
  void blame_last_flush() noexcept;
  void end_last_flush(int error);
  static int last_flush_completed(void* self, int* error);
  void ended(int error) {
    --under_way_;
    ending_ |= error == ENOTCONN;
  }
  void stir();
  unsigned wanted_events() const;
  void move(unsigned events);
  bool has_more() const;
  bool is_dead() const;
  void blame(const char* why) noexcept;
  void bury();

  co::Executor& executor_;
  io::Uring& uring_;
  NbdPeer peer_;
  const Nanoseconds patience_;
  const TimePoint since_;
  std::size_t under_way_ = 0;
  bool ending_ = false;              // no request begins any more
  bool dropped_ = false;             // to be ended at once
  bool retiring_ = false;            // only the last flush may begin yet
  std::optional<int> last_flush_{};  // how it has ended: a positive errno value, or 0
  std::string why_;
  co::Waker idler_{};             // serve(), while nothing is under way
  io::OpTicket* poll_ = nullptr;  // serve(), while it polls for `polled_`
  unsigned polled_ = 0;
  co::TaskGroup watch_;  // watch_peer(), while served
  co::Event look_;       // watch_peer() has something to do
  bool parked_ = false;  // watch_peer() waits for a request to begin
  bool served_ = false;  // serve() has ended
};

// One request. A local of the coroutine that makes it: begin it with one of the functions, then
// await it once. It ends with 0, or with a positive errno value as the server gave it. ENOTCONN:
// the connection died. The data stays valid until then. Requests cannot be cancelled.
class NbdRequest {
 public:
  NbdRequest(NbdConnection& connection, const char* what)
      : connection_{connection}, wait_{connection.executor(), what} {}
  NbdRequest(const NbdRequest&) = delete;
  NbdRequest& operator=(const NbdRequest&) = delete;

  void read(Bytes offset, std::span<std::byte> to);
  void write(Bytes offset, std::span<const std::byte> from, std::uint32_t flags);
  void zero(Bytes offset, Bytes length, std::uint32_t flags);
  void trim(Bytes offset, Bytes length, std::uint32_t flags);
  void flush();
  // Appends the server's extents of base:allocation to `out`, as it sends them: pairs of length and
  // flags. If it sends more than `most` pairs, the request fails with EPROTO.
  void block_status(Bytes offset, Bytes length, std::size_t most, std::vector<std::uint32_t>* out);

  bool await_ready() const noexcept { return wait_.await_ready(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    wait_.await_suspend(handle);
  }
  int await_resume() noexcept { return static_cast<int>(wait_.await_resume()); }

 private:
  friend class NbdConnection;
  nbd_handle* handle() const { return connection_.peer_.handle.get(); }
  nbd_completion_callback done();
  static int completed(void* self, int* error);
  static int extents(void* self, const char* context, std::uint64_t offset, std::uint32_t* entries,
                     std::size_t count, int* error);

  NbdConnection& connection_;
  co::Wait wait_;
  std::vector<std::uint32_t>* extents_ = nullptr;
  std::size_t most_ = 0;
};

}  // namespace ballast::backend
