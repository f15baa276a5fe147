// SPDX-License-Identifier: Apache-2.0
// NbdLink: keeps one connection to an NBD server up. When the connection dies, an errand connects
// again (attempts.h): at once, then after pauses of 10 ms to 1 s. A connection that died within a
// second of its making makes the link pause first, so that a server that closes each connection at
// its first request is not asked more than once a second for long.
//
// A server that offers less than it did when the LUN was opened is not used: the initiators have
// been told what the LUN can do. One exception: an export that has become smaller is used as far as
// it goes, unless nothing is left of it. Driving thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "lib/backend/attempts.h"
#include "lib/backend/nbd_connection.h"
#include "lib/co/event.h"

namespace ballast::backend {

// Whether a LUN that was promised `promised`, with blocks of `logical_block`, can go on with a
// server that offers `offered`. EINVAL, or EFBIG if it is too small.
Result<void> check_offer(const NbdOffer& promised, const NbdOffer& offered, Bytes logical_block);

class NbdLink {
 public:
  // Hears of the connection. The calls come from keep().
  class Listener {
   public:
    virtual void link_lost() = 0;   // requests may have been under way, or not
    virtual void link_found() = 0;  // usable() is not null any more
    // renew(mark) was called, and the server has flushed since.
    virtual void link_flushed(std::uint64_t mark) = 0;

   protected:
    ~Listener() = default;
  };
  struct Setup {
    std::string lun;  // for the log
    NbdConfig config;
    Bytes logical_block;
  };

  // `promised` outlives the link; its size may change.
  NbdLink(co::Executor& executor, io::Uring& uring, Setup setup, const NbdOffer& promised,
          NbdPeer first, Listener& listener);
  ~NbdLink() = default;
  NbdLink(const NbdLink&) = delete;
  NbdLink& operator=(const NbdLink&) = delete;

  co::Executor& executor() { return executor_; }
  // The connection, if requests may begin on it; else null.
  NbdConnection* usable() const {
    return connection_ != nullptr && connection_->is_usable() ? connection_.get() : nullptr;
  }

  // Requests on the connection, also on one on which no others may begin.
  std::size_t under_way() const { return connection_ != nullptr ? connection_->under_way() : 0; }

  // Serves the connection, and makes new ones, until close().
  co::Task<void> keep();
  // From now on no new connection is made. The present one goes on.
  void stop_connecting() { stopping_.set(); }
  // Ends the connection as soon as nothing is under way on it.
  void close();
  // The same, with a flush as the last request, and then makes a new one, because the server may
  // have another size by now. If the flush fails, the connection counts as lost.
  void renew(std::uint64_t mark);

 private:
  co::Task<bool> connect_again(Nanoseconds pause);
  bool use(NbdPeer peer);
  void log_size();
  Attempts<NbdPeer>::Plan plan() const;

  co::Executor& executor_;
  io::Uring& uring_;
  const std::shared_ptr<const Setup> setup_;
  const NbdOffer& promised_;
  Listener& listener_;
  std::unique_ptr<NbdConnection> connection_;  // null while there is none
  Bytes logged_;                               // the size that log_size() has spoken of
  std::uint64_t mark_ = 0;                     // of the last renew() of a connection
  co::Event stopping_;
};

}  // namespace ballast::backend
