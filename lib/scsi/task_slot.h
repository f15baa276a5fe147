// SPDX-License-Identifier: Apache-2.0
// TaskSet::Slot: one command in a task set, from its arrival to the end of its last operation. It
// is a local of the coroutine that serves the command. Only task_set*.cpp use it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "lib/scsi/cdb.h"
#include "lib/scsi/task_set.h"

namespace ballast::scsi {

// The place of an adopter in the orphan's list of adopters.
struct Adoption : co::ListNode<Adoption> {
  TaskSet::Slot* slot = nullptr;
  co::IntrusiveList<Adoption>* of = nullptr;
  co::Waker waker{};

  // Call it when the adopter must be answered before the orphan has ended.
  void leave() {
    of->remove(*this);
    (void)waker.wake();
  }
};

// A command that may be ended because of the store. The others wait for it neither in a stall nor
// when it is lost: SET TARGET PORT GROUPS may be the one that gives the store away.
inline bool needs_store(const Operation& operation) {
  return !operation.in_standby || operation.changes_modes;
}

// A command that max_iops and max_bandwidth apply to: one that reads or changes blocks.
inline bool is_limited(const Operation& operation) {
  return operation.needs_medium && !operation.flushes;
}

class TaskSet::Slot final : public co::ListNode<Slot>, public volume::RequestObserver {
 public:
  Slot(TaskSet& task_set, Command& command, const Operation& what)
      : outer{&command},
        operation{what},
        request{this},
        mode_epoch{task_set.mode_epoch_},
        capacity{task_set.disk_.volume().capacity()},
        task_set_{task_set} {
    const TimePoint now = task_set.executor().now();
    const std::size_t length = std::min(cdb.size(), cdb_length(operation.opcode));
    std::copy_n(command.cdb.begin(), length, cdb.begin());
    inner.cdb = std::span{cdb}.first(length);
    inner.request = &request;
    inner.sense = command.sense;
    inner.turn = command.turn;
    inner.range = command.range;
    record.number = ++task_set.numbered_;
    record.arrived = now;
    record.stage_since = now;
    record.name = operation.name;
    record.opcode = operation.opcode;
    record.has_range = operation.range != RangeAt::nowhere;
    record.lba = command.range.lba;
    record.blocks = command.range.count;
    adoption.slot = this;
    at_backend.slot = this;
    move_to(task_set.waiting_, *this);
  }
  ~Slot() override {
    BALLAST_ASSERT(outer == nullptr && adopters.empty() && !adoption.linked());
    leave_list(*this);
  }

  void enter(watch::Stage stage) { record.enter(stage, task_set_.executor().now()); }
  bool says_the_same_as(const Slot& other) const {
    return operation.opcode == other.operation.opcode && cdb == other.cdb &&
           inner.data.size() == other.inner.data.size() &&
           (!operation.takes_data ||
            !io::first_difference(inner.data, other.inner.data).has_value());
  }

  void entered_fence() override { enter(watch::Stage::fence); }
  void left_fence() override { enter(watch::Stage::queue); }
  void entered_elevator() override { enter(watch::Stage::elevator); }
  void left_elevator() override { enter(watch::Stage::queue); }
  void entered_source() override {
    enter(watch::Stage::source);
    task_set_.wake_.set();  // it may be past its deadline, if it was held until now
  }
  void left_source() override { enter(watch::Stage::queue); }
  void entered_backend() override { task_set_.entered_backend(*this); }
  void left_backend() override { task_set_.left_backend(*this); }

  Command* outer;  // null once answered
  const Operation& operation;
  std::array<std::uint8_t, 16> cdb{};  // a copy, because an orphan outlives the outer command
  Command inner;                       // the command that the disk carries out
  volume::Request request;
  io::Buffer buffer;
  iovec segment{};
  watch::CommandRecord record;
  TimePoint ending_since{};
  std::uint64_t mode_epoch;
  BlockCount capacity;  // the LUN's capacity when the command came
  Slots* list = nullptr;
  AtBackend at_backend;
  Adoption adoption;
  co::IntrusiveList<Adoption> adopters;

 private:
  TaskSet& task_set_;
};

}  // namespace ballast::scsi
