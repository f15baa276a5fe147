// SPDX-License-Identifier: Apache-2.0
#include "lib/volume/volume.h"

#include <algorithm>
#include <array>
#include <bit>

namespace ballast::volume {

namespace {

// One stretch of pattern, repeated by reference: small enough to stay in the processor's cache.
constexpr std::size_t pattern_bytes = 64 * 1024;
constexpr std::size_t repeats = Volume::repeat_chunk.value() / pattern_bytes;
static_assert(pattern_bytes <= ScratchPool::buffer_size);

// Never written; O_DIRECT wants it aligned. Not const, so that it costs no room in the file.
alignas(4096) std::array<std::byte, pattern_bytes> zeros{};

iovec segment_of(std::span<std::byte> bytes) {
  return iovec{bytes.data(), bytes.size()};
}

}  // namespace

Volume::Volume(backend::Backend& backend, const VolumeConfig& config)
    : backend_{backend},
      block_shift_{static_cast<unsigned>(std::countr_zero(config.logical_block.value()))},
      admission_{backend.executor(), config.queue_depth, "admission"},
      scratch_{backend.executor()} {
  const std::uint64_t block = config.logical_block.value();
  BALLAST_ASSERT(std::has_single_bit(block));
  BALLAST_ASSERT(block >= 512 && block <= 4096);
  BALLAST_ASSERT(block % backend.geometry().logical_block.value() == 0);
  BALLAST_ASSERT(config.queue_depth > 0);
  const BlockCount all = blocks_in(backend.geometry().size);
  BALLAST_ASSERT(config.capacity <= all);
  capacity_ = config.capacity.value() == 0 ? all : config.capacity;
}

co::Task<IoStatus> Volume::read(Lba lba, io::SgView to) {
  BALLAST_ASSERT(whole_blocks(to));
  BALLAST_ASSERT(inside(lba, blocks_in(Bytes{to.size()})));
  co::Semaphore::Guard slot = admission_.try_acquire();
  if (!slot) {
    co::Semaphore::Guard granted = co_await admission_.acquire();
    slot = std::move(granted);
  }
  const IoStatus status = co_await backend_.read(offset_of(lba), to);
  co_return status;
}

co::Task<IoStatus> Volume::write(Lba lba, io::SgView from, Fua fua) {
  const BlockCount count = blocks_in(Bytes{from.size()});
  BALLAST_ASSERT(whole_blocks(from));
  BALLAST_ASSERT(inside(lba, count));
  RangeLock::Hold hold{ranges_, lba, count, RangeLock::Kind::shared};
  if (!hold.granted()) {
    co::Wait wait{executor(), "range lock"};
    hold.wake_when_granted(wait.waker());
    co_await wait;
  }
  const IoStatus status = co_await write_admitted(offset_of(lba), from, fua);
  co_return status;
}

co::Task<IoStatus> Volume::write_admitted(Bytes offset, io::SgView from, Fua fua) {
  const bool native = fua == Fua::yes && capabilities().fua;
  co::Semaphore::Guard slot = admission_.try_acquire();
  if (!slot) {
    co::Semaphore::Guard granted = co_await admission_.acquire();
    slot = std::move(granted);
  }
  IoStatus status = co_await backend_.write(offset, from, native ? Fua::yes : Fua::no);
  if (ok(status) && fua == Fua::yes && !native && capabilities().volatile_cache) {
    status = co_await backend_.flush();
  }
  co_return status;
}

co::Task<IoStatus> Volume::zero(Lba lba, BlockCount count, MayUnmap may_unmap) {
  BALLAST_ASSERT(inside(lba, count));
  RangeLock::Hold hold{ranges_, lba, count, RangeLock::Kind::shared};
  if (!hold.granted()) {
    co::Wait wait{executor(), "range lock"};
    hold.wake_when_granted(wait.waker());
    co_await wait;
  }
  const IoStatus status = co_await zero_held(offset_of(lba), bytes_of(count), may_unmap);
  co_return status;
}

co::Task<IoStatus> Volume::zero_held(Bytes offset, Bytes length, MayUnmap may_unmap) {
  if (capabilities().zero) {
    co::Semaphore::Guard slot = co_await admission_.acquire();
    const IoStatus status = co_await backend_.zero(offset, length, may_unmap);
    if (status != IoStatus::not_supported) {
      co_return status;
    }
  }
  const IoStatus status = co_await write_repeated(offset, length, zeros);
  co_return status;
}

co::Task<IoStatus> Volume::write_repeated(Bytes offset, Bytes length,
                                          std::span<std::byte> segment) {
  BALLAST_ASSERT(segment.size() == pattern_bytes);
  std::array<iovec, repeats> segments;
  segments.fill(segment_of(segment));
  const io::SgView whole{segments};
  while (length.value() > 0) {
    const Bytes here = std::min(length, repeat_chunk);
    const io::SgView piece = whole.slice(0, here.value());
    const IoStatus status = co_await write_admitted(offset, piece, Fua::no);
    if (!ok(status)) {
      co_return status;
    }
    offset += here;
    length -= here;
  }
  co_return IoStatus::ok;
}

co::Task<IoStatus> Volume::write_same(Lba lba, BlockCount count, io::SgView block,
                                      MayUnmap may_unmap) {
  BALLAST_ASSERT(block.size() == logical_block().value());
  if (io::is_zero(block)) {
    const IoStatus status = co_await zero(lba, count, may_unmap);
    co_return status;
  }
  BALLAST_ASSERT(inside(lba, count));
  RangeLock::Hold hold{ranges_, lba, count, RangeLock::Kind::shared};
  if (!hold.granted()) {
    co::Wait wait{executor(), "range lock"};
    hold.wake_when_granted(wait.waker());
    co_await wait;
  }
  co::Semaphore::Guard slot = co_await scratch_.slot();
  const ScratchPool::Buffer buffer{scratch_, std::move(slot)};
  const std::span<std::byte> pattern = buffer.bytes().first(pattern_bytes);
  const std::span<std::byte> first = pattern.first(block.size());
  io::copy(first, block);
  const iovec rest = segment_of(pattern.subspan(block.size()));
  io::fill(io::SgView{std::span{&rest, 1}}, first);
  const IoStatus status = co_await write_repeated(offset_of(lba), bytes_of(count), pattern);
  co_return status;
}

co::Task<IoStatus> Volume::unmap(Lba lba, BlockCount count) {
  BALLAST_ASSERT(inside(lba, count));
  RangeLock::Hold hold{ranges_, lba, count, RangeLock::Kind::shared};
  if (!hold.granted()) {
    co::Wait wait{executor(), "range lock"};
    hold.wake_when_granted(wait.waker());
    co_await wait;
  }
  co::Semaphore::Guard slot = co_await admission_.acquire();
  const IoStatus status = co_await backend_.discard(offset_of(lba), bytes_of(count));
  // Giving back is a wish: what cannot be given back stays.
  co_return status == IoStatus::not_supported ? IoStatus::ok : status;
}

co::Task<IoStatus> Volume::flush() {
  co::Semaphore::Guard slot = co_await admission_.acquire();
  const IoStatus status = co_await backend_.flush();
  co_return status;
}

co::Task<IoStatus> Volume::verify(Lba lba, BlockCount count) {
  BALLAST_ASSERT(inside(lba, count));
  co::Semaphore::Guard slot = co_await scratch_.slot();
  const ScratchPool::Buffer buffer{scratch_, std::move(slot)};
  while (count.value() > 0) {
    const BlockCount here = std::min(count, blocks_in(Bytes{buffer.bytes().size()}));
    const iovec segment = segment_of(buffer.bytes().first(bytes_of(here).value()));
    const io::SgView to{std::span{&segment, 1}};
    const IoStatus status = co_await read(lba, to);
    if (!ok(status)) {
      co_return status;
    }
    lba = lba + here;
    count -= here;
  }
  co_return IoStatus::ok;
}

co::Task<Comparison> Volume::compare(Lba lba, io::SgView expected) {
  BALLAST_ASSERT(whole_blocks(expected));
  BALLAST_ASSERT(inside(lba, blocks_in(Bytes{expected.size()})));
  co::Semaphore::Guard slot = co_await scratch_.slot();
  const ScratchPool::Buffer buffer{scratch_, std::move(slot)};
  std::size_t done = 0;
  while (done < expected.size()) {
    const std::size_t here = std::min(expected.size() - done, buffer.bytes().size());
    const iovec segment = segment_of(buffer.bytes().first(here));
    const io::SgView found{std::span{&segment, 1}};
    const IoStatus status = co_await read(lba + blocks_in(Bytes{done}), found);
    if (!ok(status)) {
      co_return Comparison{status};
    }
    const std::optional<std::size_t> at = io::first_difference(found, expected.slice(done, here));
    if (at.has_value()) {
      co_return Comparison{IoStatus::ok, done + *at};
    }
    done += here;
  }
  co_return Comparison{};
}

co::Task<Comparison> Volume::compare_same(Lba lba, BlockCount count, io::SgView block) {
  BALLAST_ASSERT(block.size() == logical_block().value());
  BALLAST_ASSERT(inside(lba, count));
  co::Semaphore::Guard slot = co_await scratch_.slot();
  const ScratchPool::Buffer buffer{scratch_, std::move(slot)};
  BlockCount done{};
  while (done < count) {
    const BlockCount here = std::min(count - done, blocks_in(Bytes{buffer.bytes().size()}));
    const iovec segment = segment_of(buffer.bytes().first(bytes_of(here).value()));
    const io::SgView found{std::span{&segment, 1}};
    const IoStatus status = co_await read(lba + done, found);
    if (!ok(status)) {
      co_return Comparison{status};
    }
    for (std::size_t at = 0; at < found.size(); at += block.size()) {
      const std::optional<std::size_t> difference =
          io::first_difference(found.slice(at, block.size()), block);
      if (difference.has_value()) {
        co_return Comparison{IoStatus::ok, bytes_of(done).value() + at + *difference};
      }
    }
    done += here;
  }
  co_return Comparison{};
}

co::Task<Comparison> Volume::compare_and_write(Lba lba, io::SgView expected, io::SgView data,
                                               Fua fua) {
  BALLAST_ASSERT(expected.size() == data.size());
  const BlockCount count = blocks_in(Bytes{data.size()});
  RangeLock::Hold hold{ranges_, lba, count, RangeLock::Kind::exclusive};
  if (!hold.granted()) {
    co::Wait wait{executor(), "range lock"};
    hold.wake_when_granted(wait.waker());
    co_await wait;
  }
  Comparison found = co_await compare(lba, expected);
  if (ok(found.status) && !found.difference.has_value()) {
    found.status = co_await write_admitted(offset_of(lba), data, fua);
  }
  co_return found;
}

co::Task<IoStatus> Volume::block_status(Lba lba, BlockCount count, std::size_t limit,
                                        std::vector<backend::Extent>* out) {
  BALLAST_ASSERT(inside(lba, count));
  co::Semaphore::Guard slot = co_await admission_.acquire();
  const IoStatus status =
      co_await backend_.block_status(offset_of(lba), bytes_of(count), limit, out);
  co_return status;
}

co::Task<IoStatus> Volume::resize(BlockCount capacity) {
  if (bytes_of(capacity) > geometry().size) {
    const IoStatus status = co_await backend_.resize(bytes_of(capacity));
    if (!ok(status)) {
      co_return status;
    }
    BALLAST_ASSERT(bytes_of(capacity) <= geometry().size);
  }
  capacity_ = capacity;
  co_return IoStatus::ok;
}

}  // namespace ballast::volume
