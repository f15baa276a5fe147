// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/log/ranges.h"

namespace ballast::ctl {

using write_log::Index;

std::vector<Range> ranges_of(const write_log::Contents& contents) {
  const Index& index = contents.index();
  const std::uint64_t block = contents.block();
  std::vector<Range> all;
  for (Lba lba{}; lba < index.end();) {
    const Index::Piece piece = index.first_piece(lba, index.end() - lba);
    const Range range{.offset = Bytes{piece.lba.value() * block},
                      .length = Bytes{piece.blocks.value() * block},
                      .zeros = piece.in == Index::In::zeros};
    const bool goes_on = !all.empty() && all.back().zeros == range.zeros &&
                         all.back().offset + all.back().length == range.offset;
    if (goes_on && piece.in != Index::In::store) {
      all.back().length += range.length;
    } else if (piece.in != Index::In::store) {
      all.push_back(range);
    }
    lba = piece.lba + piece.blocks;
  }
  return all;
}

Changed sum_of(const std::vector<Range>& ranges) {
  Changed sum;
  for (const Range& range : ranges) {
    (range.zeros ? sum.zeros : sum.data) += range.length;
  }
  return sum;
}

std::uint64_t blocks_of(const write_log::Contents& contents) {
  return contents.end().sequence - contents.tail().sequence;
}

}  // namespace ballast::ctl
