// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/lun.h"

#include <algorithm>
#include <utility>

#include "lib/backend/checked.h"

namespace ballast::sim {
namespace {

std::unique_ptr<io::BufferPool> open_pool(co::Executor& executor) {
  Result<std::unique_ptr<io::BufferPool>> pool =
      io::BufferPool::open(executor, Bytes{io::BufferPool::largest});
  return std::move(pool).value();
}

co::Task<void> close_backend(backend::Backend& backend) {
  co_await backend.close();
}

}  // namespace

Lun::Lun(const LunConfig& config)
    : config_{config},
      verdict_{config.trace},
      sim_{config.seed, "sim"},
      group_{executor()},
      random_{config.seed ^ 0x10ca1},
      buffers_{open_pool(executor())},
      store_{new SimBackend{executor(), config.seed ^ 0x570e, config.blocks, config.capabilities,
                            verdict_}},
      backend_{backend::make_checked(std::unique_ptr<backend::Backend>{store_})},
      oracle_{*store_, verdict_},
      monitor_{*store_, verdict_},
      slow_log_{"sim", Bytes{block_size}},
      limits_{config.limits},
      blocks_{config.blocks} {
  executor().add_tick_hook(*this);
  open();
}

Lun::~Lun() {
  BALLAST_ASSERT(tasks_ == nullptr);  // finish() was called
  executor().remove_tick_hook(*this);
}

void Lun::open() {
  volume::VolumeConfig volume_config;
  volume_config.capacity = BlockCount{blocks_};
  volume_config.queue_depth = config_.queue_depth;
  volume_config.fence_seed = config_.seed;
  volume_config.unheard_flush = unheard_flush_;
  volume_ = std::make_unique<volume::Volume>(*backend_, volume_config);
  disk_ = std::make_unique<scsi::Disk>(*volume_, scsi::DiskConfig{});
  tasks_ = std::make_unique<scsi::TaskSet>(*disk_, *this, *buffers_, slow_log_, stalled_luns_,
                                           limits_, config_.sabotage);
  monitor_.limits(now(), limits_);
  oracle_.reopened();
  closing_ = false;
  closed_ = false;
}

Issued& Lun::send(const Wish& wish, co::Waker waker) {
  const auto number = static_cast<std::uint32_t>(issued_.size() + 1);
  issued_.push_back(std::make_unique<Issued>(number, wish, random_));
  Issued& command = *issued_.back();
  command.waker = waker;
  command.began = ++moment_;
  command.arrived = now();
  command.capacity = capacity();
  verdict_.trace(now(), "command {} {}", number, wish.description());
  oracle_.arrived(command);
  unanswered_.push_back(&command);
  tasks_->begin(command);
  return command;
}

void Lun::answer(scsi::Command& answered, scsi::Status status) {
  Issued& command = static_cast<Issued&>(answered);
  if (command.answered) {
    verdict_.complain("command {} {} is answered twice", command.number,
                      command.wish.description());
    return;
  }
  std::erase(unanswered_, &command);
  command.answered = true;
  command.status = status;
  command.ended = ++moment_;
  command.answered_at = now();
  command.while_closing = closing_;
  verdict_.trace(now(), "command {} answered {}", command.number, command.outcome());
  if (command.good() && command.wish.kind == Wish::Kind::read) {
    note_read(command);
  }
  check_range(command);
  oracle_.answered(command);
  monitor_.answered(command, *tasks_);
  command.give_away(random_);
  if (command.waker) {
    (void)command.waker.wake();
  }
}

// What was beyond the end all its life cannot have been done.
void Lun::check_range(const Issued& command) {
  for (const Range& range : command.wish.ranges) {
    if (command.good() && range.lba + range.count > command.capacity) {
      verdict_.complain("command {} {} is answered GOOD on a LUN of {} blocks", command.number,
                        command.wish.description(), command.capacity);
    }
  }
}

void Lun::note_read(Issued& command) {
  const std::size_t length = command.wish.range().count * block_size;
  if (command.transferred != length) {
    verdict_.complain("command {} {} is answered GOOD with {} bytes", command.number,
                      command.wish.description(), command.transferred);
  }
  const std::vector<std::byte> bytes = command.bytes();
  for (std::size_t at = 0; at < length; at += block_size) {
    command.found.push_back(Content::of(std::span{bytes}.subspan(at, block_size)));
    if (command.found.back().is_torn()) {
      verdict_.complain("command {} {} shows bytes that nobody wrote", command.number,
                        command.wish.description());
    }
  }
}

void Lun::tick_end() {
  if (tasks_ != nullptr && !closing_) {
    monitor_.look(now(), *tasks_, config_.queue_depth, unanswered_);
  }
}

void Lun::abort(const std::function<bool(const Issued&)>& meant) {
  if (closing_) {
    return;
  }
  for (Issued* const command : unanswered_) {
    if (!command->aborted_at.has_value() && meant(*command)) {
      verdict_.trace(now(), "command {} aborted", command->number);
      command->aborted_at = now();
    }
  }
  (void)tasks_->abort([](const scsi::Command& command) {
    return static_cast<const Issued&>(command).aborted_at.has_value();
  });
}

void Lun::set_limits(const scsi::TaskSetLimits& limits) {
  verdict_.trace(now(), "limits: deadline {} ms, stall_after {} ms, window {}, BUSY for {} ms",
                 limits.deadline / std::chrono::milliseconds{1},
                 limits.stall_after / std::chrono::milliseconds{1}, limits.stall_window,
                 limits.busy_for / std::chrono::milliseconds{1});
  limits_ = limits;
  monitor_.limits(now(), limits);
  if (!closing_) {
    tasks_->set_limits(limits);
  }
}

void Lun::set_siblings(std::size_t stalled) {
  verdict_.trace(now(), "{} others are stalled", stalled);
  while (siblings_.size() > stalled) {
    siblings_.pop_back();
  }
  while (siblings_.size() < stalled) {
    siblings_.emplace_back(stalled_luns_);
  }
  monitor_.siblings(now(), stalled);
}

void Lun::resize(std::uint32_t blocks) {
  if (!resizing_ && !closing_) {
    resizing_ = true;
    group_.spawn("resize", resize_volume(executor(), this, blocks));
  }
}

co::Task<void> Lun::resize_volume(co::Executor&, Lun* lun, std::uint32_t blocks) {
  const IoStatus status = co_await lun->volume_->resize(BlockCount{blocks});
  if (ok(status)) {
    lun->blocks_ = blocks;
    lun->disk_->capacity_changed();
    for (Issued* const command : lun->unanswered_) {
      command->capacity = std::max(command->capacity, blocks);
    }
  }
  lun->resizing_ = false;
}

void Lun::close() {
  BALLAST_ASSERT(!closing_ && tasks_ != nullptr);
  verdict_.trace(now(), "close, {} unanswered, {} orphans", unanswered(), tasks_->orphans());
  closing_ = true;
  group_.spawn("close", close_tasks(executor(), this));
}

co::Task<void> Lun::close_tasks(co::Executor& executor, Lun* lun) {
  const TimePoint began = executor.now();
  co_await lun->tasks_->shut();
  if (executor.now() - began > scsi::TaskSet::cancel_grace) {
    lun->verdict_.complain("shut() took longer than cancel_grace");
  }
  if (lun->unanswered() != 0 || lun->tasks_->unanswered() != 0) {
    lun->verdict_.complain("{} commands are unanswered after shut()", lun->unanswered());
  }
  co_await lun->tasks_->drained();
  if (lun->tasks_->orphans() != 0) {
    lun->verdict_.complain("{} orphans after drained()", lun->tasks_->orphans());
  }
  lun->closed_ = true;
  lun->verdict_.trace(executor.now(), "closed");
}

void Lun::reopen() {
  BALLAST_ASSERT(closed_ && !resizing_);
  tasks_.reset();
  disk_.reset();
  volume_.reset();
  open();
}

void Lun::squeeze_buffers(std::size_t left) {
  squeezed_.clear();
  const std::size_t pages = buffers_->capacity() / io::BufferPool::smallest;
  const std::size_t keep = std::min(pages, left / io::BufferPool::smallest);
  for (std::size_t page = keep; page < pages; ++page) {
    std::optional<io::Buffer> buffer = buffers_->try_acquire(io::BufferPool::smallest);
    if (!buffer.has_value()) {
      break;
    }
    squeezed_.push_back(std::move(*buffer));
  }
}

void Lun::finish() {
  squeezed_.clear();
  if (!closing_) {
    close();
  }
  sim_.run_until_idle();
  for (const Issued* const command : unanswered_) {
    verdict_.complain("command {} {} was never answered", command->number,
                      command->wish.description());
  }
  BALLAST_ASSERT(closed_);  // else what follows would only crash
  tasks_.reset();
  disk_.reset();
  volume_.reset();
  group_.spawn("close the store", close_backend(*backend_));
  sim_.run_until_idle();
  if (buffers_->stats().in_use_bytes != 0) {
    verdict_.complain("{} bytes of buffers were not given back", buffers_->stats().in_use_bytes);
  }
  if (executor().frames().stats().live != 0 || executor().stats().live_waits != 0 ||
      executor().timers().size() != 0 || store_->running() != 0) {
    verdict_.complain("left behind: {} coroutines, {} waits, {} timers, {} operations",
                      executor().frames().stats().live, executor().stats().live_waits,
                      executor().timers().size(), store_->running());
  }
  if (executor().stats().refused_wakes != 0) {
    verdict_.complain("{} wakes were refused", executor().stats().refused_wakes);
  }
  for (const std::unique_ptr<Issued>& command : issued_) {
    if (command->answered && !command->untouched()) {
      verdict_.complain("command {} {} was written to after its answer", command->number,
                        command->wish.description());
    }
  }
  oracle_.judge();
}

}  // namespace ballast::sim
