// SPDX-License-Identifier: Apache-2.0
// From a configuration to a backend: what check_config, open and ballastctl ask for.
//
// check() opens nothing for good and changes nothing: it says whether open() would work as far as
// that can be known without the LUN's size. open() gives the backend, already wrapped: in `fault`
// where the configuration names a control file, and always in `checked` outermost.
//
// Both make system calls that may hang with the storage (open, fstat, a lock attempt): for threads
// that nobody waits for. The daemon's plugin has its files opened by StoreOpener (store_opener.h)
// and makes backends of them with assemble(), which touches no storage.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "lib/backend/backend.h"
#include "lib/backend/file_open.h"
#include "lib/base/config.h"
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

// Parses, then looks at the world: parent directory, kind of file, permissions, the lock. The
// message is for the operator, complete, one sentence.
Result<config::LunConfig> check(std::string_view config_string);
// The second half alone.
Result<void> check_environment(const config::LunConfig& config, const Expected& expected = {});

// What a backend borrows. All of it outlives the backend; all of it belongs to one LUN.
struct OpenContext {
  co::Executor& executor;
  io::Uring& uring;
  io::BufferPool& buffers;   // bounce buffers for O_DIRECT
  io::HelperThread& helper;  // for what has no asynchronous form
  Bytes size;                // the LUN's, as given to targetcli; a multiple of logical_block
  Bytes logical_block;       // the LUN's hw_block_size: 512 to 4096, a power of two
};

// A missing file is created sparse, with the size of the LUN. A larger file or device is fine; a
// smaller one is refused, with both numbers. The error's errno_value says what kind it is: ENOENT,
// EACCES, EBUSY (locked by another), EFBIG (smaller than the LUN), EINVAL (the block size).
// What was opened must be closed: co_await backend->close() before it is destroyed.
Result<std::unique_ptr<Backend>> open(const config::LunConfig& config, const OpenContext& context);

// The same of a file that is open, for a size and a block that check_numbers() passes. Driving
// thread of the executor.
std::unique_ptr<Backend> assemble(const config::LunConfig& config, OpenFile file,
                                  const OpenContext& context);
// Whether a LUN may have this size and block, whatever it stands on.
Result<void> check_numbers(Bytes size, Bytes logical_block);

}  // namespace ballast::backend
