// SPDX-License-Identifier: Apache-2.0
// Reader: reads what the log has of a range.
//
// It reads the header of the block that has the data, and then the data, and verifies both: nothing
// that the checksums do not agree with is ever passed on. Meanwhile nobody writes over the segment.
// It reads through four buffers of 256 KiB; further reads wait for one, first come, first served.
//
// A buffer is made at its first use; no_resource: there was no memory for it. Driving thread only.
#pragma once

#include <array>
#include <cstdint>

#include "lib/base/line_limit.h"
#include "lib/base/result.h"
#include "lib/co/gate.h"
#include "lib/co/task.h"
#include "lib/io/scratch.h"
#include "lib/io/sg.h"
#include "lib/write_log/contents.h"
#include "lib/write_log/device.h"
#include "lib/write_log/ring.h"
#include "lib/write_log/sabotage.h"
#include "lib/write_log/writer.h"

namespace ballast::write_log {

class Reader {
 public:
  // All outlive it. `superblock`: of this opening. The writer hears when a segment may be written
  // over again.
  Reader(Device& device, const Contents& contents, Ring& ring, Writer& writer,
         const Superblock& superblock, const Sabotage& sabotage);

  co::Executor& executor() { return device_.executor(); }

  // Reads a piece that the index returned in this same turn, and that is not in the store.
  // medium_error: it cannot be read, or is not what was written. This has been logged, at most once
  // a second.
  co::Task<IoStatus> read(Index::Piece piece, io::SgView to);

  // Waits until all reads have ended, which nobody may begin any more.
  co::Task<void> close();

 private:
  IoStatus find(ConstPage bytes, std::uint64_t offset, const Index::Piece& piece, Header* header,
                Record* record);
  // `offset`: where the block begins.
  co::Task<IoStatus> read_through(const io::ScratchPool::Buffer& memory, std::uint64_t offset,
                                  Index::Piece piece, io::SgView to);
  IoStatus refuse(const Index::Piece& piece, const char* why);

  Device& device_;
  const Contents& contents_;
  Ring& ring_;
  Writer& writer_;
  const Superblock& superblock_;
  const Sabotage sabotage_;
  io::ScratchPool scratch_;
  std::array<Header, io::ScratchPool::buffer_count> headers_;  // of the blocks in its buffers
  co::Gate operations_;
  LineLimit refused_lines_;
};

}  // namespace ballast::write_log
