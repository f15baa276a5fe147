// SPDX-License-Identifier: Apache-2.0
// Takes the commands of a LUN, and changes its size and limits.
#include "lib/lun/lun.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <string_view>
#include <utility>

#include "lib/backend/log_control.h"
#include "lib/backend/op_errors.h"
#include "lib/base/log.h"
#include "lib/base/values.h"
#include "lib/co/awaiters.h"
#include "lib/lun/anatomy.h"

namespace ballast::lun {
namespace {

// "volume.cpp:123".
std::string place(const co::Site& site) {
  const std::string_view path = site.file_name();
  return fmt::format("{}:{}", path.substr(path.rfind('/') + 1), site.line());
}

void describe_tasks(const co::Executor& executor, std::vector<watch::TaskView>* tasks) {
  for (const co::TaskInfo* task = executor.registry().first(); task != nullptr; task = task->next) {
    watch::TaskView view;
    view.name = task->name;
    if (task->waits_for != nullptr) {
      view.waits_for = task->waits_for;
      view.where = place(task->wait_site);
      for (const co::Site& site : co::awaited_at(*task)) {
        view.awaited_at.push_back(place(site));
      }
      view.for_how_long = executor.now() - task->since;
    }
    tasks->push_back(std::move(view));
  }
}

void describe_store(backend::Backend& store, watch::LunSnapshot* snapshot) {
  snapshot->backend = store.description();
  if (const backend::LogControl* const log = store.log_control(); log != nullptr) {
    snapshot->log = log->view();
  }
  if (const backend::OpErrors* const errors = store.errors(); errors != nullptr) {
    snapshot->store_errors = errors->view();
  }
  if (const backend::Connection connection = store.connection(); connection.state != nullptr) {
    snapshot->connection = connection.state;
    snapshot->connection_since = connection.since;
  }
  if (const backend::SharedStore* const shared = store.shared(); shared != nullptr) {
    snapshot->access = shared->condition();
    snapshot->owner = shared->owner().address;
  }
}

}  // namespace

Lun::Lun(const Runtime& runtime, LunSetup setup, scsi::FrontEnd& front_end)
    : executor_{runtime.executor},
      buffers_{runtime.buffers},
      stalled_luns_{runtime.stalled_luns},
      front_end_{front_end},
      setup_{std::move(setup)},
      configuration_{to_string(setup_.config)},
      opened_{executor_.now()},
      slow_log_{setup_.name, setup_.logical_block},
      store_wait_{executor_, slow_log_},
      room_watch_{executor_, setup_.name, setup_.config.soft_threshold},
      kept_modes_{executor_, setup_.modes_place},
      copy_reads_{executor_, setup_.config.copy_group.empty() ? nullptr : runtime.copy_offers,
                  [this] { return disk_ != nullptr && disk_->stopped(); }},
      resizes_{executor_},
      moves_{executor_},
      closing_{executor_},
      leaving_{executor_, "the LUN to be closed"},
      not_opening_{executor_, "the opening of its store to end"},
      closed_{executor_, "the backend to be closed"},
      ended_{executor_, "the LUN to end"},
      landmark_{executor_, Anatomy::lun, this} {
  not_opening_.set();
}

Lun::~Lun() {
  BALLAST_ASSERT(backend_ == nullptr || is_gone());
}

void Lun::begin(scsi::Command& command) {
  // The rest of the executor's memory is for commands that have begun.
  const bool no_memory = executor_.memory().is_short() && !executor_.memory().renew();
  if (task_set_ == nullptr) {
    begin_not_ready(command);
    return;
  }
  if (no_memory) {
    front_end_.answer(command, scsi::Status::busy);
    return;
  }
  task_set_->begin(command);
}

void Lun::begin_not_ready(scsi::Command& command) {
  make_task_set();
  if (task_set_ != nullptr) {
    task_set_->begin(command);
    return;
  }
  expect();
  scsi::Status status = scsi::Status::busy;
  if (expected_ != nullptr) {
    status = refused_ ? expected_->disk.answer_refused(command)
                      : expected_->disk.answer_becoming_ready(command);
  }
  front_end_.answer(command, status);
}

std::size_t Lun::abort(const std::function<bool(const scsi::Command&)>& meant) {
  return task_set_ == nullptr ? 0 : task_set_->abort(meant);
}

// --- resizing

void Lun::resize(Bytes size, Done done) {
  if (volume_ == nullptr) {
    done(Error{EBUSY,
               "cannot be resized while it is becoming ready: earlier lines of this log say what "
               "it waits for"});
    return;
  }
  const Bytes block = volume_->logical_block();
  if (size == Bytes{} || size.value() % block.value() != 0) {
    done(Error{EINVAL, fmt::format("cannot be resized to {} bytes: the size must be a positive "
                                   "multiple of the block size, {} bytes",
                                   size.value(), block.value())});
    return;
  }
  resizes_.spawn("resize", do_resize(size, std::make_shared<Done>(std::move(done))));
}

co::Task<void> Lun::do_resize(Bytes size, std::shared_ptr<Done> done) {
  const BlockCount blocks = volume_->blocks_in(size);
  const IoStatus status = co_await volume_->resize(blocks);
  try {
    (*done)(resized(size, blocks, status));
  } catch (const std::bad_alloc&) {
    (*done)(Error{ENOMEM, "out of memory"});
  }
}

// Acts on the end of a resize, logs it, and returns the result for the caller.
Result<void> Lun::resized(Bytes size, BlockCount blocks, IoStatus status) {
  if (status == IoStatus::cancelled) {
    log(LogLevel::info, "{}: the resize to {} bytes is dropped: a later one takes its place",
        name(), size.value());
    return Error{EBUSY, fmt::format("not resized to {} bytes: a later resize takes its place",
                                    size.value())};
  }
  if (!ok(status)) {
    const int why = status == IoStatus::not_supported ? EOPNOTSUPP : EIO;
    return Error{why, fmt::format("cannot be resized to {} bytes: {} reports: {}", size.value(),
                                  backend_->description(), to_string(status))};
  }
  log(LogLevel::info, "{}: resized to {} blocks", name(), blocks.value());
  copy_reads_.capacity_changed();
  if (disk_ != nullptr) {
    disk_->capacity_changed();
  }
  return {};
}

// --- limits

Result<void> Lun::reconfigure(const LunConfig& wanted) {
  LunConfig changed = with_live_settings(setup_.config, wanted);
  if (changed != wanted) {
    return Error{
        EINVAL,
        fmt::format("cannot change from \"{}\" to \"{}\" while the LUN is open: only {} can be "
                    "changed; delete the backstore and create it anew (the data stays)",
                    to_string(setup_.config), to_string(wanted), live_keys())};
  }
  if (changed.soft_threshold != setup_.config.soft_threshold && changed.soft_threshold > Bytes{} &&
      backend_ != nullptr && !backend_->capabilities().room) {
    return Error{EOPNOTSUPP,
                 fmt::format("cannot change soft_threshold to {}: {} does not tell how much room "
                             "it has; nothing was changed",
                             config::format_bytes(changed.soft_threshold), store_)};
  }
  configuration_ = to_string(changed);
  setup_.config = std::move(changed);
  if (task_set_ != nullptr) {
    task_set_->set_limits(limits());
  }
  room_watch_.set_threshold(setup_.config.soft_threshold);
  if (disk_ != nullptr) {
    disk_->set_soft_threshold(setup_.config.soft_threshold);
  }
  if (elevator_ != nullptr) {
    elevator_->set_rules(setup_.config.elevator);
  }
  log(LogLevel::info, "{}: the configuration is now {}", name(), configuration_);
  return {};
}

void Lun::set_longest_hold(Nanoseconds longest_hold) {
  if (longest_hold == longest_hold_) {
    return;
  }
  longest_hold_ = longest_hold;
  if (task_set_ != nullptr) {
    task_set_->set_limits(limits());
  }
}

scsi::TaskSetLimits Lun::limits() const {
  scsi::TaskSetLimits limits{setup_.config, longest_hold_};
  if (longest_hold_ > Nanoseconds{}) {
    limits.deadline = std::min(limits.deadline, longest_hold_);
  }
  return limits;
}

// --- its write log

Result<void> Lun::write_log_back(bool lets_go) {
  if (backend_ == nullptr || leaving_.is_set()) {
    return Error{EBUSY, "its store is not open: the log says what it waits for"};
  }
  backend::LogControl* const control = backend_->log_control();
  if (control == nullptr) {
    return Error{EOPNOTSUPP, fmt::format("{} has no write log: there is nothing to write back, and "
                                         "nothing to let go",
                                         store_)};
  }
  if (lets_go) {
    control->want_to_let_go();
  } else {
    control->hurry();
  }
  return {};
}

// --- for people

void Lun::describe(const watch::Lists& lists, watch::LunSnapshot* snapshot) const {
  const LunConfig& config = setup_.config;
  snapshot->name = setup_.name;
  snapshot->configuration = configuration_;
  snapshot->fault_control = config.store.fault_control;
  if (backend_ != nullptr) {
    describe_store(*backend_, snapshot);
  } else {
    snapshot->backend = "waiting for " + configuration_;
  }
  if (const std::optional<backend::Room> room = room_watch_.room(); room.has_value()) {
    snapshot->room = watch::RoomView{
        .free = room->free, .used = room->used, .soft_threshold = config.soft_threshold};
  }
  if (volume_ != nullptr) {
    snapshot->logical_block = volume_->logical_block();
    snapshot->capacity = Bytes{volume_->capacity().value() * volume_->logical_block().value()};
  }
  snapshot->queue_depth = config.queue_depth;
  snapshot->now = executor_.now();
  snapshot->opened = opened_;
  snapshot->refused_wakes = executor_.stats().refused_wakes;
  if (task_set_ != nullptr) {
    task_set_->describe(lists, snapshot);
  } else {
    static_cast<config::Limits&>(*snapshot) = config;
  }
  if (lists.tasks) {
    describe_tasks(executor_, &snapshot->tasks);
  }
}

void Lun::tell(const watch::Lists& lists, std::string waits_for, const Inspected& told) const {
  watch::LunSnapshot snapshot;
  try {
    describe(lists, &snapshot);
    snapshot.waits_for = std::move(waits_for);
  } catch (const std::bad_alloc&) {
    told(Error{ENOMEM, "out of memory"});
    return;
  }
  told(std::move(snapshot));
}

void Lun::inspect(const watch::Lists& lists, Nanoseconds patience, Inspected told) {
  const bool idle = task_set_ == nullptr || unanswered() + task_set_->orphans() == 0;
  if (idle || !lists.in_flight) {
    tell(lists, {}, told);
    return;
  }
  store_wait_.ask(patience, [this, lists, told = std::move(told)](std::string waits_for) {
    tell(lists, std::move(waits_for), told);
  });
}

}  // namespace ballast::lun
