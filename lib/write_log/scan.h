// SPDX-License-Identifier: Apache-2.0
// Scan: finds out what a log has, when it is opened. It changes nothing.
//
// It follows the blocks from the tail on by number, place and link, verifies their payloads, and
// builds the index. The log ends where no block comes next. The next block may be there in part:
// writing it was cut off, and nobody was told that it is durable. But if anything on the device
// says that the next block was durable, the log is damaged, and is refused. The superblock says so,
// or a block (its `durable`). For that it looks at the rest of the segment, at the next segment, at
// each further one that begins with a block behind the end, and at the first block of all segments.
//
// A block that an earlier opening left behind the end of the log, and that nobody has found, must
// not appear later. So blocks that the superblock does not call durable must be of its incarnation;
// before that, incarnations never fall. A block of a later incarnation shows that the newest
// superblock was lost: the log is damaged then, too.
//
// While it looks at a segment, the next ones are being read (read_ahead.h); of the first pages, 32
// at a time. Memory: 8 MiB, 128 KiB, and what it finds.
#pragma once

#include <cstdint>
#include <optional>

#include "lib/base/result.h"
#include "lib/co/task.h"
#include "lib/write_log/contents.h"
#include "lib/write_log/device.h"
#include "lib/write_log/format.h"
#include "lib/write_log/sabotage.h"

namespace ballast::write_log {

// What the log must belong to.
struct Identity {
  std::optional<Uuid> log;  // as the store's label names it; nothing: whichever it is
  Uuid store{};
  std::uint64_t owner = 0;
  Bytes lun{};                // the LUN's size; the log need not have been made for it
  std::uint32_t block = 512;  // the LUN's logical block
  Bytes size{};               // the log's; 0: whichever it is
};

// What is wrong with a log of this superblock for a LUN of this identity, in a sentence. The LUN
// may have another size than the superblock says: it was resized while the log was closed, or the
// power failed before the superblock was written. What the log must have is a store that is large
// enough for all that it will write there: see check_store().
Result<void> check_identity(const Superblock& superblock, const Identity& identity,
                            const Device& device);
// Whether the store ends before changes that the log found. Somebody made it smaller then. They
// were acknowledged, so they are not thrown away.
Result<void> check_store(const Superblock& superblock, const Index& index,
                         const backend::Backend& store, const Device& device);

struct Found {
  Contents contents;
  std::uint64_t epoch = 0;  // the newest
};

co::Task<Result<Found>> scan(Device& device, Superblock superblock, Sabotage sabotage);

}  // namespace ballast::write_log
