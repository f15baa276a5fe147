// SPDX-License-Identifier: Apache-2.0
// The file backend: a regular file or a block device, used through io_uring.
//
// Reads and writes go through O_DIRECT, unless the configuration says cache=buffered or the file
// system uses the page cache in spite of O_DIRECT. Under O_DIRECT, an operation that has a segment
// whose address or length does not suit the device is copied through the buffer pool, a megabyte at
// a time. Every other operation uses its segments where they lie. There is never a need to read,
// change and write back a block, because open_file() (file_open.h) refuses a LUN whose blocks are
// smaller than those of the file.
//
// zero and discard
//   Both use fallocate through io_uring; the kernel runs it in worker threads. On a regular file
//   zero(may_unmap) and discard() punch a hole, and zero() uses ZERO_RANGE. If the file system
//   lacks a call (tmpfs has no ZERO_RANGE), the backend remembers that and does not try it again;
//   if no call is left, the status is not_supported. On a block device (Linux 4.9, block/fops.c)
//   PUNCH_HOLE is WRITE ZEROES with unmapping. ZERO_RANGE is WRITE ZEROES without unmapping; the
//   kernel writes zeros if the device has no such command. No fallocate mode discards on all
//   kernels, so discard() of a block device runs BLKDISCARD on the helper thread. All of these
//   calls drop the range from the page cache, so that buffered and direct reads agree with them.
//
// flush
//   flush() is fdatasync. If fdatasync fails under cache=buffered, the kernel has marked the pages
//   that it could not write as clean. The next fdatasync would then report success although data is
//   lost. So after the first failed flush or durable write, every flush and every durable write
//   fails until the file is opened again. A failure that was caused by cancelling, or by a shortage
//   in the kernel (EAGAIN, ENOMEM), does not count. Under O_DIRECT the page cache holds nothing
//   that the backend wrote: a failed flush is reported, and the next flush asks the device again.
//
// With lock=pr
//   Operations are carried out only while this machine owns the device (shared_access.h,
//   pr_session.h). One that ends with EBADE, which is Linux's word for RESERVATION CONFLICT, has
//   found that the device is lost.
//
// block_status, resize, write_label and the final close(2) run on the helper thread. resize()
// lengthens a file that is too short and never shortens one: data beyond the end of a smaller LUN
// is kept. A block device must be large enough already, and its label moves (device_label.h).
//
// The backend logs errors where it finds them: one line with file, operation, offset, length and
// cause, at most one a second.
#pragma once

#include <memory>
#include <string>

#include "lib/backend/backend.h"
#include "lib/backend/factory.h"
#include "lib/backend/file_open.h"

namespace ballast::backend {

// Takes over `file` with its lock and its claim. `path` is for logs. `context`: see OpenContext
// (factory.h).
std::unique_ptr<Backend> make_file(OpenFile file, std::string path, const OpenContext& context);
// With lock=pr. `lun` is the LUN's name, for logs.
std::unique_ptr<Backend> make_shared_file(OpenFile file, std::string path, std::string lun,
                                          const OpenContext& context);

}  // namespace ballast::backend
