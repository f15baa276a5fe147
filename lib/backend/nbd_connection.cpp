// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/nbd_connection.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "lib/base/assert.h"

namespace ballast::backend {
namespace {

// After so many reads of the socket the executor's other work has its turn.
constexpr int moves_in_a_row = 64;
// libnbd reaches its end within a few steps once the socket is shut down.
constexpr int steps_to_the_end = 1000;
// How often the other machine is looked after while requests are under way, at most.
constexpr Nanoseconds longest_look = std::chrono::seconds{5};

}  // namespace

NbdConnection::NbdConnection(co::Executor& executor, io::Uring& uring, NbdPeer peer,
                             Nanoseconds patience)
    : executor_{executor},
      uring_{uring},
      peer_{std::move(peer)},
      patience_{patience},
      since_{executor_.now()},
      watch_{executor_},
      look_{executor_, "a reason to look after the NBD server's machine"} {}

NbdConnection::~NbdConnection() {
  BALLAST_ASSERT(under_way_ == 0);
}

bool NbdConnection::is_dead() const {
  nbd_handle* const handle = peer_.handle.get();
  return nbd().aio_is_dead(handle) == 1 || nbd().aio_is_closed(handle) == 1;
}

unsigned NbdConnection::wanted_events() const {
  const unsigned direction = nbd().aio_get_direction(peer_.handle.get());
  const bool reads = (direction & LIBNBD_AIO_DIRECTION_READ) != 0;
  const bool writes = (direction & LIBNBD_AIO_DIRECTION_WRITE) != 0;
  return (reads ? unsigned{POLLIN} : 0U) | (writes ? unsigned{POLLOUT} : 0U);
}

co::Task<void> NbdConnection::serve() {
  watch_.spawn("nbd: the server's machine", watch_peer());
  co_await move_until_the_end();
  served_ = true;
  look_.set();
  co_await watch_.join();
}

co::Task<void> NbdConnection::watch_peer() {
  const Nanoseconds interval = std::min(longest_look, patience_ / 8);
  while (!served_) {
    look_.reset();
    parked_ = under_way_ == 0;
    const TimePoint until = parked_ ? co::Timers::never : executor_.now() + interval;
    (void)co_await look_.wait_until(until);
    if (!served_ && under_way_ > 0 &&
        peer_is_gone(nbd().aio_get_fd(peer_.handle.get()), patience_)) {
      drop("the server's machine does not answer any more");
    }
  }
}

co::Task<void> NbdConnection::move_until_the_end() {
  const int fd = nbd().aio_get_fd(peer_.handle.get());
  while (!is_dead() && !dropped_ && !(ending_ && under_way_ == 0)) {
    if (under_way_ == 0 && retiring_) {
      begin_last_flush();
      continue;
    }
    if (under_way_ == 0) {
      co::Wait idle{executor_, "a request to the NBD server"};
      idler_ = idle.waker();
      co_await idle;
      idler_ = {};
      continue;
    }
    io::OpTicket ticket;
    poll_ = &ticket;
    polled_ = wanted_events();
    const int came = co_await uring_.poll(fd, polled_, &ticket);
    poll_ = nullptr;
    if (came >= 0) {
      move(static_cast<unsigned>(came));
    } else if (!ticket.cancel_requested()) {
      drop(std::strerror(-came));
    }
  }
  bury();
}

// Lets libnbd read and write. A socket that has an error or was closed says so when it is read.
// libnbd must not be told to read when there is nothing to read: it would wait for the beginning of
// a reply then, and neither begin nor go on with sending a request before that.
void NbdConnection::move(unsigned events) {
  nbd_handle* const handle = peer_.handle.get();
  for (int i = 0; i < moves_in_a_row; ++i) {
    const std::size_t before = under_way_;
    const unsigned wanted = wanted_events();
    const bool writes = (wanted & POLLOUT) != 0 && (events & (POLLOUT | POLLERR | POLLHUP)) != 0;
    const bool reads = (wanted & POLLIN) != 0 && (events & (POLLIN | POLLERR | POLLHUP)) != 0;
    if (!reads && !writes) {
      return;
    }
    const int result = reads ? nbd().aio_notify_read(handle) : nbd().aio_notify_write(handle);
    if (result != 0) {
      blame(nbd_error_text());
      dropped_ = true;
      return;
    }
    // Nothing ended: the rest is not there yet. Nothing is left: there is nothing to wait for.
    if (is_dead() || under_way_ == before || under_way_ == 0 || !has_more()) {
      return;
    }
    events = POLLIN;
  }
}

// Whether the next reply has begun to come. Cheaper than a poll through the ring.
bool NbdConnection::has_more() const {
  char first = 0;
  return ::recv(nbd().aio_get_fd(peer_.handle.get()), &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

// Ends what is under way, with ENOTCONN.
void NbdConnection::bury() {
  nbd_handle* const handle = peer_.handle.get();
  const bool alive = !dropped_ && !is_dead();
  const bool flush_failed = alive && last_flush_.value_or(0) != 0;
  const bool by_us = ending_ && under_way_ == 0 && alive && !flush_failed;
  ending_ = true;
  if (by_us) {
    (void)nbd().aio_disconnect(handle, 0);  // tells the server that this is no accident
    return;
  }
  if (flush_failed) {
    blame_last_flush();
  }
  blame("the server closed it");
  (void)::shutdown(nbd().aio_get_fd(handle), SHUT_RDWR);
  for (int i = 0; i < steps_to_the_end && !is_dead(); ++i) {
    (void)((wanted_events() & POLLOUT) != 0 ? nbd().aio_notify_write(handle)
                                            : nbd().aio_notify_read(handle));
  }
  BALLAST_ASSERT(under_way_ == 0);
}

void NbdConnection::close() {
  ending_ = true;
  stir();
}

void NbdConnection::retire() {
  retiring_ = peer_.offer.flush && !peer_.offer.read_only;
  ending_ |= !retiring_;
  stir();
}

void NbdConnection::drop(const char* why) noexcept {
  blame(why);
  dropped_ = true;
  close();
}

// The first reason counts.
void NbdConnection::blame(const char* why) noexcept {
  if (!why_.empty()) {
    return;
  }
  try {
    why_ = why != nullptr ? why : "unknown error";
  } catch (const std::bad_alloc&) {
    why_ = "out of memory";  // short enough to need none
  }
}

void NbdConnection::blame_last_flush() noexcept {
  try {
    blame(fmt::format("the server's last flush failed: {}", std::strerror(last_flush_.value_or(0)))
              .c_str());
  } catch (const std::bad_alloc&) {
    blame(nullptr);
  }
}

// Something has changed that serve() must look at.
void NbdConnection::stir() {
  if (idler_) {
    (void)std::exchange(idler_, {}).wake();
  } else if (poll_ != nullptr && (is_dead() || dropped_ || (wanted_events() & ~polled_) != 0)) {
    uring_.cancel(*poll_);
  }
}

// --- the last flush

void NbdConnection::begin_last_flush() {
  ++under_way_;
  const nbd_completion_callback done{
      .callback = &NbdConnection::last_flush_completed, .user_data = this, .free = nullptr};
  if (nbd().aio_flush(peer_.handle.get(), done, 0) < 0) {  // libnbd does not call back
    const int error = is_dead() ? ENOTCONN : nbd().get_errno();
    end_last_flush(error != 0 ? error : EIO);
  }
  if (parked_) {
    look_.set();
  }
}

void NbdConnection::end_last_flush(int error) {
  ended(error);
  ending_ = true;
  last_flush_ = error;
}

// libnbd calls it with its lock held, so it only takes a note.
int NbdConnection::last_flush_completed(void* self, int* error) {
  static_cast<NbdConnection*>(self)->end_last_flush(*error);
  return 1;  // libnbd may forget it
}

// --- requests

nbd_completion_callback NbdRequest::done() {
  BALLAST_ASSERT(connection_.is_usable());
  ++connection_.under_way_;
  return {.callback = &NbdRequest::completed, .user_data = this, .free = nullptr};
}

// libnbd calls it with its lock held, so it only takes a note.
int NbdRequest::completed(void* self, int* error) {
  NbdRequest& request = *static_cast<NbdRequest*>(self);
  request.connection_.ended(*error);
  (void)request.wait_.waker().wake(*error);
  return 1;  // libnbd may forget it
}

// `cookie`: what libnbd returned for the request.
void NbdConnection::began(std::int64_t cookie, NbdRequest& request) {
  if (cookie < 0) {  // libnbd has not taken it, and does not call back
    const int error = is_dead() ? ENOTCONN : nbd().get_errno();
    ended(error);
    (void)request.wait_.waker().wake(error != 0 ? error : EIO);
  }
  if (parked_) {
    look_.set();
  }
  stir();
}

void NbdRequest::read(Bytes offset, std::span<std::byte> to) {
  connection_.began(nbd().aio_pread(handle(), to.data(), to.size(), offset.value(), done(), 0),
                    *this);
}

void NbdRequest::write(Bytes offset, std::span<const std::byte> from, std::uint32_t flags) {
  connection_.began(
      nbd().aio_pwrite(handle(), from.data(), from.size(), offset.value(), done(), flags), *this);
}

void NbdRequest::zero(Bytes offset, Bytes length, std::uint32_t flags) {
  connection_.began(nbd().aio_zero(handle(), length.value(), offset.value(), done(), flags), *this);
}

void NbdRequest::trim(Bytes offset, Bytes length, std::uint32_t flags) {
  connection_.began(nbd().aio_trim(handle(), length.value(), offset.value(), done(), flags), *this);
}

void NbdRequest::flush() {
  connection_.began(nbd().aio_flush(handle(), done(), 0), *this);
}

void NbdRequest::block_status(Bytes offset, Bytes length, std::size_t most,
                              std::vector<std::uint32_t>* out) {
  extents_ = out;
  most_ = most;
  const nbd_extent_callback told{
      .callback = &NbdRequest::extents, .user_data = this, .free = nullptr};
  connection_.began(
      nbd().aio_block_status(handle(), length.value(), offset.value(), told, done(), 0), *this);
}

int NbdRequest::extents(void* self, const char*, std::uint64_t, std::uint32_t* entries,
                        std::size_t count, int* error) {
  NbdRequest& request = *static_cast<NbdRequest*>(self);
  try {
    if (request.extents_->size() + count <= 2 * request.most_) {
      request.extents_->insert(request.extents_->end(), entries, entries + count);
      return 0;
    }
    *error = EPROTO;
  } catch (const std::bad_alloc&) {
    *error = ENOMEM;
  }
  return -1;
}

}  // namespace ballast::backend
