// SPDX-License-Identifier: Apache-2.0
// The backend on an export of an NBD server. nbd_open.h opens it; docs/nbd.md says what operators
// are promised.
//
// Each operation is a series of requests (nbd_operation.h) on one of the connections, each of which
// a link keeps up (nbd_link.h). While no connection is up, operations wait. What a lost connection
// does to the operations that were under way on it:
//
//   read, block_status     are sent again
//   write, zero, discard   are sent again, as a whole unless each part was durable. The backend
//                          operation goes on meanwhile, so the volume's fence holds whatever
//                          overlaps, and nothing overtakes it
//   write_once             fails with medium_error: nobody knows whether it happened
//   flush                  is sent again. But if the server had acknowledged changes that no flush
//                          has made durable, this and every later flush fails: the server may have
//                          restarted, and lost them
//
// Cancelling ends what waits for a connection and has changed nothing. Closing ends everything that
// waits for one, and waits for what is under way. Once the backend is closed, nobody notices that
// the server restarts. So it flushes what the server has acknowledged, and if that fails, or if no
// flush has told of a loss, the store's next flush fails (UnheardFlush).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/backend/backend.h"
#include "lib/backend/factory.h"
#include "lib/backend/nbd_config.h"
#include "lib/backend/nbd_connect.h"
#include "lib/backend/store_register.h"

namespace ballast::backend {

struct NbdStore {
  std::string lun;  // for the log
  NbdConfig config;
  Bytes size;  // of the LUN
  Bytes logical_block;
  std::vector<NbdPeer> peers;  // one at least
  StoreClaim claim;
};

std::unique_ptr<Backend> make_nbd(NbdStore store, const OpenContext& context);

}  // namespace ballast::backend
