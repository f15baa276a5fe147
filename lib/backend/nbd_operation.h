// SPDX-License-Identifier: Apache-2.0
// NbdOperation: one operation of a backend as a series of NBD requests, one after the other. It
// cuts the range where the server's limits want it, and begins again where a lost connection leaves
// no other way.
//
// What a lost connection does to it. A read goes on with the request that was under way. A change
// that the server has not made durable with FUA begins anew as a whole: the server may have
// restarted, and forgotten what it had acknowledged of it. So does a change that is made durable by
// a flush at its end.
//
// A local of the coroutine that carries it out. It allocates nothing.
#pragma once

#include <cstdint>
#include <span>

#include "lib/backend/nbd_connection.h"
#include "lib/backend/op_status.h"
#include "lib/io/sg.h"

namespace ballast::backend {

class NbdOperation {
 public:
  enum class Way : std::uint8_t { read, write, zero, zero_keeping_space, trim, flush };
  // What a list of several segments is copied through, at most.
  static constexpr std::size_t bounce_size = std::size_t{1} << 20;

  static NbdOperation move(Way way, Bytes offset, io::SgView view) {
    NbdOperation operation{way, offset, Bytes{view.size()}};
    operation.view_ = view;
    return operation;
  }
  static NbdOperation clear(Way way, Bytes offset, Bytes length) {
    return NbdOperation{way, offset, length};
  }
  static NbdOperation flush() { return NbdOperation{Way::flush, Bytes{}, Bytes{}}; }

  // The change is durable when it ends, by FUA or else by a flush.
  void make_durable(const NbdOffer& offer) {
    fua_ = offer.fua;
    flush_at_end_ = !offer.fua && offer.flush;
    durable_ = true;
  }

  // If the connection is lost, the operation ends with EIO.
  void do_once() { once_ = true; }

  const char* name() const;
  OpKind kind() const;
  Bytes offset() const { return offset_; }
  Bytes length() const { return length_; }
  bool is_change() const { return way_ != Way::read && way_ != Way::flush; }
  bool is_durable() const { return durable_; }
  // How large a buffer begin() needs; 0: none.
  std::size_t bounce() const;
  // Whether anything of a change may have happened.
  bool touched() const { return touched_; }
  bool ended() const { return ended_; }
  // A positive errno value, or 0.
  int error() const { return error_; }

  // Begins the next request. `losses`: how many connections were lost so far.
  void begin(NbdRequest& request, const NbdOffer& offer, Bytes block, std::span<std::byte> bounce,
             std::uint64_t losses);
  // The request has ended with `error`. ENOTCONN: another one is needed.
  void took(int error, std::uint64_t losses);

 private:
  NbdOperation(Way way, Bytes offset, Bytes length) : way_{way}, offset_{offset}, length_{length} {}
  bool goes_on_after_a_loss() const { return way_ == Way::read || fua_; }
  void begin_anew();

  Way way_;
  Bytes offset_;
  Bytes length_;
  io::SgView view_{};
  std::span<std::byte> bounce_{};
  Bytes done_{};
  Bytes part_{};  // of the request that is under way
  std::uint64_t losses_ = 0;
  int error_ = 0;
  bool durable_ = false;
  bool fua_ = false;
  bool flush_at_end_ = false;
  bool once_ = false;
  bool flushing_ = false;
  bool touched_ = false;
  bool ended_ = false;
};

}  // namespace ballast::backend
