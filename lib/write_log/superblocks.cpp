// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/superblocks.h"

#include <fmt/format.h>

#include <cerrno>
#include <optional>
#include <utility>

namespace ballast::write_log {

co::Task<Result<Superblock>> Superblocks::read() {
  const Memory memory = io::make_page_memory(page);
  if (memory == nullptr) {
    co_return Error{ENOMEM, fmt::format("{}: no memory to read a superblock", device_.name())};
  }
  std::optional<Superblock> newest;
  std::string refusals;
  for (const std::uint64_t offset : {std::uint64_t{0}, superblock_b}) {
    const std::span<std::byte, page> bytes{memory.get(), page};
    const IoStatus status = co_await device_.read(offset, bytes);
    if (!ok(status)) {
      co_return Error{EIO, fmt::format("{}: the superblock at {} cannot be read ({})",
                                       device_.name(), offset, to_string(status))};
    }
    const Result<bool> newer =
        take_newer(bytes, fmt::format("{} at {}", device_.name(), offset), &newest);
    if (!newer.ok() && newer.error().errno_value == EPROTONOSUPPORT) {
      co_return newer.error();
    }
    if (!newer.ok()) {
      refusals += (refusals.empty() ? "" : "; ") + newer.error().message;
    } else if (newer.value()) {
      next_is_b_ = offset == 0;
    }
  }
  if (!newest) {
    co_return Error{EINVAL, std::move(refusals)};
  }
  slot_sequence_ = newest->slot_sequence;
  co_return std::move(*newest);
}

co::Task<IoStatus> Superblocks::write(Superblock superblock) {
  const co::Mutex::Guard alone = co_await writing_.lock();
  const Memory memory = io::make_page_memory(page);
  if (memory == nullptr) {
    co_return IoStatus::no_resource;
  }
  const std::span<std::byte, page> bytes{memory.get(), page};
  superblock.slot_sequence = slot_sequence_ + 1;
  encode(superblock, bytes);
  IoStatus status = co_await device_.write(next_is_b_ ? superblock_b : 0, bytes);
  if (ok(status)) {
    status = co_await device_.flush();
  }
  if (ok(status)) {
    slot_sequence_ = superblock.slot_sequence;
    next_is_b_ = !next_is_b_;
  }
  co_return status;
}

}  // namespace ballast::write_log
