// SPDX-License-Identifier: Apache-2.0
// Makes one attempt to connect to an NBD server: load the library, resolve the name, connect,
// handshake, TLS, export. It blocks for as long as name servers and files do, so it runs in an
// errand (lib/base/errand.h).
#pragma once

#include <functional>

#include "lib/backend/nbd_config.h"
#include "lib/backend/nbd_library.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::backend {

// What the server said of the export. What it does not advertise is not asked of it.
struct NbdOffer {
  Bytes size;
  Bytes minimum{1};   // requests are multiples of this
  Bytes preferred{};  // requests of this size are fast; 0: not said
  Bytes maximum;      // of the data of one request
  bool read_only = false;
  bool flush = false;
  bool fua = false;
  bool trim = false;
  bool zero = false;
  bool multi_conn = false;    // all connections see the same data, and one flush is for all
  bool block_status = false;  // base:allocation
};

// A connection that takes commands.
struct NbdPeer {
  NbdHandle handle;
  NbdOffer offer;
};

struct NbdAttempt {
  Result<NbdPeer> peer;  // the sentence names the stage that failed
  // After a failure: the server, or the configuration, will fail in the same way until somebody
  // changes it.
  bool definite = false;
};

// How long connecting to one address may take, and how long the server has for each answer of the
// handshake. A server that lets clients in one after the other needs the latter.
struct NbdPatience {
  Nanoseconds connect = std::chrono::seconds{3};
  Nanoseconds handshake = std::chrono::seconds{30};
};

// Gives up soon after `unwanted` returns true.
NbdAttempt connect_nbd(const NbdConfig& config, const std::function<bool()>& unwanted,
                       const NbdPatience& patience = {});

}  // namespace ballast::backend
