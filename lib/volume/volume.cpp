// SPDX-License-Identifier: Apache-2.0
#include "lib/volume/volume.h"

#include <algorithm>
#include <array>
#include <bit>

namespace ballast::volume {

using backend::Elevator;

namespace {

// The pattern is repeated by reference from one buffer of this size, small enough for the
// processor's cache.
constexpr std::size_t pattern_bytes = 64 * 1024;
constexpr std::size_t repeats = Volume::repeat_chunk.value() / pattern_bytes;
static_assert(pattern_bytes <= io::ScratchPool::buffer_size);

// Never written. Aligned for O_DIRECT. It is not const, so that it takes no space in the file.
alignas(4096) std::array<std::byte, pattern_bytes> zeros{};

iovec segment_of(std::span<std::byte> bytes) {
  return iovec{bytes.data(), bytes.size()};
}

}  // namespace

Volume::Volume(backend::Backend& backend, const VolumeConfig& config)
    : backend_{backend},
      executor_{backend.executor()},
      block_shift_{static_cast<unsigned>(std::countr_zero(config.logical_block.value()))},
      log_{backend.log_coverage()},
      elevator_{config.elevator},
      admission_{{{{backend.executor(), config.queue_depth, "admission"},
                   {backend.executor(), config.queue_depth, "admission to the log"}}}},
      fences_{config.fence_seed},
      flush_failures_{executor_, config.unheard_flush},
      scratch_{backend.executor()},
      patterns_{backend.executor()} {
  const std::uint64_t block = config.logical_block.value();
  BALLAST_ASSERT(std::has_single_bit(block));
  BALLAST_ASSERT(block >= 512 && block <= 4096);
  BALLAST_ASSERT(block % backend.geometry().logical_block.value() == 0);
  BALLAST_ASSERT(config.queue_depth > 0);
  const BlockCount all = blocks_in(backend.geometry().size);
  BALLAST_ASSERT(config.capacity <= all);
  capacity_ = config.capacity.value() == 0 ? all : config.capacity;
}

void Direct::task_ended(const IoStatus& status, std::uint32_t) {
  before_.tell(status);
  if (!ok(status) && durable_ != nullptr) {
    durable_->durable_write_ended(request_, status);
  }
  over();
}

void Direct::task_dropped(std::uint32_t) {
  before_.drop();
  over();
}

void Direct::over() {
  place_.reset();
  if (seat_.has_value()) [[unlikely]] {
    seat_.reset();
  }
  change_.reset();
}

// --- the way to the backend

template <class Ending>
co::Task<Ending> Volume::hold(Request& request, Lba lba, BlockCount count, co::Task<Ending> work) {
  BALLAST_ASSERT(inside(lba, count));
  Change change{fences_, request, lba, count};
  const bool granted = co_await wait_for(request, change.hold());
  if (!granted) {
    co_return Ending{IoStatus::cancelled};
  }
  Ending ending = co_await std::move(work);
  co_return ending;
}

co::Task<bool> Volume::wait_for(Request& request, Fences::Hold& hold) {
  if (hold.granted()) {
    co_return true;
  }
  if (request.observer() != nullptr) {
    request.observer()->entered_fence();
  }
  const bool granted = co_await hold.wait(executor(), request.token());
  if (request.observer() != nullptr) {
    request.observer()->left_fence();
  }
  co_return granted;
}

Place Volume::Admission::await_resume() {
  co::Semaphore::Guard slot = Waiter::await_resume();
  if (volume_.refuses(request_)) {
    slot.release();
  }
  const Tier tier = volume_.tier_of(need_);
  if (tier == Tier::log) {
    request_.log_ = volume_.log_;
    request_.need_ = need_;
  }
  return Place{request_, kind_, tier, std::move(slot), volume_.fences_.mark()};
}

co::Semaphore::Guard Volume::admit_at_once(Request& request, Elevator::Kind kind, Lba lba,
                                           BlockCount count) {
  if (has_log() || request.direct_.place_.has_value() || refuses(request)) {
    return {};
  }
  if (elevator_ != nullptr && !sit_down_at_once(request, kind, lba, count)) [[unlikely]] {
    return {};
  }
  return admission_[Tier::store].try_acquire();
}

bool Volume::sit_down_at_once(Request& request, Elevator::Kind kind, Lba lba, BlockCount count) {
  std::optional<Elevator::Seat>& seat = request.direct_.seat_;
  seat.emplace();
  if (!elevator_->take_at_once(*seat, kind, offset_of(lba), bytes_of(count))) {
    seat.reset();
  }
  return seat.has_value();
}

// A change that waits for room in the log is not at the store, and takes nobody's place there.
bool Volume::goes_to_store(Elevator::Kind kind, const Need& need) const {
  if (kind == Elevator::Kind::read) {
    return tier_of(need) == Tier::store;
  }
  return !has_log() || log_->is_passed_by();
}

co::Task<void> Volume::sit_down(Request& request, Elevator::Seat& seat, Elevator::Kind kind,
                                Need need, Bytes from, Bytes length) {
  if (!goes_to_store(kind, need)) {
    co_return;
  }
  if (request.observer() != nullptr) {
    request.observer()->entered_elevator();
  }
  co_await elevator_->take(seat, kind, from, length, request.token());
  if (request.observer() != nullptr) {
    request.observer()->left_elevator();
  }
}

co::Task<IoStatus> Volume::follow(Request& request, co::Task<IoStatus> task) {
  request.direct_.before_ = task.on_end({&request.direct_, 0});
  return task;
}

// --- read and write

// A read that need not wait returns the backend's own task, which saves a coroutine.
co::Task<IoStatus> Volume::read(Request& request, Lba lba, io::SgView to) {
  BALLAST_ASSERT(whole_blocks(to));
  BALLAST_ASSERT(inside(lba, blocks_in(Bytes{to.size()})));
  if (fences_.fenced() > 0) {
    return read_in_turn(request, lba, to);
  }
  co::Semaphore::Guard slot =
      admit_at_once(request, Elevator::Kind::read, lba, blocks_in(Bytes{to.size()}));
  if (!slot) {
    return read_in_turn(request, lba, to);
  }
  Direct& direct = request.direct_;
  direct.place_.emplace(request, Place::Kind::looks, Tier::store, std::move(slot), fences_.mark());
  direct.durable_ = nullptr;
  return follow(request, backend_.read(offset_of(lba), to, request.token()));
}

co::Task<IoStatus> Volume::read_in_turn(Request& request, Lba lba, io::SgView to) {
  const BlockCount count = blocks_in(Bytes{to.size()});
  if (fences_.fenced() > 0) {
    Fences::Hold behind_orphans{fences_, lba, count, Fences::Kind::read};
    const bool granted = co_await wait_for(request, behind_orphans);
    if (!granted) {
      co_return IoStatus::cancelled;
    }
  }
  Elevator::Seat seat;
  if (elevator_ != nullptr) {
    co_await sit_down(request, seat, Elevator::Kind::read, Need{lba, count}, offset_of(lba),
                      Bytes{to.size()});
  }
  const Place place = co_await admit(request, Place::Kind::looks, Need{lba, count});
  if (!place) {
    co_return IoStatus::cancelled;
  }
  const IoStatus status = co_await backend_.read(offset_of(lba), to, request.token());
  co_return status;
}

// As in read(), there is no coroutine if the write need not wait and needs no flush after it.
co::Task<IoStatus> Volume::write(Request& request, Lba lba, io::SgView from, Fua fua) {
  const BlockCount count = blocks_in(Bytes{from.size()});
  BALLAST_ASSERT(whole_blocks(from));
  BALLAST_ASSERT(inside(lba, count));
  Direct& direct = request.direct_;
  co::Semaphore::Guard slot = needs_flush(fua)
                                  ? co::Semaphore::Guard{}
                                  : admit_at_once(request, Elevator::Kind::change, lba, count);
  if (slot) {
    direct.change_.emplace(fences_, request, lba, count);
    if (direct.change_->granted()) {
      direct.place_.emplace(request, Place::Kind::changes, Tier::store, std::move(slot),
                            fences_.mark());
      direct.durable_ = native(fua) == Fua::yes ? &flush_failures_ : nullptr;
      return follow(request, backend_.write(offset_of(lba), from, native(fua), request.token()));
    }
    direct.change_.reset();
    direct.seat_.reset();
    slot.release();
  }
  return hold(request, lba, count, write_held(request, offset_of(lba), from, fua));
}

co::Task<IoStatus> Volume::write_held(Request& request, Bytes offset, io::SgView from, Fua fua,
                                      bool once) {
  Elevator::Seat seat;
  if (elevator_ != nullptr) {
    co_await sit_down(request, seat, Elevator::Kind::change, Need{}, offset, Bytes{from.size()});
  }
  const Place place = co_await admit(request, Place::Kind::changes, Need{});
  if (!place) {
    co_return IoStatus::cancelled;
  }
  request.irrevocable_ |= once;
  const std::uint64_t mark = flush_mark();
  co::Task<IoStatus> writing = once
                                   ? backend_.write_once(offset, from, native(fua), request.token())
                                   : backend_.write(offset, from, native(fua), request.token());
  IoStatus status = co_await std::move(writing);
  if (ok(status) && needs_flush(fua)) {
    if (refuses(request)) {
      co_return IoStatus::cancelled;
    }
    status = co_await backend_.flush(request.token());
    status = flush_failures_.judge(request, mark, status);
  } else if (native(fua) == Fua::yes) {
    flush_failures_.durable_write_ended(request, status);
  }
  co_return status;
}

// --- the other changes

co::Task<IoStatus> Volume::zero(Request& request, Lba lba, BlockCount count, MayUnmap may_unmap) {
  return hold(request, lba, count, zero_held(request, offset_of(lba), bytes_of(count), may_unmap));
}

co::Task<IoStatus> Volume::zero_held(Request& request, Bytes offset, Bytes length,
                                     MayUnmap may_unmap) {
  if (capabilities().zero) {
    Elevator::Seat seat;
    if (elevator_ != nullptr) {
      co_await sit_down(request, seat, Elevator::Kind::change, Need{}, offset, length);
    }
    const Place place = co_await admit(request, Place::Kind::changes, Need{});
    if (!place) {
      co_return IoStatus::cancelled;
    }
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
  // A store that begins with its write cache off may lose at any time what it has not made durable:
  // an NBD server that restarts. A loss between these writes and the flush behind them would count
  // as one of acknowledged data, for good.
  const Fua fua = capabilities().write_through && capabilities().fua ? Fua::yes : Fua::no;
  while (length.value() > 0) {
    const Bytes here = std::min(length, repeat_chunk);
    const io::SgView piece = whole.slice(0, here.value());
    const IoStatus status = co_await write_held(request, offset, piece, fua);
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
    return zero(request, lba, count, may_unmap);
  }
  return hold(request, lba, count,
              write_same_held(request, offset_of(lba), bytes_of(count), block));
}

co::Task<IoStatus> Volume::write_same_held(Request& request, Bytes offset, Bytes length,
                                           io::SgView block) {
  co::Semaphore::Guard slot = co_await patterns_.slot(request.token());
  if (!slot || request.stopped()) {
    co_return IoStatus::cancelled;
  }
  const io::ScratchPool::Buffer buffer{patterns_, std::move(slot)};
  if (!buffer) {
    co_return IoStatus::no_resource;
  }
  const std::span<std::byte> pattern = buffer.bytes().first(pattern_bytes);
  const std::span<std::byte> first = pattern.first(block.size());
  io::copy(first, block);
  const iovec rest = segment_of(pattern.subspan(block.size()));
  io::fill(io::SgView{std::span{&rest, 1}}, first);
  const IoStatus status = co_await write_repeated(request, offset, length, pattern);
  co_return status;
}

co::Task<IoStatus> Volume::unmap(Request& request, Lba lba, BlockCount count) {
  return hold(request, lba, count, unmap_held(request, offset_of(lba), bytes_of(count)));
}

co::Task<IoStatus> Volume::unmap_held(Request& request, Bytes offset, Bytes length) {
  Elevator::Seat seat;
  if (elevator_ != nullptr) {
    co_await sit_down(request, seat, Elevator::Kind::change, Need{}, offset, length);
  }
  const Place place = co_await admit(request, Place::Kind::changes, Need{});
  if (!place) {
    co_return IoStatus::cancelled;
  }
  const IoStatus status = co_await backend_.discard(offset, length, request.token());
  // UNMAP is only a hint: if the backend cannot give the space back, the blocks stay.
  co_return status == IoStatus::not_supported ? IoStatus::ok : status;
}

co::Task<Comparison> Volume::compare_and_write(Request& request, Lba lba, io::SgView expected,
                                               io::SgView data, Fua fua) {
  BALLAST_ASSERT(expected.size() == data.size());
  return hold(request, lba, blocks_in(Bytes{data.size()}),
              compare_and_write_held(request, lba, expected, data, fua));
}

co::Task<Comparison> Volume::compare_and_write_held(Request& request, Lba lba, io::SgView expected,
                                                    io::SgView data, Fua fua) {
  Comparison found = co_await compare(request, lba, expected);
  if (ok(found.status) && !found.difference.has_value()) {
    found.wrote = true;
    found.status = co_await write_held(request, offset_of(lba), data, fua, true);
  }
  co_return found;
}

// --- flush

co::Task<IoStatus> Volume::flush(Request& request, std::uint64_t since) {
  Elevator::Seat seat;
  if (elevator_ != nullptr) {
    co_await sit_down(request, seat, Elevator::Kind::flush, Need{}, Bytes{}, Bytes{});
  }
  const Place place = co_await admit(request, Place::Kind::looks, Need{});
  if (!place) {
    co_return IoStatus::cancelled;
  }
  const IoStatus status = co_await backend_.flush(request.token());
  co_return flush_failures_.judge(request, since, status);
}

co::Task<IoStatus> Volume::flush_all(Request& request) {
  const std::uint64_t since = flush_mark();
  {
    Fences::Hold all{fences_, Lba{0}, blocks_in(geometry().size), Fences::Kind::onlooker};
    const bool granted = co_await wait_for(request, all);
    if (!granted) {
      co_return IoStatus::cancelled;
    }
  }
  const IoStatus status = co_await flush(request, since);
  co_return status;
}

co::Task<IoStatus> Volume::block_status(Request& request, Lba lba, BlockCount count,
                                        std::size_t limit, std::vector<backend::Extent>* out) {
  BALLAST_ASSERT(inside(lba, count));
  Elevator::Seat seat;
  if (elevator_ != nullptr) {
    co_await sit_down(request, seat, Elevator::Kind::read, Need{lba, count}, offset_of(lba),
                      bytes_of(count));
  }
  const Place place = co_await admit(request, Place::Kind::looks, Need{lba, count});
  if (!place) {
    co_return IoStatus::cancelled;
  }
  const IoStatus status =
      co_await backend_.block_status(offset_of(lba), bytes_of(count), limit, out);
  co_return status;
}

co::Task<IoStatus> Volume::resize(BlockCount capacity) {
  const std::uint64_t turn = ++resizes_;
  if (next_resize_.pending()) {
    (void)next_resize_.wake();  // that resize is overtaken
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
    if (shut_) {
      co_return IoStatus::not_ready;
    }
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
