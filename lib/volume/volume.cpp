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
      executor_{backend.executor()},
      block_shift_{static_cast<unsigned>(std::countr_zero(config.logical_block.value()))},
      admission_{backend.executor(), config.queue_depth, "admission"},
      fences_{config.fence_seed},
      flush_failures_{executor_.name(), config.unheard_flush},
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

// Counts one operation of a request at the backend, from its start to its last completion.
class AtBackend {
 public:
  enum class Kind : std::uint8_t { looks, changes };
  AtBackend(Request& request, Kind kind) : request_{request}, kind_{kind} { enter(request, kind); }
  ~AtBackend() { leave(request_, kind_); }
  AtBackend(const AtBackend&) = delete;
  AtBackend& operator=(const AtBackend&) = delete;

  static void enter(Request& request, Kind kind) {
    BALLAST_ASSERT(!request.stopped());
    request.reached_backend_ = true;
    request.changes_at_backend_ += kind == Kind::changes ? 1U : 0U;
    if (request.at_backend_++ == 0 && request.observer_ != nullptr) {
      request.observer_->entered_backend();
    }
  }
  static void leave(Request& request, Kind kind) {
    request.changes_at_backend_ -= kind == Kind::changes ? 1U : 0U;
    if (--request.at_backend_ == 0 && request.observer_ != nullptr) {
      request.observer_->left_backend();
    }
  }

 private:
  Request& request_;
  const Kind kind_;
};

void Direct::task_ended(const IoStatus& status, std::uint32_t) {
  before_.tell(status);
  if (!ok(status) && durable_) {
    volume_->flush_failures_.durable_write_ended(request_, status);
  }
  over();
}

void Direct::task_dropped(std::uint32_t) {
  before_.drop();
  over();
}

void Direct::over() {
  Volume& volume = *std::exchange(volume_, nullptr);
  AtBackend::leave(request_, changes_ ? AtBackend::Kind::changes : AtBackend::Kind::looks);
  volume.admission_.release();
  change_.reset();
}

co::Semaphore::Guard Volume::direct_slot(Request& request) {
  const bool possible = request.direct_.volume_ == nullptr && !request.stopped();
  return possible ? admission_.try_acquire() : co::Semaphore::Guard{};
}

void Volume::enter_directly(Request& request, co::Semaphore::Guard slot, bool changes) {
  Direct& direct = request.direct_;
  slot.dismiss();
  direct.volume_ = this;
  direct.changes_ = changes;
  direct.durable_ = false;
  AtBackend::enter(request, changes ? AtBackend::Kind::changes : AtBackend::Kind::looks);
}

co::Task<IoStatus> Volume::follow(Request& request, co::Task<IoStatus> task) {
  request.direct_.before_ = task.on_end({&request.direct_, 0});
  return task;
}

co::Task<bool> Volume::wait_for(Request& request, Fences::Hold& hold) {
  if (request.observer() != nullptr) {
    request.observer()->entered_fence();
  }
  const bool granted = co_await hold.wait(executor(), request.token());
  if (request.observer() != nullptr) {
    request.observer()->left_fence();
  }
  co_return granted;
}

// A read that has nothing to wait for is the backend's own task, and costs no coroutine here.
co::Task<IoStatus> Volume::read(Request& request, Lba lba, io::SgView to) {
  BALLAST_ASSERT(whole_blocks(to));
  BALLAST_ASSERT(inside(lba, blocks_in(Bytes{to.size()})));
  if (fences_.fenced() > 0) {
    return read_in_turn(request, lba, to);
  }
  co::Semaphore::Guard slot = direct_slot(request);
  if (!slot) {
    return read_in_turn(request, lba, to);
  }
  if (!request.reached_backend()) {
    request.read_mark_ = fences_.mark();
  }
  enter_directly(request, std::move(slot), false);
  return follow(request, backend_.read(offset_of(lba), to, request.token()));
}

co::Task<IoStatus> Volume::read_in_turn(Request& request, Lba lba, io::SgView to) {
  const BlockCount count = blocks_in(Bytes{to.size()});
  if (fences_.fenced() > 0) {
    Fences::Hold hold{fences_, lba, count, Fences::Kind::read};
    if (!hold.granted()) {
      const bool granted = co_await wait_for(request, hold);
      if (!granted) {
        co_return IoStatus::cancelled;
      }
    }
  }
  co::Semaphore::Guard slot = admission_.try_acquire();
  if (!slot) {
    co::Semaphore::Guard granted = co_await admission(request);
    slot = std::move(granted);
  }
  if (!slot || request.stopped()) {
    co_return IoStatus::cancelled;
  }
  if (!request.reached_backend()) {
    request.read_mark_ = fences_.mark();
  }
  const AtBackend at_backend{request, AtBackend::Kind::looks};
  const IoStatus status = co_await backend_.read(offset_of(lba), to, request.token());
  co_return status;
}

// As read(): without a coroutine where nothing is to be waited for, and no flush has to follow.
co::Task<IoStatus> Volume::write(Request& request, Lba lba, io::SgView from, Fua fua) {
  const BlockCount count = blocks_in(Bytes{from.size()});
  BALLAST_ASSERT(whole_blocks(from));
  BALLAST_ASSERT(inside(lba, count));
  if (co::Semaphore::Guard slot = direct_slot(request); slot && !needs_flush(fua)) {
    std::optional<Change>& change = request.direct_.change_;
    change.emplace(fences_, request, lba, count);
    if (change->granted()) {
      return write_directly(request, std::move(slot), offset_of(lba), from, fua);
    }
    change.reset();
  }
  return write_held(request, lba, from, fua);
}

co::Task<IoStatus> Volume::write_held(Request& request, Lba lba, io::SgView from, Fua fua) {
  Change change{fences_, request, lba, blocks_in(Bytes{from.size()})};
  if (!change.granted()) {
    const bool granted = co_await wait_for(request, change.hold());
    if (!granted) {
      co_return IoStatus::cancelled;
    }
  }
  const IoStatus status = co_await write_admitted(request, offset_of(lba), from, fua);
  co_return status;
}

co::Task<IoStatus> Volume::write_admitted(Request& request, Bytes offset, io::SgView from, Fua fua,
                                          bool once) {
  co::Semaphore::Guard slot = direct_slot(request);
  if (!slot || needs_flush(fua)) {
    return write_in_turn(request, offset, from, fua, once);
  }
  request.irrevocable_ |= once;
  return write_directly(request, std::move(slot), offset, from, fua);
}

co::Task<IoStatus> Volume::write_directly(Request& request, co::Semaphore::Guard slot, Bytes offset,
                                          io::SgView from, Fua fua) {
  enter_directly(request, std::move(slot), true);
  const Fua native = fua == Fua::yes && capabilities().fua ? Fua::yes : Fua::no;
  request.direct_.durable_ = native == Fua::yes;
  return follow(request, backend_.write(offset, from, native, request.token()));
}

co::Task<IoStatus> Volume::write_in_turn(Request& request, Bytes offset, io::SgView from, Fua fua,
                                         bool once) {
  co::Semaphore::Guard slot = admission_.try_acquire();
  if (!slot) {
    co::Semaphore::Guard granted = co_await admission(request);
    slot = std::move(granted);
  }
  if (!slot || request.stopped()) {
    co_return IoStatus::cancelled;
  }
  request.irrevocable_ |= once;
  const AtBackend at_backend{request, AtBackend::Kind::changes};
  const Fua native = fua == Fua::yes && capabilities().fua ? Fua::yes : Fua::no;
  const std::uint64_t mark = flush_mark();
  IoStatus status = co_await backend_.write(offset, from, native, request.token());
  if (ok(status) && needs_flush(fua)) {
    if (request.stopped()) {
      co_return IoStatus::cancelled;
    }
    status = co_await backend_.flush(request.token());
    status = flush_failures_.judge(request, mark, status);
  } else if (native == Fua::yes) {
    flush_failures_.durable_write_ended(request, status);
  }
  co_return status;
}

co::Task<IoStatus> Volume::zero(Request& request, Lba lba, BlockCount count, MayUnmap may_unmap) {
  BALLAST_ASSERT(inside(lba, count));
  Change change{fences_, request, lba, count};
  if (!change.granted()) {
    const bool granted = co_await wait_for(request, change.hold());
    if (!granted) {
      co_return IoStatus::cancelled;
    }
  }
  const IoStatus status = co_await zero_held(request, offset_of(lba), bytes_of(count), may_unmap);
  co_return status;
}

co::Task<IoStatus> Volume::zero_held(Request& request, Bytes offset, Bytes length,
                                     MayUnmap may_unmap) {
  if (capabilities().zero) {
    co::Semaphore::Guard slot = co_await admission(request);
    if (!slot || request.stopped()) {
      co_return IoStatus::cancelled;
    }
    const AtBackend at_backend{request, AtBackend::Kind::changes};
    const IoStatus status = co_await backend_.zero(offset, length, may_unmap, request.token());
    if (status != IoStatus::not_supported) {
      co_return status;
    }
  }
  const IoStatus status = co_await write_repeated(request, offset, length, zeros);
  co_return status;
}

co::Task<IoStatus> Volume::write_repeated(Request& request, Bytes offset, Bytes length,
                                          std::span<std::byte> segment) {
  BALLAST_ASSERT(segment.size() == pattern_bytes);
  std::array<iovec, repeats> segments;
  segments.fill(segment_of(segment));
  const io::SgView whole{segments};
  while (length.value() > 0) {
    const Bytes here = std::min(length, repeat_chunk);
    const io::SgView piece = whole.slice(0, here.value());
    const IoStatus status = co_await write_admitted(request, offset, piece, Fua::no);
    if (!ok(status)) {
      co_return status;
    }
    offset += here;
    length -= here;
  }
  co_return IoStatus::ok;
}

co::Task<IoStatus> Volume::write_same(Request& request, Lba lba, BlockCount count, io::SgView block,
                                      MayUnmap may_unmap) {
  BALLAST_ASSERT(block.size() == logical_block().value());
  if (io::is_zero(block)) {
    const IoStatus status = co_await zero(request, lba, count, may_unmap);
    co_return status;
  }
  BALLAST_ASSERT(inside(lba, count));
  Change change{fences_, request, lba, count};
  if (!change.granted()) {
    const bool granted = co_await wait_for(request, change.hold());
    if (!granted) {
      co_return IoStatus::cancelled;
    }
  }
  co::Semaphore::Guard slot = co_await scratch_.slot(request.token());
  if (!slot || request.stopped()) {
    co_return IoStatus::cancelled;
  }
  const ScratchPool::Buffer buffer{scratch_, std::move(slot)};
  const std::span<std::byte> pattern = buffer.bytes().first(pattern_bytes);
  const std::span<std::byte> first = pattern.first(block.size());
  io::copy(first, block);
  const iovec rest = segment_of(pattern.subspan(block.size()));
  io::fill(io::SgView{std::span{&rest, 1}}, first);
  const IoStatus status =
      co_await write_repeated(request, offset_of(lba), bytes_of(count), pattern);
  co_return status;
}

co::Task<IoStatus> Volume::unmap(Request& request, Lba lba, BlockCount count) {
  BALLAST_ASSERT(inside(lba, count));
  Change change{fences_, request, lba, count};
  if (!change.granted()) {
    const bool granted = co_await wait_for(request, change.hold());
    if (!granted) {
      co_return IoStatus::cancelled;
    }
  }
  co::Semaphore::Guard slot = co_await admission(request);
  if (!slot || request.stopped()) {
    co_return IoStatus::cancelled;
  }
  const AtBackend at_backend{request, AtBackend::Kind::changes};
  const IoStatus status =
      co_await backend_.discard(offset_of(lba), bytes_of(count), request.token());
  // Giving back is a wish: what cannot be given back stays.
  co_return status == IoStatus::not_supported ? IoStatus::ok : status;
}

co::Task<IoStatus> Volume::flush(Request& request, std::uint64_t since) {
  co::Semaphore::Guard slot = co_await admission(request);
  if (!slot || request.stopped()) {
    co_return IoStatus::cancelled;
  }
  const AtBackend at_backend{request, AtBackend::Kind::looks};
  const IoStatus status = co_await backend_.flush(request.token());
  co_return flush_failures_.judge(request, since, status);
}

co::Task<IoStatus> Volume::flush_all(Request& request) {
  const std::uint64_t since = flush_mark();
  {
    Fences::Hold all{fences_, Lba{0}, blocks_in(geometry().size), Fences::Kind::onlooker};
    if (!all.granted()) {
      const bool granted = co_await wait_for(request, all);
      if (!granted) {
        co_return IoStatus::cancelled;
      }
    }
  }
  const IoStatus status = co_await flush(request, since);
  co_return status;
}

co::Task<IoStatus> Volume::verify(Request& request, Lba lba, BlockCount count) {
  BALLAST_ASSERT(inside(lba, count));
  co::Semaphore::Guard slot = co_await scratch_.slot(request.token());
  if (!slot) {
    co_return IoStatus::cancelled;
  }
  const ScratchPool::Buffer buffer{scratch_, std::move(slot)};
  while (count.value() > 0) {
    const BlockCount here = std::min(count, blocks_in(Bytes{buffer.bytes().size()}));
    const iovec segment = segment_of(buffer.bytes().first(bytes_of(here).value()));
    const io::SgView to{std::span{&segment, 1}};
    const IoStatus status = co_await read(request, lba, to);
    if (!ok(status)) {
      co_return status;
    }
    lba = lba + here;
    count -= here;
  }
  co_return IoStatus::ok;
}

co::Task<Comparison> Volume::compare(Request& request, Lba lba, io::SgView expected) {
  BALLAST_ASSERT(whole_blocks(expected));
  BALLAST_ASSERT(inside(lba, blocks_in(Bytes{expected.size()})));
  co::Semaphore::Guard slot = co_await scratch_.slot(request.token());
  if (!slot) {
    co_return Comparison{IoStatus::cancelled};
  }
  const ScratchPool::Buffer buffer{scratch_, std::move(slot)};
  std::size_t done = 0;
  while (done < expected.size()) {
    const std::size_t here = std::min(expected.size() - done, buffer.bytes().size());
    const iovec segment = segment_of(buffer.bytes().first(here));
    const io::SgView found{std::span{&segment, 1}};
    const IoStatus status = co_await read(request, lba + blocks_in(Bytes{done}), found);
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

co::Task<Comparison> Volume::compare_same(Request& request, Lba lba, BlockCount count,
                                          io::SgView block) {
  BALLAST_ASSERT(block.size() == logical_block().value());
  BALLAST_ASSERT(inside(lba, count));
  co::Semaphore::Guard slot = co_await scratch_.slot(request.token());
  if (!slot) {
    co_return Comparison{IoStatus::cancelled};
  }
  const ScratchPool::Buffer buffer{scratch_, std::move(slot)};
  BlockCount done{};
  while (done < count) {
    const BlockCount here = std::min(count - done, blocks_in(Bytes{buffer.bytes().size()}));
    const iovec segment = segment_of(buffer.bytes().first(bytes_of(here).value()));
    const io::SgView found{std::span{&segment, 1}};
    const IoStatus status = co_await read(request, lba + done, found);
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

co::Task<Comparison> Volume::compare_and_write(Request& request, Lba lba, io::SgView expected,
                                               io::SgView data, Fua fua) {
  BALLAST_ASSERT(expected.size() == data.size());
  const BlockCount count = blocks_in(Bytes{data.size()});
  Change change{fences_, request, lba, count};
  if (!change.granted()) {
    const bool granted = co_await wait_for(request, change.hold());
    if (!granted) {
      co_return Comparison{IoStatus::cancelled};
    }
  }
  Comparison found = co_await compare(request, lba, expected);
  if (ok(found.status) && !found.difference.has_value()) {
    found.status = co_await write_admitted(request, offset_of(lba), data, fua, true);
  }
  co_return found;
}

co::Task<IoStatus> Volume::block_status(Request& request, Lba lba, BlockCount count,
                                        std::size_t limit, std::vector<backend::Extent>* out) {
  BALLAST_ASSERT(inside(lba, count));
  co::Semaphore::Guard slot = co_await admission(request);
  if (!slot || request.stopped()) {
    co_return IoStatus::cancelled;
  }
  const AtBackend at_backend{request, AtBackend::Kind::looks};
  const IoStatus status =
      co_await backend_.block_status(offset_of(lba), bytes_of(count), limit, out);
  co_return status;
}

co::Task<IoStatus> Volume::resize(BlockCount capacity) {
  const std::uint64_t turn = ++resizes_;
  if (next_resize_.pending()) {
    (void)next_resize_.wake();  // overtaken
  }
  if (bytes_of(capacity) > geometry().size) {
    const IoStatus status = co_await grow(bytes_of(capacity), turn);
    if (!ok(status)) {
      co_return status;
    }
  }
  capacity_ = capacity;
  co_return IoStatus::ok;
}

co::Task<IoStatus> Volume::grow(Bytes size, std::uint64_t turn) {
  if (resizing_) {
    co::Wait wait{executor_, "another resize"};
    next_resize_ = wait.waker();
    co_await wait;
  }
  if (turn != resizes_) {
    co_return IoStatus::cancelled;
  }
  IoStatus status = IoStatus::ok;
  if (size > geometry().size) {
    resizing_ = true;
    status = co_await backend_.resize(size);
    resizing_ = false;
    BALLAST_ASSERT(!ok(status) || size <= geometry().size);
  }
  if (turn == resizes_) {
    co_return status;
  }
  if (next_resize_.pending()) {
    (void)next_resize_.wake();
  }
  co_return IoStatus::cancelled;
}

}  // namespace ballast::volume
