// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/contents.h"

namespace ballast::write_log {

void Contents::add(const Header& header, const Position& next) {
  BALLAST_ASSERT(header.self.sequence == end_.sequence && header.self.link == end_.link);
  BALLAST_ASSERT(next.sequence == end_.sequence + 1);
  blocks_.push_back(header.self);
  end_ = next;
  for (const Record& record : header.all_records()) {
    const std::uint64_t payload =
        record.kind == Kind::data ? header.self.offset + record.payload : 0;
    index_.insert(record.lba, record.blocks,
                  {.sequence = header.self.sequence, .payload = payload});
  }
}

void Contents::drop_before(std::uint64_t sequence) {
  BALLAST_ASSERT(sequence <= end_.sequence);
  while (!blocks_.empty() && blocks_.front().sequence < sequence) {
    blocks_.pop_front();
  }
  ages_.drop_before(sequence);
}

}  // namespace ballast::write_log
