// SPDX-License-Identifier: Apache-2.0
// From what a configuration says of a store to a backend, already wrapped: in `fault` where it
// names a control file, and always in `checked` outermost.
#pragma once

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

// What a backend borrows. All of it outlives the backend; all of it belongs to one LUN.
struct OpenContext {
  co::Executor& executor;
  io::Uring& uring;
  io::BufferPool& buffers;   // bounce buffers for O_DIRECT
  io::HelperThread& helper;  // for what has no asynchronous form
  Bytes size;                // the LUN's, as given to targetcli; a multiple of logical_block
  Bytes logical_block;       // the LUN's hw_block_size: 512 to 4096, a power of two
};

// Looks at the world, on behalf of somebody who is about to make a LUN, as far as can be seen
// without its size: parent directory, kind of file, permissions, the lock. Changes nothing. The
// message is for the operator, complete, one sentence. check_now() makes system calls that may hang
// with the storage: for threads that nobody waits for. check() has them made by another thread, and
// fails if the answer is not there within `patience`.
Result<void> check_now(const StoreOrder& order);
Result<void> check(StoreOrder order, Nanoseconds patience);

// Starts opening; does not wait, but for what is open at once. An error: the LUN's size or block is
// none.
//
// A missing file is created sparse, with the size of the LUN. A larger file or device is fine; a
// smaller one is refused, with both numbers. The errno_value of StoreSource::error() says what kind
// it is: ENOENT, EACCES, EBUSY (locked by another), EFBIG (smaller than the LUN), EINVAL (the block
// size). What was opened must be closed: co_await backend->close() before it is destroyed.
Result<std::unique_ptr<StoreSource>> open(StoreOrder order, const OpenContext& context);

}  // namespace ballast::backend
