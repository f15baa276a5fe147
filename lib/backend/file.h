// SPDX-License-Identifier: Apache-2.0
// The file backend: a regular file or a block device through io_uring.
//
// Reads and writes go through O_DIRECT unless the configuration says cache=buffered. Under O_DIRECT
// a segment whose address or length does not suit the device is bounced through the buffer pool, a
// megabyte at a time; everything else is moved where it lies. Nothing is ever read, changed and
// written back: file_open.h refuses a LUN whose blocks are smaller than the file's.
//
// zero and discard
//   fallocate through io_uring, which runs it in the kernel's worker threads. On a regular file
//   zero(may_unmap) and discard() punch holes and zero() uses ZERO_RANGE; where the file system
//   lacks that (tmpfs) the answer is not_supported, and remembered. On a block device (Linux 4.9,
//   block/fops.c) PUNCH_HOLE is WRITE ZEROES with unmapping, ZERO_RANGE without, writing zeros if
//   the device knows no better. Discard has no fallocate form that all kernels know: BLKDISCARD on
//   the helper thread. All of them drop the page cache of the range, so that they agree with
//   buffered and direct reads alike.
//
// flush
//   fdatasync. When it fails under cache=buffered the kernel has marked the pages clean that it
//   could not write, and the next fdatasync would report success for data that is gone. So from the
//   first such failure (a failed durable write counts) every flush and durable write fails until
//   the file is opened again. Under O_DIRECT no page of ours is in the cache; a failed flush is
//   reported, and the next one asks the device again.
//
// block_status, resize and the final close(2) run on the helper thread. resize() lengthens a file
// that is too short, never shortens one: what lies past a smaller LUN is kept. A block device must
// be large enough already.
//
// Errors are logged where they are found, one line naming file, operation, offset, length and
// cause, at most one a second.
#pragma once

#include <memory>
#include <string>

#include "lib/backend/backend.h"
#include "lib/backend/factory.h"
#include "lib/backend/file_open.h"

namespace ballast::backend {

// `path` is for logs. Takes over `file`, with its lock.
std::unique_ptr<Backend> make_file(OpenFile file, std::string path, const OpenContext& context);

}  // namespace ballast::backend
