// SPDX-License-Identifier: Apache-2.0
// Operations that read blocks only to look at them.
#include <algorithm>

#include "lib/volume/volume.h"

namespace ballast::volume {

template <class Differs>
co::Task<Comparison> Volume::read_through(Request& request, Lba lba, BlockCount count,
                                          Differs differs) {
  BALLAST_ASSERT(inside(lba, count));
  co::Semaphore::Guard slot = co_await scratch_.slot(request.token());
  if (!slot) {
    co_return Comparison{IoStatus::cancelled};
  }
  const io::ScratchPool::Buffer buffer{scratch_, std::move(slot)};
  if (!buffer) {
    co_return Comparison{IoStatus::no_resource};
  }
  BlockCount done{};
  while (done < count) {
    const BlockCount here = std::min(count - done, blocks_in(Bytes{buffer.bytes().size()}));
    const iovec segment{buffer.bytes().data(), bytes_of(here).value()};
    const io::SgView piece{std::span{&segment, 1}};
    const IoStatus status = co_await read(request, lba + done, piece);
    if (!ok(status)) {
      co_return Comparison{status};
    }
    const std::uint64_t offset = bytes_of(done).value();
    const std::optional<std::size_t> at = differs(piece, offset);
    if (at.has_value()) {
      co_return Comparison{IoStatus::ok, offset + *at};
    }
    done += here;
  }
  co_return Comparison{};
}

co::Task<IoStatus> Volume::verify(Request& request, Lba lba, BlockCount count) {
  const auto never = [](io::SgView, std::uint64_t) { return std::optional<std::size_t>{}; };
  const Comparison found = co_await read_through(request, lba, count, never);
  co_return found.status;
}

co::Task<Comparison> Volume::compare(Request& request, Lba lba, io::SgView expected) {
  BALLAST_ASSERT(whole_blocks(expected));
  const auto differs = [expected](io::SgView piece, std::uint64_t offset) {
    return io::first_difference(piece, expected.slice(offset, piece.size()));
  };
  return read_through(request, lba, blocks_in(Bytes{expected.size()}), differs);
}

co::Task<Comparison> Volume::compare_same(Request& request, Lba lba, BlockCount count,
                                          io::SgView block) {
  BALLAST_ASSERT(block.size() == logical_block().value());
  const auto differs = [block](io::SgView piece, std::uint64_t) {
    std::optional<std::size_t> found;
    for (std::size_t at = 0; at < piece.size() && !found.has_value(); at += block.size()) {
      found = io::first_difference(piece.slice(at, block.size()), block);
      if (found.has_value()) {
        *found += at;
      }
    }
    return found;
  };
  return read_through(request, lba, count, differs);
}

}  // namespace ballast::volume
