// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/lun.h"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "lib/backend/checked.h"
#include "lib/backend/filter.h"
#include "lib/co/sleep.h"
#include "tests/unit/scsi/copy_list.h"

namespace ballast::sim {
namespace {

constexpr Nanoseconds slack = std::chrono::milliseconds{1};

std::unique_ptr<io::BufferPool> open_pool(co::Executor& executor) {
  Result<std::unique_ptr<io::BufferPool>> pool =
      io::BufferPool::open(executor, Bytes{io::BufferPool::largest});
  return std::move(pool).value();
}

// The store, which outlives the LUNs that have it.
class Lent final : public backend::Filter {
 public:
  Lent(SimBackend& store, std::optional<backend::Label>& label)
      : Filter{store}, store_{store}, label_{label} {}
  co::Task<Result<void>> write_label(std::optional<backend::Label> label) override {
    if (store_.fenced()) {
      co_return Error{EBUSY, "somebody else has the simulated store"};
    }
    if (label.has_value() && label->names_log()) {
      store_.get_log();
    } else {
      store_.lose_cache();  // from now on nobody but the store has anything
    }
    label_ = std::move(label);
    co_return Result<void>{};
  }

 private:
  SimBackend& store_;
  std::optional<backend::Label>& label_;
};

class SimSource final : public backend::StoreSource {
 public:
  SimSource(SimBackend& store, std::optional<backend::Label>& label,
            std::shared_ptr<backend::UnheardFlush> unheard_flush, TimePoint from)
      : store_{store}, label_{label}, unheard_flush_{std::move(unheard_flush)}, from_{from} {}

  State state() override {
    if (store_.executor().now() < from_) {
      return State::trying;
    }
    return store_.in_use() ? State::waiting : State::opened;
  }
  Error error() override { return Error{EBUSY, "somebody has the simulated store"}; }
  backend::Store take() override {
    store_.open();
    return backend::Store{backend::make_checked(std::make_unique<Lent>(store_, label_)),
                          unheard_flush_, label_};
  }

 private:
  SimBackend& store_;
  std::optional<backend::Label>& label_;
  std::shared_ptr<backend::UnheardFlush> unheard_flush_;
  TimePoint from_;
};

lun::LunConfig with_limits(const scsi::TaskSetLimits& limits, const LunConfig& of) {
  lun::LunConfig config;
  config.queue_depth = static_cast<std::uint32_t>(of.queue_depth);
  config.elevator = of.elevator;
  config.copy_group = Neighbour::group;
  static_cast<config::Limits&>(config) = limits;
  return config;
}

}  // namespace

void Tally::add(const lun::Lun& lun) {
  watch::LunSnapshot snapshot;
  lun.describe({.in_flight = true, .slow_requests = true, .tasks = true}, &snapshot);
  orphaned += snapshot.counters.orphaned;
  adoptions += snapshot.counters.adoptions;
  held += snapshot.counters.held;
  stalls += snapshot.counters.stalls;
  shed += snapshot.counters.shed;
}

Lun::Lun(const LunConfig& config)
    : config_{config},
      verdict_{config.trace},
      sim_{config.seed, "sim"},
      group_{executor()},
      random_{config.seed ^ 0x10ca1},
      buffers_{open_pool(executor())},
      neighbour_{executor(), *buffers_, copy_offers_, config.seed ^ 0x5e1f, config.blocks},
      store_{std::make_unique<SimBackend>(executor(), config.seed ^ 0x570e, config.blocks,
                                          config.capabilities, verdict_)},
      log_{config.log_unit.has_value()
               ? std::make_unique<SimLog>(executor(), config.seed ^ 0x1095, *config.log_unit,
                                          config.log_sabotage, *store_, verdict_)
               : nullptr},
      oracle_{*store_, log_.get(), verdict_},
      monitor_{*store_, log_.get(), verdict_},
      limits_{config.limits},
      blocks_{config.blocks} {
  store_->sabotage(config.store_sabotage);
  store_->play(config.engine, oracle_, unheard_flush_);
  executor().add_tick_hook(*this);
  open({});
}

Lun::~Lun() {
  BALLAST_ASSERT(lun_ == nullptr);  // finish() was called
  executor().remove_tick_hook(*this);
}

void Lun::open(Nanoseconds wait) {
  lun_ =
      std::make_shared<lun::Lun>(lun::Runtime{executor(), *buffers_, stalled_luns_, &copy_offers_},
                                 lun::LunSetup{.name = "sim",
                                               .config = with_limits(limits_, config_),
                                               .logical_block = Bytes{block_size},
                                               .capacity = BlockCount{blocks_},
                                               .fence_seed = config_.seed,
                                               .sabotage = config_.sabotage},
                                 *this);
  lun_->set_longest_hold(limits_.longest_hold);
  std::unique_ptr<backend::StoreSource> source =
      std::make_unique<SimSource>(*store_, label_, unheard_flush_, now() + wait);
  if (log_ != nullptr) {
    // With a log, an UNMAP leaves zeros on any store.
    const backend::Capabilities& its = config_.capabilities;
    source = log_->before(std::move(source), label_, Bytes{blocks_ * block_size},
                          !its.discard || its.discard_zeroes);
  }
  if (source->state() == backend::StoreSource::State::opened) {
    lun_->use(source->take());
  } else {
    lun_->wait_for(std::move(source));
  }
  monitor_.limits(now(), limits_);
  oracle_.reopened();
  stopping_ = false;
  closing_ = false;
  idle_since_.reset();
}

std::uint32_t Lun::capacity() const {
  return ready() ? static_cast<std::uint32_t>(lun_->volume()->capacity().value()) : blocks_;
}

Tally Lun::tally() const {
  Tally all = buried_;
  for (const std::shared_ptr<lun::Lun>& lun : departed_) {
    all.add(*lun);
  }
  all.add(*lun_);
  return all;
}

Issued& Lun::send(const Wish& wish, co::Waker waker) {
  const auto number = static_cast<std::uint32_t>(issued_.size() + 1);
  issued_.push_back(std::make_unique<Issued>(number, wish, random_));
  Issued& command = *issued_.back();
  command.waker = waker;
  command.began = oracle_.next_moment();
  command.arrived = now();
  command.capacity = capacity();
  verdict_.trace(now(), "command {} {}", number, wish.description());
  oracle_.arrived(command);
  monitor_.arrived(command);
  unanswered_.push_back(&command);
  if (closing_) {
    turning_away_ = true;
    answer(command, scsi::Status::busy);
    turning_away_ = false;
    return command;
  }
  if (!lun_->is_identified()) {
    lun_->identify({.unit_serial = std::string{test::copy_serial}});
  }
  lun_->begin(command);
  return command;
}

void Lun::answer(scsi::Command& answered, scsi::Status status) {
  Issued& command = static_cast<Issued&>(answered);
  if (command.answered) {
    verdict_.complain("command {} {} is answered twice", command.number,
                      command.wish.description());
    return;
  }
  if (lun_->has_departed() && !turning_away_) {
    verdict_.complain("command {} {} is answered by a LUN that has departed", command.number,
                      command.wish.description());
  }
  std::erase(unanswered_, &command);
  command.answered = true;
  command.status = status;
  command.ended = oracle_.next_moment();
  command.answered_at = now();
  command.unmapped_are_zeros = ready() && lun_->volume()->capabilities().discard_zeroes;
  command.while_closing = closing_ || stopping_;
  verdict_.trace(now(), "command {} answered {}", command.number, command.outcome());
  if (command.good() && command.wish.kind == Wish::Kind::read) {
    note_read(command);
  }
  check_range(command);
  oracle_.answered(command);
  if (lun_->task_set() != nullptr) {
    monitor_.answered(command, *lun_->task_set());
  }
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
  if (closing_ && unanswered_.empty()) {
    idle_since_ = idle_since_.value_or(now());
    if (!lun_->has_departed() &&
        now() - *idle_since_ > scsi::TaskSet::cancel_grace + lun::Lun::depart_patience + slack) {
      verdict_.complain("the LUN has nothing to answer, and does not depart");
      idle_since_ = now();
    }
  }
  if (lun_->task_set() != nullptr && !closing_ && !stopping_) {
    monitor_.look(now(), *lun_->task_set(), config_.queue_depth, capacity(), unanswered_);
    look_at_log();
  }
}

void Lun::look_at_log() {
  if (log_ != nullptr && log_->damaged()) {
    verdict_.complain("what the log has cannot be read");
  }
}

void Lun::look_at_closing() {
  constexpr Nanoseconds soon = scsi::TaskSet::cancel_grace + lun::Lun::depart_patience + slack;
  if (lun_->has_departed() && unanswered() > 0) {
    verdict_.complain("the LUN has departed, and {} commands are unanswered", unanswered());
  }
  if (unanswered_.empty()) {
    idle_since_ = idle_since_.value_or(now());
    if (!lun_->has_departed() && now() - *idle_since_ > soon) {
      verdict_.complain("the LUN has nothing to answer, and does not depart");
      idle_since_ = now();
    }
  }
  // Of those that wait for it others may be there that are not gone.
  if (lun_->is_gone() && departed_.empty() && !neighbour_.closing()) {
    const co::Registry& registry = executor().registry();
    for (const co::TaskInfo* task = registry.first(); task != nullptr; task = task->next) {
      const std::string_view name = task->name;
      if (name.starts_with("close") || name == "stop" || name == "becoming ready" ||
          name == "resize") {
        verdict_.complain("the LUN is gone, and its task \"{}\" is there", name);
      }
    }
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
  (void)lun_->abort([](const scsi::Command& command) {
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
    const Result<void> changed = lun_->reconfigure(with_limits(limits, config_));
    BALLAST_ASSERT(changed.ok());
    lun_->set_longest_hold(limits.longest_hold);
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
  if (!closing_) {
    ++resizes_;
    lun_->resize(Bytes{blocks * block_size},
                 [this, blocks](const Result<void>& done) { resized(blocks, done.ok()); });
  }
}

void Lun::resized(std::uint32_t blocks, bool done) {
  --resizes_;
  if (!done) {
    return;
  }
  blocks_ = blocks;
  for (Issued* const command : unanswered_) {
    command->capacity = std::max(command->capacity, blocks);
  }
}

void Lun::stop() {
  verdict_.trace(now(), "stop, {} unanswered", unanswered());
  stopping_ = true;
  lun_->stop();
}

void Lun::close(Nanoseconds patience) {
  BALLAST_ASSERT(!closing_ && lun_ != nullptr);
  verdict_.trace(now(), "close, {} unanswered", unanswered());
  closing_ = true;
  if (log_ != nullptr) {
    log_->forget();
  }
  lun_->close(patience);
  group_.spawn("watch a closing LUN", watch_closing(executor(), this, lun_, patience));
}

co::Task<void> Lun::watch_closing(co::Executor& executor, Lun* self,
                                  std::weak_ptr<lun::Lun> closing, Nanoseconds patience) {
  const std::size_t sent = self->issued_.size();
  const bool idle = self->unanswered() == 0 && self->store_->running() == 0 &&
                    self->resizes_ == 0 && !self->store_->unflushed() && self->log_ == nullptr;
  const Nanoseconds until_answered = idle ? slack : patience + scsi::TaskSet::cancel_grace + slack;
  co_await co::sleep_for(executor, until_answered);
  for (const Issued* const command : self->unanswered_) {
    if (command->number <= sent) {
      self->verdict_.complain("command {} {} is unanswered {} ms after its LUN was closed",
                              command->number, command->wish.description(),
                              until_answered / std::chrono::milliseconds{1});
    }
  }
  if (!idle) {
    co_await co::sleep_for(executor, lun::Lun::depart_patience);
  }
  const std::shared_ptr<lun::Lun> still_there = closing.lock();
  if (still_there != nullptr && !still_there->has_departed()) {
    self->verdict_.complain("a closed LUN has not departed");
  }
  if (still_there != nullptr && idle && !still_there->is_gone()) {
    self->verdict_.complain("an idle LUN is closed, and not gone");
  }
}

void Lun::reopen(Nanoseconds wait) {
  BALLAST_ASSERT(departed());
  verdict_.trace(now(), "reopen");
  departed_.push_back(std::move(lun_));
  bury();
  // Nobody would see what the store has in its cache alone, if it were lost now: the log has it.
  if (label_.has_value() && label_->names_log() && !store_->in_use() && random_.chance(1, 2)) {
    store_->lose_cache();
  }
  open(wait);
}

void Lun::bury() {
  std::erase_if(departed_, [this](const std::shared_ptr<lun::Lun>& lun) {
    if (lun->is_gone()) {
      buried_.add(*lun);
    }
    return lun->is_gone();
  });
}

void Lun::squeeze_buffers(std::size_t left) {
  squeezed_.clear();
  const std::size_t pages = buffers_->capacity() / io::BufferPool::smallest;
  const std::size_t keep = std::min(pages, left / io::BufferPool::smallest);
  monitor_.short_of_buffers(keep < pages);
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
  neighbour_.close();
  sim_.run_until_idle();
  for (const Issued* const command : unanswered_) {
    verdict_.complain("command {} {} was never answered", command->number,
                      command->wish.description());
  }
  BALLAST_ASSERT(closed());  // else what follows would only crash
  departed_.push_back(std::move(lun_));
  bury();
  if (!departed_.empty() || store_->in_use()) {
    verdict_.complain("{} LUNs are not gone, the store is {}", departed_.size(),
                      store_->in_use() ? "in use" : "free");
  }
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
