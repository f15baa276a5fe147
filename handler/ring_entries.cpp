// SPDX-License-Identifier: Apache-2.0
#include "handler/ring_entries.h"

#include <cstring>

#include "lib/base/assert.h"

namespace ballast::handler {
namespace {

using abi::tcmu_cmd_entry_hdr;
using abi::tcmu_cmd_req;

// The same rule as tcmu_cdb_get_length of libtcmu 1.5.4.
bool has_known_length(std::uint8_t operation_code) {
  switch (operation_code >> 5) {
    case 3:
      return operation_code == 0x7f;
    case 6:
    case 7:
      return false;
    default:
      return true;
  }
}

}  // namespace

RingEntries::RingEntries(std::span<const std::byte> mapping)
    : mapping_{mapping},
      mailbox_{reinterpret_cast<const abi::tcmu_mailbox*>(mapping.data())},
      offset_{mailbox_->cmdr_off},
      size_{mailbox_->cmdr_size} {
  BALLAST_ASSERT(mapping.size() >= sizeof(abi::tcmu_mailbox));
  if (size_ < sizeof(tcmu_cmd_entry_hdr) || offset_ > mapping.size() ||
      size_ > mapping.size() - offset_) {
    size_ = 0;
  }
}

std::uint32_t RingEntries::head() const {
  // Acquire, so that the entries before the head are complete.
  return __atomic_load_n(&mailbox_->cmd_head, __ATOMIC_ACQUIRE);
}

std::uint32_t RingEntries::tail() const {
  return __atomic_load_n(&mailbox_->cmd_tail, __ATOMIC_ACQUIRE);
}

std::optional<RingEntries::Entry> RingEntries::at(std::uint32_t position) const {
  if (size_ == 0 || position > size_ - sizeof(tcmu_cmd_entry_hdr) || position % 8 != 0) {
    return std::nullopt;
  }
  const std::byte* const place = mapping_.data() + offset_ + position;
  tcmu_cmd_entry_hdr header;
  std::memcpy(&header, place, sizeof header);
  Entry entry{.length = header.len_op & ~abi::TCMU_OP_MASK,
              .opcode = header.len_op & abi::TCMU_OP_MASK,
              .cmd_id = header.cmd_id,
              .droppable = false};
  if (entry.length < sizeof header || entry.length > size_ - position) {
    return std::nullopt;
  }
  if (entry.opcode == abi::TCMU_OP_CMD) {
    if (entry.length < sizeof header + sizeof(tcmu_cmd_req)) {
      return std::nullopt;
    }
    std::uint64_t cdb_offset = 0;
    std::memcpy(&cdb_offset, place + sizeof header + offsetof(tcmu_cmd_req, cdb_off),
                sizeof cdb_offset);
    if (cdb_offset >= mapping_.size()) {
      return std::nullopt;
    }
    entry.droppable = !has_known_length(static_cast<std::uint8_t>(mapping_[cdb_offset]));
  }
  return entry;
}

std::optional<RingEntries::Entry> RingEntries::at(std::uint32_t position, std::uint32_t end) const {
  if (position == end || end >= size_) {
    return std::nullopt;  // the kernel may be writing at `end`
  }
  const std::optional<Entry> entry = at(position);
  const std::uint32_t left = end > position ? end - position : size_ - position + end;
  return entry && entry->length <= left ? entry : std::nullopt;
}

}  // namespace ballast::handler
