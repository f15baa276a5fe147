// SPDX-License-Identifier: Apache-2.0
// Reads blocks as the user of a log does: from the log, or from the store where the log has
// nothing.
#pragma once

#include <cstdint>
#include <span>

#include "lib/write_log/write_log.h"

namespace ballast::test {

// `to` has whole blocks of `block` bytes. Ends with the first failure.
inline co::Task<IoStatus> read_range(write_log::WriteLog& log, backend::Backend& store,
                                     std::uint32_t block, Lba lba, std::span<std::byte> to) {
  using write_log::Index;
  IoStatus status = IoStatus::ok;
  while (!to.empty() && ok(status)) {
    const Index::Piece piece = log.first_piece(lba, BlockCount{to.size() / block});
    const std::size_t bytes = piece.blocks.value() * block;
    const iovec segment{to.data(), bytes};
    const io::SgView view{std::span{&segment, 1}};
    if (piece.in == Index::In::store) {
      status = co_await store.read(Bytes{lba.value() * block}, view);
    } else {
      status = co_await log.read(piece, view);
    }
    lba = lba + piece.blocks;
    to = to.subspan(bytes);
  }
  co_return status;
}

}  // namespace ballast::test
