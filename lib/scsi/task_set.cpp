// SPDX-License-Identifier: Apache-2.0
#include "lib/scsi/task_set.h"

#include <algorithm>
#include <utility>

#include "lib/scsi/task_slot.h"

namespace ballast::scsi {

TaskSet::TaskSet(Disk& disk, FrontEnd& front_end, io::BufferPool& buffers, watch::SlowLog& slow_log,
                 StalledLuns& stalled_luns, const TaskSetLimits& limits,
                 const TaskSetSabotage& sabotage)
    : disk_{disk},
      executor_{disk.executor()},
      front_end_{front_end},
      buffers_{buffers},
      slow_log_{slow_log},
      stalled_luns_{stalled_luns},
      limits_{limits},
      throttle_{disk.executor(), limits},
      has_log_{disk.volume().has_log()},
      sabotage_{sabotage},
      idle_since_{disk.executor().now()},
      unanswered_{disk.executor(), "the last answer"},
      wake_{disk.executor(), "something to watch"},
      commands_{disk.executor()},
      patrol_{disk.executor()} {
  if (sabotage_.no_fences) {
    disk_.volume().sabotage_fences();
  }
  patrol_.spawn("patrol", keep_watch());
  disk_.set_statistics(this);
  disk_.set_deadline(limits_.deadline);
}

TaskSet::~TaskSet() {
  BALLAST_ASSERT(leaving_);
  disk_.set_statistics(nullptr);
}

void TaskSet::begin(Command& command) {
  ++counters_.commands;
  if (unanswered_.closed()) {
    ++counters_.busy;
    front_end_.answer(command, Status::busy);
    return;
  }
  const Disk::Judgement judgement = disk_.judge(command);
  if (judgement.operation == nullptr) {
    ++counters_.check_condition;
    front_end_.answer(command, judgement.refusal);
    return;
  }
  const Operation& operation = *judgement.operation;
  if (judgement.at_once) {
    const Status status = disk_.answer_at_once(command, operation);
    ++(status == Status::check_condition ? counters_.check_condition : counters_.good);
    if (operation.changes_modes) {
      ++mode_epoch_;
    }
    front_end_.answer(command, status);
    return;
  }
  if (has_log_) {
    command.tier = disk_.tier_of(command, operation);
  }
  if (unanswered_in_[command.tier] >= most_commands) {
    ++counters_.task_set_full;
    front_end_.answer(command, Status::task_set_full);
    return;
  }
  if (stalled(command.tier) && needs_store(operation) && stuck() >= window() &&
      believed(executor().now(), executor().now())) {
    ++counters_.busy;
    ++counters_.shed;
    note_busy(executor().now(), executor().now());
    front_end_.answer(command, Status::busy);
    return;
  }
  if (unanswered_.count() == 0) {
    idle_ += executor().now() - idle_since_;
  }
  const bool entered = unanswered_.enter();
  BALLAST_ASSERT(entered);
  ++unanswered_in_[command.tier];
  wake_patrol();
  commands_.spawn("command", serve(command, operation));
}

co::Task<void> TaskSet::serve(Command& outer, const Operation& operation) {
  Slot slot{*this, outer, operation};
  if (unanswered_.closed()) {
    answer(slot, slot.inner, Status::busy, watch::Because::closing);
    co_return;
  }
  if (!take_data_at_once(slot)) {
    const bool ready = co_await take_data(slot);
    if (!ready) {
      if (slot.outer != nullptr) {
        finish(slot, Status::busy);
      }
      co_return;
    }
  }
  if (!orphans_.empty()) {
    Slot* const twin = find_twin(slot);
    if (twin != nullptr) {
      slot.record.adopts = true;
      slot.record.enter(watch::Stage::backend, executor().now());
      co::Wait wait{executor(), "an orphan's result"};
      slot.adoption.waker = wait.waker();
      slot.adoption.of = &twin->adopters;
      twin->adopters.push_back(slot.adoption);
      co_await wait;
      slot.adoption.waker = {};
      slot.record.adopts = false;
      if (slot.outer == nullptr) {
        co_return;  // it is answered: with the orphan's result, or because it was ended early
      }
      slot.record.enter(watch::Stage::queue, executor().now());
    }
  }
  if (throttle_.is_on() && is_limited(slot.operation)) {
    co_await wait_for_limit(slot);
    if (slot.outer == nullptr) {
      co_return;
    }
  }
  co::Task<IoStatus> transfer = disk_.begin_transfer(slot.inner, operation);
  if (transfer.empty()) {
    const Status status = co_await disk_.carry_out(slot.inner, operation);
    finish(slot, status);
  } else {
    const IoStatus status = co_await std::move(transfer);
    finish(slot, disk_.end_transfer(slot.inner, operation, status));
  }
}

// Gets a buffer of our own for the command's data. Returns false if no buffer is free now, or none
// is large enough.
bool TaskSet::take_data_at_once(Slot& slot) {
  const std::size_t size = slot.outer->data.size();
  if (size == 0) {
    return true;
  }
  if (size > io::BufferPool::largest) {
    return false;
  }
  slot.buffer = buffers_.try_acquire(size);
  if (!slot.buffer) {
    return false;
  }
  use_buffer(slot);
  return true;
}

// Waits for the buffer. Returns false if the command was ended early, or refused.
co::Task<bool> TaskSet::take_data(Slot& slot) {
  const std::size_t size = slot.outer->data.size();
  if (size > io::BufferPool::largest) {
    answer(slot, slot.inner, disk_.refuse_length(slot.inner), watch::Because::done);
    co_return false;
  }
  io::Buffer buffer = co_await buffers_.acquire(size, slot.request.token());
  if (!buffer || slot.outer == nullptr) {
    co_return false;
  }
  slot.buffer = std::move(buffer);
  use_buffer(slot);
  co_return true;
}

void TaskSet::use_buffer(Slot& slot) {
  slot.segment = slot.buffer.segment();
  slot.inner.data = io::SgView{std::span{&slot.segment, 1}};
  if (slot.operation.takes_data) {
    io::copy(slot.inner.data, slot.outer->data);
  }
}

co::Task<void> TaskSet::wait_for_limit(Slot& slot) {
  const Bytes block = disk_.volume().logical_block();
  const Bytes range{slot.inner.range.count.value() * block.value()};
  slot.enter(watch::Stage::limit);
  const Bytes work = std::max(
      {range, Bytes{slot.inner.data.size()}, disk_.copied_bytes(slot.inner, slot.operation)});
  co_await throttle_.pass(work, slot.request.token());
  slot.enter(watch::Stage::queue);
}

// --- answering

void TaskSet::leave_list(Slot& slot) {
  if (slot.list != nullptr) {
    slot.list->remove(slot);
    slot.list = nullptr;
  }
}

void TaskSet::move_to(Slots& list, Slot& slot) {
  leave_list(slot);
  list.push_back(slot);
  slot.list = &list;
}

// The command's work has ended. Answers the command and its adopters.
void TaskSet::finish(Slot& slot, Status status) {
  const TimePoint now = executor().now();
  if (slot.operation.changes_modes) {
    ++mode_epoch_;
  }
  // A command that was told to end and was not done has lost only time: the initiator sends it
  // again. But a command that must not be done twice may have been done in part, or completely
  // except for its flush.
  bool done = true;
  if (status != Status::good && slot.request.stopped()) {
    done = slot.request.irrevocable();
    if (done && status == Status::busy && slot.outer != nullptr) {
      status = disk_.outcome_unknown(slot.inner);
    }
  }
  if (slot.outer != nullptr) {
    if (!done) {
      ++counters_.cancelled;
    }
    answer(slot, slot.inner, done ? status : Status::busy,
           done ? watch::Because::done : watch::Because::ended_in_time);
  } else if (slot.record.orphan) {
    slow_log_.end(
        slot.record, now,
        {.because = done ? watch::Because::orphan_done : watch::Because::orphan_not_done});
  }
  while (Adoption* const adoption = slot.adopters.pop_front()) {
    Slot& adopter = *adoption->slot;
    if (status == Status::good) {
      ++counters_.adoptions;
      adopter.request.stop();
      answer(adopter, slot.inner, status, watch::Because::adopted);
    }
    (void)adoption->waker.wake();
  }
}

// `result` has the data and the sense: it is the slot's own command, or that of the orphan that it
// adopts.
void TaskSet::answer(Slot& slot, const Command& result, Status status, watch::Because because) {
  BALLAST_ASSERT(slot.outer != nullptr);
  Command& outer = *slot.outer;
  const TimePoint now = executor().now();
  outer.transferred = result.transferred;
  outer.sense_length = 0;
  if (status == Status::check_condition) {
    BALLAST_ASSERT(&result == &slot.inner);
    outer.sense_length = result.sense_length;
  } else if (status == Status::good && !slot.operation.takes_data && result.transferred > 0) {
    io::copy(outer.data.slice(0, result.transferred), result.data.slice(0, result.transferred));
  }
  count(slot, result, status, now);
  stages_.add(slot.record, now);
  slot.record.answered = now;
  if (slot.record.reported || now - slot.record.arrived >= limits_.slow) {
    if (!std::exchange(slot.record.reported, true)) {
      slow_log_.begin(slot.record, now);
    }
    slow_log_.end(slot.record, now, {to_string(status), because});
  }
  leave_list(slot);
  if (said_holding_) [[unlikely]] {
    wake_.set();  // BUSY may be believed again for the next command
  }
  slot.outer = nullptr;
  slot.inner.sense = nobodys_sense_;
  --unanswered_in_[outer.tier];
  unanswered_.leave();
  if (unanswered_.count() == 0) {
    idle_since_ = now;
  }
  front_end_.answer(outer, status);
}

void TaskSet::count(const Slot& slot, const Command& result, Status status, TimePoint now) {
  switch (status) {
    case Status::check_condition:
      ++counters_.check_condition;
      return;
    case Status::task_set_full:
      ++counters_.task_set_full;
      return;
    case Status::busy:
    case Status::reservation_conflict:
      ++counters_.busy;
      if (slot.record.stage != watch::Stage::source) {
        note_busy(slot.record.arrived, now);
      }
      return;
    case Status::good:
    case Status::condition_met:
      break;
  }
  ++counters_.good;
  const Nanoseconds latency = now - slot.record.arrived;
  if (slot.operation.transfer == Transfer::read) {
    reads_.add(latency);
    counters_.read += Bytes{result.transferred};
  } else if (slot.operation.transfer == Transfer::write) {
    writes_.add(latency);
    counters_.written += Bytes{result.transferred};
  } else {
    others_.add(latency);
  }
}

Statistics TaskSet::statistics() const {
  return {.reads = reads_.count(),
          .writes = writes_.count(),
          .read = counters_.read,
          .written = counters_.written,
          .read_time = reads_.sum(),
          .write_time = writes_.sum(),
          .idle_time =
              idle_ + (unanswered_.count() == 0 ? executor_.now() - idle_since_ : Nanoseconds{}),
          .stalled = stalled()};
}

// --- adoption

TaskSet::Slot* TaskSet::find_twin(const Slot& slot) {
  for (Slot* orphan = orphans_.front(); orphan != nullptr; orphan = orphans_.after(*orphan)) {
    if (orphan->says_the_same_as(slot) && may_adopt(*orphan, slot)) {
      return orphan;
    }
  }
  return nullptr;
}

bool TaskSet::may_adopt(const Slot& orphan, const Slot& slot) {
  if (orphan.mode_epoch != slot.mode_epoch || orphan.capacity != slot.capacity) {
    return false;  // the same CDB would now be checked or done in another way
  }
  if (slot.operation.flushes) {
    return sabotage_.adopt_flushes;
  }
  if (slot.operation.transfer == Transfer::read) {
    const bool fua = disk_.asks_fua(slot.inner);
    const Range range = slot.inner.range;
    const bool changed =
        disk_.volume().changed_since(orphan.request.read_mark(), range.lba, range.count);
    if (changed && !sabotage_.reads_adopt_over_changes) {
      ++counters_.adoption_refused;
      return false;
    }
    return !fua;
  }
  // An orphan that has released a range waits for a flush, or works on the next range of an UNMAP.
  // An acknowledged change may have overwritten its data in that range since.
  return slot.operation.repeats && orphan.request.holds_all();
}

// --- for the owner

void TaskSet::set_limits(const TaskSetLimits& limits) {
  look_for_calm(executor().now());  // by the limits that were in force
  limits_ = limits;
  disk_.set_deadline(limits.deadline);
  throttle_.set_limits(limits);
  wake_.set();
  recover(executor().now());
  if (stalled()) {
    shed(executor().now());
  }
}

co::Task<void> TaskSet::shut() {
  unanswered_.close();
  stalled_place_.reset();  // the LUN will hold no commands
  end_all(Reason::closing);
  co_await unanswered_.drain();
}

co::Task<void> TaskSet::drained() {
  BALLAST_ASSERT(unanswered_.closed());
  co_await commands_.join();
  leaving_ = true;
  wake_.set();
  co_await patrol_.join();
}

void TaskSet::describe(const watch::Lists& lists, watch::LunSnapshot* snapshot) const {
  static_cast<config::Limits&>(*snapshot) = limits_;
  snapshot->stall_window = window();
  snapshot->stalled_since.reset();
  for (const volume::Tier tier : volume::tiers) {
    if (stalled(tier)) {
      const TimePoint since = stalled_since_[tier];
      snapshot->stalled_since = std::min(snapshot->stalled_since.value_or(since), since);
    }
  }
  snapshot->unanswered = static_cast<std::uint32_t>(unanswered());
  snapshot->orphans = static_cast<std::uint32_t>(orphans_.size());
  snapshot->counters = counters_;
  snapshot->reads = reads_;
  snapshot->writes = writes_;
  snapshot->others = others_;
  snapshot->stages = stages_;
  if (lists.slow_requests) {
    snapshot->slow_requests = slow_log_.recent();
  }
  snapshot->slow_begun = slow_log_.begun();
  for (const Slots* const slots : {&held_, &ending_, &waiting_, &orphans_}) {
    for (const Slot* slot = slots->front(); slot != nullptr; slot = slots->after(*slot)) {
      const TimePoint arrived = slot->record.arrived;
      snapshot->oldest = std::min(snapshot->oldest.value_or(arrived), arrived);
      if (lists.in_flight) {
        snapshot->in_flight.push_back(slot->record);
      }
      if (slots == &orphans_) {
        snapshot->orphan_bytes += Bytes{slot->buffer ? slot->buffer.bytes().size() : 0};
      }
    }
  }
  std::sort(snapshot->in_flight.begin(), snapshot->in_flight.end(),
            [](const watch::CommandRecord& a, const watch::CommandRecord& b) {
              return a.number < b.number;
            });
}

}  // namespace ballast::scsi
