// SPDX-License-Identifier: Apache-2.0
#include "handler/notices.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "handler/lun_name.h"

namespace ballast::handler {

Notices::Notices(std::span<std::byte> mapping) : mapping_{mapping}, entries_{mapping} {}

std::span<const std::uint16_t> Notices::take() {
  ids_.clear();
  const auto visit = [this](std::uint32_t position, const RingEntries::Entry& entry) {
    if (entry.opcode == abi::TCMU_OP_TMR) {
      take_from(mapping_.subspan(entries_.offset() + position, entry.length));
    }
    return true;
  };
  (void)entries_.walk(entries_.tail(), entries_.head(), visit);
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
