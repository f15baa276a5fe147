// SPDX-License-Identifier: Apache-2.0
// Makes the backend that a configuration describes. The backend comes wrapped: in `fault` if the
// configuration names a control file, and always in `checked`, outermost.
#pragma once

#include <cstddef>
#include <memory>

#include "lib/backend/backend.h"
#include "lib/backend/store_source.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::co {
class Executor;
}
namespace ballast::io {
class Uring;
class BufferPool;
class HelperThread;
}  // namespace ballast::io

namespace ballast::backend {

// What a backend borrows from its LUN, and the size of that LUN. The references outlive the
// backend.
struct OpenContext {
  co::Executor& executor;
  io::Uring& uring;
  io::BufferPool& buffers;   // bounce buffers for O_DIRECT
  io::HelperThread& helper;  // for calls that have no asynchronous form
  // How many operations of this LUN a library has under way. While there are any, a thread that
  // lingers stays (io::Loop::set_under_way). Driving thread only.
  std::size_t& library_operations;
  Bytes size;           // the LUN's size as given to targetcli; a multiple of logical_block
  Bytes logical_block;  // the LUN's hw_block_size: 512 to 4096, a power of two
  // The store thread of the ring that submits what may sleep (io::UringFile).
  std::uint8_t store_thread = 0;
};

// Checks, before an operator makes a LUN, whether its store could be opened: parent directory, kind
// of file, permissions, the lock. Whether the size suits is not checked. Changes nothing. The
// error's message is one complete sentence for the operator. check_now() makes system calls that
// may hang with the storage: call it only on a thread that no other thread waits for. check() has
// an errand (lib/base/errand.h) make them, and returns ETIMEDOUT if the answer is not there within
// `patience`; success if the store is a remote one, for which open() waits.
Result<void> check_now(const StoreOrder& order);
Result<void> check(StoreOrder order, Nanoseconds patience);

// Starts to open the store and returns at once; the StoreSource (store_source.h) says when the
// store is open. Returns an error (EINVAL) only if the size or the block size of the LUN is
// invalid.
//
// A missing file is created sparse, with the size of the LUN, where file_take.h allows that. A
// larger file or device is used as it is. A smaller one is refused, and the message names both
// sizes. The errno_value of StoreSource::error() tells the cause: ENOENT (missing, or not the
// expected store), EACCES, EBUSY (another LUN or program has it), EFBIG (smaller than the LUN),
// EINVAL (the block size, or no O_DIRECT). A backend that was taken must be closed before it is
// destroyed: co_await backend->close().
Result<std::unique_ptr<StoreSource>> open(StoreOrder order, const OpenContext& context);

}  // namespace ballast::backend
