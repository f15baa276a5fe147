// SPDX-License-Identifier: Apache-2.0
// What other threads than the LUN's own ask of it: the daemon's main thread and the D-Bus object.
#include "handler/device.h"

#include <bit>
#include <cerrno>
#include <semaphore>
#include <utility>

#include "handler/config_string.h"
#include "lib/base/log.h"

namespace ballast::handler {

struct Device::Question {
  watch::LunSnapshot snapshot;
  std::binary_semaphore done{0};
};

struct Device::Resize {
  BlockCount blocks;
  IoStatus status = IoStatus::not_ready;
  std::binary_semaphore done{0};
};

Result<void> Device::resize(Bytes size) {
  if (volume_ == nullptr) {
    return Error{EBUSY, "cannot be resized while it waits for its store: see the lines above"};
  }
  const Bytes block = volume_->logical_block();
  if (size == Bytes{} || size.value() % block.value() != 0) {
    return Error{EINVAL, fmt::format("cannot be resized to {} bytes, which is no positive multiple "
                                     "of its block of {} bytes",
                                     size.value(), block.value())};
  }
  auto request = std::make_shared<Resize>();
  request->blocks = BlockCount{size.value() / block.value()};
  auto handed_over = std::make_unique<std::shared_ptr<Resize>>(request);
  const co::Message message{.run = &begin_resize,
                            .context = this,
                            .value = std::bit_cast<std::int64_t>(handed_over.release())};
  (void)loop_->drive(&message);
  if (!request->done.try_acquire_for(resize_limit)) {
    return Error{ETIMEDOUT, fmt::format("the resize to {} bytes is not done after {}; it goes on, "
                                        "ask again when the storage answers",
                                        size.value(), config::format_duration(resize_limit))};
  }
  if (!ok(request->status)) {
    const int why = request->status == IoStatus::not_supported ? EOPNOTSUPP : EIO;
    return Error{why,
                 fmt::format("cannot be resized to {} bytes: the backend {} says {}", size.value(),
                             backend_->description(), to_string(request->status))};
  }
  return {};
}

void Device::begin_resize(void* self, std::int64_t request) {
  Device& device = *static_cast<Device*>(self);
  const std::unique_ptr<std::shared_ptr<Resize>> handed_over{
      std::bit_cast<std::shared_ptr<Resize>*>(request)};
  device.resizes_.spawn("resize", device.do_resize(*handed_over));
}

co::Task<void> Device::do_resize(std::shared_ptr<Resize> request) {
  const IoStatus status = co_await volume_->resize(request->blocks);
  if (ok(status)) {
    log(LogLevel::info, "{}: resized to {} blocks", name_, request->blocks.value());
    if (disk_ != nullptr) {
      disk_->capacity_changed();
    }
  }
  request->status = status;
  request->done.release();
}

Result<void> Device::reconfigure(std::string_view daemon_string) {
  Result<config::LunConfig> wanted = config::parse(config_string(daemon_string));
  if (!wanted) {
    return wanted.error();
  }
  config::LunConfig but_for_limits = wanted.value();
  but_for_limits.deadline = config_.deadline;
  but_for_limits.slow = config_.slow;
  but_for_limits.stall_after = config_.stall_after;
  but_for_limits.stall_window = config_.stall_window;
  if (but_for_limits != config_) {
    return Error{EINVAL,
                 fmt::format("cannot change from \"{}\" to \"{}\" while it is open: only deadline, "
                             "slow, stall_after and stall_window can; delete the backstore and "
                             "create it anew (the data stays)",
                             config::to_string(config_), config::to_string(wanted.value()))};
  }
  if (Result<void> deadline = check_deadline(wanted.value().deadline); !deadline) {
    return deadline;
  }
  auto limits = std::make_unique<config::LunConfig>(std::move(wanted).value());
  const co::Message message{.run = &begin_limits,
                            .context = this,
                            .value = std::bit_cast<std::int64_t>(limits.release())};
  (void)loop_->drive(&message);
  return {};
}

scsi::TaskSetLimits Device::limits() const {
  return scsi::TaskSetLimits{.deadline = config_.deadline,
                             .slow = config_.slow,
                             .stall_after = config_.stall_after,
                             .stall_window = config_.stall_window};
}

void Device::begin_limits(void* self, std::int64_t limits) {
  Device& device = *static_cast<Device*>(self);
  const std::unique_ptr<config::LunConfig> wanted{std::bit_cast<config::LunConfig*>(limits)};
  device.config_ = *wanted;
  if (device.task_set_ != nullptr) {
    device.task_set_->set_limits(device.limits());
  }
  log(LogLevel::info, "{}: deadline {}, slow {}, stalled after {}, window {}", device.name_,
      config::format_duration(wanted->deadline), config::format_duration(wanted->slow),
      config::format_duration(wanted->stall_after), wanted->stall_window);
}

bool Device::snapshot(watch::LunSnapshot* into, Nanoseconds patience) {
  auto question = std::make_shared<Question>();
  auto handed_over = std::make_unique<std::shared_ptr<Question>>(question);
  const co::Message message{.run = &begin_snapshot,
                            .context = this,
                            .value = std::bit_cast<std::int64_t>(handed_over.release())};
  (void)loop_->drive(&message);
  if (!question->done.try_acquire_for(patience)) {
    return false;
  }
  *into = std::move(question->snapshot);
  return true;
}

void Device::begin_snapshot(void* self, std::int64_t question) {
  const Device& device = *static_cast<Device*>(self);
  const std::unique_ptr<std::shared_ptr<Question>> asked{
      std::bit_cast<std::shared_ptr<Question>*>(question)};
  device.describe(&(*asked)->snapshot);
  (*asked)->done.release();
}

void Device::describe(watch::LunSnapshot* snapshot) const {
  snapshot->name = name_;
  snapshot->configuration = config::to_string(config_);
  snapshot->backend =
      backend_ != nullptr ? backend_->description() : "waiting for " + config::to_string(config_);
  snapshot->fault_control = config_.fault_control;
  if (volume_ != nullptr) {
    snapshot->logical_block = volume_->logical_block();
    snapshot->capacity = Bytes{volume_->capacity().value() * volume_->logical_block().value()};
  }
  snapshot->queue_depth = config_.queue_depth;
  snapshot->now = executor_.now();
  snapshot->opened = opened_;
  snapshot->refused_wakes = executor_.stats().refused_wakes;
  if (task_set_ != nullptr) {
    task_set_->describe(snapshot);
  } else {
    snapshot->deadline = config_.deadline;
    snapshot->slow = config_.slow;
    snapshot->stall_after = config_.stall_after;
    snapshot->stall_window = config_.stall_window;
  }
  for (const co::TaskInfo* task = executor_.registry().first(); task != nullptr;
       task = task->next) {
    watch::TaskView view;
    view.name = task->name;
    if (task->waits_for != nullptr) {
      view.waits_for = task->waits_for;
      const std::string_view path = task->wait_site.file_name();
      view.where = fmt::format("{}:{}", path.substr(path.rfind('/') + 1), task->wait_site.line());
      view.for_how_long = executor_.now() - task->since;
    }
    snapshot->tasks.push_back(std::move(view));
  }
}

}  // namespace ballast::handler
