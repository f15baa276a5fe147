// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/create.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "lib/write_log/device.h"
#include "lib/write_log/superblock_at.h"
#include "lib/write_log/superblocks.h"

namespace ballast::write_log {
namespace {

constexpr std::size_t chunk = 1 << 20;

Result<Superblock> superblock_for(const NewLog& wanted, const Device& device) {
  const Bytes all = device.size();
  const Bytes asked = wanted.identity.size;
  if (asked > all) {
    return Error{EINVAL, fmt::format("{}: it has {} bytes, and the log is to have {}",
                                     device.name(), all.value(), asked.value())};
  }
  const std::uint64_t size = asked == Bytes{} ? all.value() : asked.value();
  const std::uint64_t fewest = ring_begin + fewest_segments * segment_bytes;
  if (size < fewest) {
    return Error{EINVAL, fmt::format("{}: it has {} bytes, and the smallest log has {}",
                                     device.name(), size, fewest)};
  }
  if (device.physical_block() > longest_block) {
    return Error{EINVAL,
                 fmt::format("{}: it writes {} bytes at once, and a log needs a device that "
                             "writes {} at most",
                             device.name(), device.physical_block(), longest_block)};
  }
  Superblock superblock;
  superblock.log = wanted.log;
  superblock.store = wanted.identity.store;
  superblock.owner = wanted.identity.owner;
  superblock.lun = wanted.identity.lun;
  superblock.block = wanted.identity.block;
  superblock.unit =
      static_cast<std::uint32_t>(std::max<std::uint64_t>(page, device.physical_block()));
  superblock.segments =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(segments_in(Bytes{size}), 0xffffffff));
  superblock.tail = {.sequence = 1, .offset = ring_begin, .link = 0};
  superblock.clean = true;
  superblock.host = wanted.host;
  superblock.store_name = wanted.store_name;
  return superblock;
}

// A log that was never opened has nothing: making it was cut off before the store's label named it.
co::Task<Result<void>> check_empty(Device& device) {
  Superblocks superblocks{device};
  const Result<Superblock> log = co_await superblocks.read();
  if (log.ok() && log.value().incarnation == 0) {
    co_return Result<void>{};
  }
  if (log.ok()) {
    co_return another_log(device.name(), log.value());
  }
  if (log.error().errno_value == EPROTONOSUPPORT) {
    co_return log.error();
  }
  const Memory memory = make_zeros(ring_begin);
  if (memory == nullptr) {
    co_return Error{ENOMEM, fmt::format("{}: no memory to make a log", device.name())};
  }
  const std::span<std::byte> bytes{memory.get(), std::min(ring_begin, device.size().value())};
  const IoStatus status = co_await device.read(0, bytes);
  if (!ok(status)) {
    co_return Error{EIO,
                    fmt::format("{}: it cannot be read ({})", device.name(), to_string(status))};
  }
  if (std::ranges::any_of(bytes, [](std::byte byte) { return byte != std::byte{}; })) {
    co_return Error{EEXIST,
                    fmt::format("{}: it has data in its first MiB; nothing was changed; give the "
                                "log a file that does not exist yet, or an empty device",
                                device.name())};
  }
  co_return Result<void>{};
}

}  // namespace

co::Task<Result<void>> create(backend::Backend& backend, NewLog wanted, co::CancelToken cancel) {
  Device device{backend};
  Superblocks superblocks{device};
  if (!wanted.over_another) {
    const Result<void> empty = co_await check_empty(device);
    if (!empty.ok()) {
      co_return empty;
    }
  }
  const Result<Superblock> superblock = superblock_for(wanted, device);
  if (!superblock.ok()) {
    co_return superblock.error();
  }
  const Memory zeros = make_zeros(chunk);
  if (zeros == nullptr) {
    co_return Error{ENOMEM, fmt::format("{}: no memory to make a log", device.name())};
  }
  // From the superblocks on, so that no log is there until the new one is whole.
  const std::uint64_t end = sizes_of(superblock.value()).ring_end();
  IoStatus status = IoStatus::ok;
  for (std::uint64_t at = 0; at < end && ok(status); at += chunk) {
    if (cancel.requested()) {
      co_return Error{ECANCELED, fmt::format("{}: making a log there was given up", device.name())};
    }
    status = co_await device.write(at, std::span{zeros.get(), chunk});
    if (ok(status) && at == 0) {
      status = co_await device.flush();
    }
  }
  if (ok(status)) {
    status = co_await device.flush();
  }
  if (ok(status)) {
    status = co_await superblocks.write(superblock.value());
  }
  if (!ok(status)) {
    co_return Error{EIO, fmt::format("{}: a log of {} bytes cannot be written there ({})",
                                     device.name(), end, to_string(status))};
  }
  co_return Result<void>{};
}

}  // namespace ballast::write_log
