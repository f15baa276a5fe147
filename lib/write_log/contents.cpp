// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/contents.h"

namespace ballast::write_log {

void Contents::reserve(std::size_t records, std::size_t blocks) {
  index_.reserve(records);
  while (blocks_.size() < count_ + blocks) {
    blocks_.emplace_back();
  }
}

void Contents::add(const Header& header, const Position& next) {
  BALLAST_ASSERT(header.self.sequence == end_.sequence && header.self.link == end_.link);
  BALLAST_ASSERT(next.sequence == end_.sequence + 1);
  reserve(0, 1);
  blocks_[count_++] = header.self;
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
  while (count_ > 0 && blocks_.front().sequence < sequence) {
    blocks_.pop_front();
    --count_;
  }
  ages_.drop_before(sequence);
}

}  // namespace ballast::write_log
