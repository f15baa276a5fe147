// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_backend.h"

#include <algorithm>
#include <utility>

#include "lib/co/sleep.h"
#include "lib/co/timer.h"
#include "tests/sim/sim_running.h"

namespace ballast::sim {
namespace {

constexpr std::uint32_t blocks_in(std::uint64_t bytes) {
  return static_cast<std::uint32_t>(bytes / block_size);
}

}  // namespace

SimBackend::SimBackend(co::Executor& executor, std::uint64_t seed, std::uint32_t blocks,
                       const backend::Capabilities& capabilities, Verdict& verdict)
    : executor_{executor},
      random_{seed},
      verdict_{verdict},
      geometry_{.size = Bytes{blocks * block_size},
                .logical_block = Bytes{block_size},
                .physical_block = Bytes{block_size},
                .discard_granularity = Bytes{capabilities.discard ? block_size : 0}},
      capabilities_{capabilities},
      memory_(most_blocks * block_size),
      landings_(most_blocks),
      at_work_{executor_, "the last operation of the simulated store"},
      ghosts_{executor_} {
  BALLAST_ASSERT(blocks <= most_blocks);
}

void SimBackend::thaw() {
  verdict_.trace(executor_.now(), "thaw");
  freezes_.clear();
  for (Running* const running : running_) {
    running->stuck_until = TimePoint{};
    running->stuck_at = Running::most_steps + 1;
    running->kept = false;
    running->go.set();
  }
}

void SimBackend::freeze(const Freeze& rule) {
  verdict_.trace(executor_.now(), "freeze{}{}{} {}+{}{}", rule.reads ? " reads" : "",
                 rule.changes ? " changes" : "", rule.flushes ? " flushes" : "", rule.first,
                 rule.count, rule.landed_only ? " when landed" : "");
  freezes_.push_back(rule);
}

void SimBackend::keep_frozen() {
  for (Running* const running : running_) {
    running->kept = running->kept || frozen(*running);
  }
  freezes_.clear();
}

void SimBackend::release(std::size_t op) {
  const auto found = std::find_if(running_.begin(), running_.end(),
                                  [op](const Running* running) { return running->number == op; });
  BALLAST_ASSERT(found != running_.end());
  (*found)->released = true;
  (*found)->go.set();
}

std::vector<std::size_t> SimBackend::running_numbers() const {
  std::vector<std::size_t> numbers;
  for (const Running* const running : running_) {
    numbers.push_back(running->number);
  }
  return numbers;
}

TimePoint SimBackend::oldest_start() const {
  TimePoint oldest = co::Timers::never;
  for (const Running* const running : running_) {
    oldest = std::min(oldest, running->what.started);
  }
  return oldest;
}

TimePoint SimBackend::oldest_read() const {
  TimePoint oldest = co::Timers::never;
  for (const Running* const running : running_) {
    if (running->what.kind == OpKind::read) {
      oldest = std::min(oldest, running->what.started);
    }
  }
  return oldest;
}

TimePoint SimBackend::oldest_work() const {
  TimePoint oldest = oldest_start();
  for (const Running* const running : running_) {
    for (const Op& op : ops_) {
      const bool first_half = op.kind == OpKind::write && !op.running && ok(op.status) &&
                              op.ended == running->what.started;
      if (running->what.kind == OpKind::flush && first_half) {
        oldest = std::min(oldest, op.started);
      }
    }
  }
  return oldest;
}

Content SimBackend::content(std::uint32_t block) const {
  return Content::of(std::span{memory_}.subspan(block * block_size, block_size));
}

bool SimBackend::has_failed_to_make_durable() const {
  return left_word_ || std::any_of(ops_.begin(), ops_.end(), [](const Op& op) {
           return (op.kind == OpKind::flush || op.fua) &&
                  (op.status == IoStatus::medium_error || op.status == IoStatus::not_ready);
         });
}

std::uint32_t SimBackend::first_landing(std::uint32_t block, Content content) const {
  for (const Landing& landing : landings_[block]) {
    if (landing.content == content) {
      return landing.number;
    }
  }
  return 0;
}

Nanoseconds SimBackend::draw(Nanoseconds shortest, Nanoseconds longest) {
  if (longest <= shortest) {
    return shortest;
  }
  const auto span = static_cast<std::uint64_t>((longest - shortest).count());
  return shortest + Nanoseconds{static_cast<std::int64_t>(random_.below(span + 1))};
}

bool SimBackend::frozen(const Running& running) const {
  if (running.released || running.kept) {
    return running.kept && !running.released;
  }
  const Op& op = running.what;
  return std::any_of(freezes_.begin(), freezes_.end(), [&](const Freeze& freeze) {
    if (freeze.landed_only && !running.all_landed) {
      return false;
    }
    switch (op.kind) {
      case OpKind::read:
        return freeze.reads && op.touches(freeze.first, freeze.count);
      case OpKind::flush:
        return freeze.flushes;
      default:
        return freeze.changes && op.touches(freeze.first, freeze.count);
    }
  });
}

// One wait of an operation, and however long it is frozen or stuck after it. False: it obeys, and
// ends.
co::Task<bool> SimBackend::pause(Running* running, co::CancelToken cancel) {
  if (!running->cancellable || running->any_landed) {
    cancel = co::CancelToken{};
  }
  if (temper_.longest > Nanoseconds{} && !running->released) {
    const TimePoint until = executor_.now() + draw(temper_.shortest, temper_.longest);
    const bool whole = co_await co::sleep_until(executor_, until, cancel);
    if (!whole) {
      co_return false;
    }
  }
  if (running->step++ == running->stuck_at) {
    running->stuck_until = executor_.now() + draw(Nanoseconds{}, temper_.longest_stuck);
  }
  while (true) {
    if (fenced_ || running->again) {
      co_return true;
    }
    const bool stuck = running->stuck_until > executor_.now() && !running->released;
    if (!stuck && !frozen(*running)) {
      co_return true;
    }
    running->go.reset();
    const TimePoint until = stuck ? running->stuck_until : co::Timers::never;
    const bool woken = co_await running->go.wait_until(until, cancel);
    if (!woken && cancel.requested()) {
      co_return false;
    }
    if (woken && temper_.longest > Nanoseconds{} && !running->released) {
      co_await co::sleep_for(executor_, draw(temper_.shortest, temper_.longest));
    }
  }
}

co::Task<IoStatus> SimBackend::run(Op op, io::SgView data, co::CancelToken cancel, bool once) {
  Running running{*this, op, data};
  running.once = once;
  if (is_over(&running)) {
    co_return finish(&running);
  }
  for (;;) {
    const bool goes_on = co_await pause(&running, cancel);
    if (is_over(&running)) {
      co_return finish(&running);
    }
    if (std::exchange(running.again, false)) {
      running.begin_again();
      continue;
    }
    if (!goes_on) {
      if (!running.all_landed && temper_.longest_cancel > Nanoseconds{}) {
        co_await co::sleep_for(executor_, draw(Nanoseconds{}, temper_.longest_cancel));
      }
      running.fate = IoStatus::cancelled;  // if it has landed: a read or a flush, without a trace
      co_return finish(&running);
    }
    if (running.all_landed) {
      co_return finish(&running);
    }
    land(&running, running.landings++);
    running.all_landed = running.landings == running.steps;
  }
}

IoStatus SimBackend::finish(Running* running) {
  Op& op = ops_[running->number];
  op.running = false;
  op.ended = executor_.now();
  op.status = running->fate;
  verdict_.trace(op.ended, "  op {} ended: {}", running->number, to_string(op.status));
  for (std::uint32_t block = 0; op.kind == OpKind::flush && block < most_blocks; ++block) {
    const std::uint32_t covered = running->at_start[block];
    if (ok(op.status) && covered > lost_[block]) {
      durable_[block] = std::max(durable_[block], covered);
    } else if (op.status == IoStatus::medium_error && covered > durable_[block]) {
      lost_[block] = std::max(lost_[block], covered);
    }
  }
  for (std::uint32_t i = 0; changes(op.kind) && i < op.count; ++i) {
    const std::uint32_t block = op.first + i;
    ended_[block] = std::max(ended_[block], running->landed[i]);
    if (ok(op.status)) {
      completed_[block] = std::max(completed_[block], running->landed[i]);
      if (op.fua || !capabilities_.volatile_cache) {
        durable_[block] = std::max(durable_[block], running->landed[i]);
      }
    }
  }
  note_client(*running);
  return sabotaged(*running);
}

void SimBackend::land(Running* running, std::size_t step) {
  for (std::uint32_t i = 0; i < running->what.count; ++i) {
    if (running->step_of[i] == step) {
      land_block(running, i);
    }
  }
}

void SimBackend::land_block(Running* running, std::uint32_t index) {
  const Op& op = running->what;
  const std::uint32_t block = op.first + index;
  const std::span<std::byte> memory = memory_of(block);
  if (op.kind == OpKind::read) {
    io::copy(running->buffer.slice(index * block_size, block_size), memory);
    return;
  }
  running->any_landed = true;
  running->landed[index] = ++last_landing_;
  if (op.kind == OpKind::write) {
    io::copy(memory, running->buffer.slice(index * block_size, block_size));
  } else if (op.kind == OpKind::zero || capabilities_.discard_zeroes || random_.chance(1, 2)) {
    std::fill(memory.begin(), memory.end(), std::byte{});
  }
  const Content now = Content::of(memory);
  landings_[block].push_back(Landing{now, last_landing_});
  tell_again(*running, block, now);
  if (now.is_torn()) {
    verdict_.complain(
        "block {} became bytes that nobody sent: a buffer was used again under a write", block);
  }
}

co::Task<IoStatus> SimBackend::read(Bytes offset, io::SgView to, co::CancelToken cancel) {
  const Op op{
      .kind = OpKind::read, .first = blocks_in(offset.value()), .count = blocks_in(to.size())};
  const IoStatus status = co_await run(op, to, cancel);
  co_return status;
}

co::Task<IoStatus> SimBackend::write(Bytes offset, io::SgView from, backend::Fua fua,
                                     co::CancelToken cancel) {
  return start_write(offset, from, fua, cancel, false);
}

co::Task<IoStatus> SimBackend::write_once(Bytes offset, io::SgView from, backend::Fua fua,
                                          co::CancelToken cancel) {
  return start_write(offset, from, fua, cancel, true);
}

co::Task<IoStatus> SimBackend::start_write(Bytes offset, io::SgView from, backend::Fua fua,
                                           co::CancelToken cancel, bool once) {
  std::array<std::byte, block_size> head;
  io::copy(head, from.slice(0, block_size));
  const Op op{.kind = OpKind::write,
              .first = blocks_in(offset.value()),
              .count = blocks_in(from.size()),
              .fua = fua == backend::Fua::yes,
              .data = Content::of(head).data()};
  const IoStatus status = co_await run(op, from, cancel, once);
  co_return status;
}

co::Task<IoStatus> SimBackend::zero(Bytes offset, Bytes length, backend::MayUnmap,
                                    co::CancelToken cancel) {
  if (!capabilities_.zero) {
    co_return IoStatus::not_supported;
  }
  const Op op{
      .kind = OpKind::zero, .first = blocks_in(offset.value()), .count = blocks_in(length.value())};
  const IoStatus status = co_await run(op, io::SgView{}, cancel);
  co_return status;
}

co::Task<IoStatus> SimBackend::discard(Bytes offset, Bytes length, co::CancelToken cancel) {
  BALLAST_ASSERT(capabilities_.discard);
  const Op op{.kind = OpKind::discard,
              .first = blocks_in(offset.value()),
              .count = blocks_in(length.value())};
  const IoStatus status = co_await run(op, io::SgView{}, cancel);
  co_return status;
}

co::Task<IoStatus> SimBackend::flush(co::CancelToken cancel) {
  const Op op{.kind = OpKind::flush};
  const IoStatus status = co_await run(op, io::SgView{}, cancel);
  co_return status;
}

co::Task<IoStatus> SimBackend::block_status(Bytes, Bytes, std::size_t,
                                            std::vector<backend::Extent>*) {
  co_return IoStatus::not_supported;
}

co::Task<IoStatus> SimBackend::resize(Bytes size) {
  BALLAST_ASSERT(size.value() <= most_blocks * block_size);
  const co::Gate::Guard inside{at_work_};
  if (temper_.longest > Nanoseconds{}) {
    co_await co::sleep_for(executor_, draw(temper_.shortest, temper_.longest));
  }
  geometry_.size = size;
  co_return IoStatus::ok;
}

void SimBackend::open() {
  BALLAST_ASSERT(!in_use_);
  in_use_ = true;
  fenced_ = false;
  acknowledged_ = 0;
  flushed_ = 0;
  flushes_end_ = IoStatus::ok;
  lost_up_to_ = 0;
  told_up_to_ = 0;
  watcher_->opened();
}

co::Task<void> SimBackend::close() {
  BALLAST_ASSERT(in_use_);
  co_await at_work_.drain();
  co_await end_connection();
  BALLAST_ASSERT(at_work_.count() == 0);
  in_use_ = false;
}

}  // namespace ballast::sim
