// SPDX-License-Identifier: Apache-2.0
#include "handler/notices.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "handler/lun_name.h"
#include "lib/base/assert.h"

namespace ballast::handler {

Notices::Notices(std::span<std::byte> mapping)
    : mapping_{mapping}, mailbox_{reinterpret_cast<const abi::tcmu_mailbox*>(mapping.data())} {
  BALLAST_ASSERT(mapping.size() >= sizeof(abi::tcmu_mailbox));
}

std::span<const std::uint16_t> Notices::take() {
  ids_.clear();
  const std::size_t ring_offset = mailbox_->cmdr_off;
  const std::size_t ring_size = mailbox_->cmdr_size;
  if (ring_offset > mapping_.size() || ring_size > mapping_.size() - ring_offset) {
    return {};
  }
  const std::span<std::byte> ring = mapping_.subspan(ring_offset, ring_size);
  const std::size_t head = __atomic_load_n(&mailbox_->cmd_head, __ATOMIC_ACQUIRE);
  std::size_t position = __atomic_load_n(&mailbox_->cmd_tail, __ATOMIC_ACQUIRE);
  // Each entry is no shorter than a header, which bounds the walk whatever stands in the ring.
  for (std::size_t walked = 0; position != head && walked < ring_size;) {
    abi::tcmu_cmd_entry_hdr header;
    if (position > ring_size - sizeof header) {
      return {};
    }
    std::memcpy(&header, &ring[position], sizeof header);
    const std::size_t length = header.len_op & ~abi::TCMU_OP_MASK;
    if (length < sizeof header || length > ring_size - position) {
      return {};
    }
    if ((header.len_op & abi::TCMU_OP_MASK) == abi::TCMU_OP_TMR) {
      take_from(ring.subspan(position, length));
    }
    walked += length;
    position = (position + length) % ring_size;
  }
  std::sort(ids_.begin(), ids_.end());
  return ids_;
}

void Notices::take_from(std::span<std::byte> entry) {
  abi::tcmu_tmr_entry notice;
  if (entry.size() < sizeof notice) {
    return;
  }
  std::memcpy(&notice, entry.data(), sizeof notice);
  const std::size_t room = (entry.size() - sizeof notice) / sizeof(std::uint16_t);
  const std::size_t count = std::min<std::size_t>(notice.cmd_cnt, room);
  if (count == 0) {
    return;  // taken before
  }
  const std::size_t before = ids_.size();
  ids_.resize(before + count);
  std::memcpy(ids_.data() + before, entry.data() + sizeof notice, count * sizeof(std::uint16_t));
  notice.cmd_cnt = 0;
  std::memcpy(entry.data() + offsetof(abi::tcmu_tmr_entry, cmd_cnt), &notice.cmd_cnt,
              sizeof notice.cmd_cnt);
}

bool ask_for_notices(abi::tcmu_device* dev) {
  const std::string folder = configfs_folder(dev);
  if (folder.empty()) {
    return false;
  }
  const int fd = ::open((folder + "/attrib/tmr_notification").c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  const bool written = ::write(fd, "1", 1) == 1;
  ::close(fd);
  return written;
}

}  // namespace ballast::handler
