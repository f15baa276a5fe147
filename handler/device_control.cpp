// SPDX-License-Identifier: Apache-2.0
// What other threads than the LUN's own ask of it: the daemon's main thread and the D-Bus object.
#include "handler/device.h"

#include <bit>
#include <cerrno>
#include <new>
#include <semaphore>
#include <utility>

#include "handler/config_string.h"
#include "lib/base/log.h"

namespace ballast::handler {

// What another thread asks of the LUN, and the answer. Shared, because who asks may stop waiting.
template <class T>
struct Device::Asked {
  T what{};
  Result<void> result{};
  std::binary_semaphore done{0};
  void answer(Result<void> with) {
    result = std::move(with);
    done.release();
  }
};

// Calls `serve` on the LUN's executor.
template <class T>
void Device::ask(std::shared_ptr<Asked<T>> asked,
                 void (Device::*serve)(const std::shared_ptr<Asked<T>>& asked)) {
  struct Errand {
    std::shared_ptr<Asked<T>> asked;
    void (Device::*serve)(const std::shared_ptr<Asked<T>>& asked);
  };
  auto errand = std::make_unique<Errand>(std::move(asked), serve);
  const co::Message message{
      .run =
          [](void* self, std::int64_t value) {
            const std::unique_ptr<Errand> handed_over{std::bit_cast<Errand*>(value)};
            // An exception would leave the executor with nobody to drive it.
            try {
              (static_cast<Device*>(self)->*handed_over->serve)(handed_over->asked);
            } catch (const std::bad_alloc&) {
              handed_over->asked->answer(Error{ENOMEM, "out of memory"});
            }
          },
      .context = this,
      .value = std::bit_cast<std::int64_t>(errand.release())};
  (void)loop_->drive(&message);
}

// --- resizing
// -------------------------------------------------------------------------------------

Result<void> Device::resize(Bytes size) {
  auto asked = std::make_shared<Asked<Bytes>>();
  asked->what = size;
  ask(asked, &Device::begin_resize);
  if (!asked->done.try_acquire_for(reconfiguration_limit)) {
    return Error{ETIMEDOUT,
                 fmt::format("the resize to {} bytes is not done after {}; it goes on, "
                             "unless another is asked for; ask again when the storage answers",
                             size.value(), config::format_duration(reconfiguration_limit))};
  }
  return asked->result;
}

void Device::begin_resize(const std::shared_ptr<Asked<Bytes>>& asked) {
  const Bytes size = asked->what;
  if (volume_ == nullptr) {
    asked->answer(
        Error{EBUSY, "cannot be resized while it waits for its store: see the lines above"});
    return;
  }
  const Bytes block = volume_->logical_block();
  if (size == Bytes{} || size.value() % block.value() != 0) {
    asked->answer(
        Error{EINVAL, fmt::format("cannot be resized to {} bytes, which is no positive multiple "
                                  "of its block of {} bytes",
                                  size.value(), block.value())});
    return;
  }
  resizes_.spawn("resize", do_resize(asked));
}

co::Task<void> Device::do_resize(std::shared_ptr<Asked<Bytes>> asked) {
  const Bytes size = asked->what;
  const BlockCount blocks = volume_->blocks_in(size);
  const IoStatus status = co_await volume_->resize(blocks);
  try {
    asked->answer(resized(size, blocks, status));
  } catch (const std::bad_alloc&) {
    asked->answer(Error{ENOMEM, "out of memory"});
  }
}

// What the LUN does about a resize that ended so, and what is said of it.
Result<void> Device::resized(Bytes size, BlockCount blocks, IoStatus status) {
  if (status == IoStatus::cancelled) {
    log(LogLevel::info, "{}: the resize to {} bytes is dropped: another was asked for after it",
        name_, size.value());
    return Error{EBUSY,
                 fmt::format("not resized to {} bytes: another resize was asked for after it",
                             size.value())};
  }
  if (!ok(status)) {
    const int why = status == IoStatus::not_supported ? EOPNOTSUPP : EIO;
    return Error{why, fmt::format("cannot be resized to {} bytes: the backend {} says {}",
                                  size.value(), backend_->description(), to_string(status))};
  }
  log(LogLevel::info, "{}: resized to {} blocks", name_, blocks.value());
  if (disk_ != nullptr) {
    disk_->capacity_changed();
  }
  return {};
}

// --- other limits
// ---------------------------------------------------------------------------------

Result<void> Device::reconfigure(std::string_view daemon_string) {
  Result<config::LunConfig> wanted = config::parse(config_string(daemon_string));
  if (!wanted) {
    return wanted.error();
  }
  auto asked = std::make_shared<Asked<config::LunConfig>>();
  asked->what = std::move(wanted).value();
  ask(asked, &Device::change_limits);
  if (!asked->done.try_acquire_for(reconfiguration_limit)) {
    return Error{ETIMEDOUT,
                 fmt::format("the change to \"{}\" is not done after {}; it will be", daemon_string,
                             config::format_duration(reconfiguration_limit))};
  }
  return asked->result;
}

void Device::change_limits(const std::shared_ptr<Asked<config::LunConfig>>& asked) {
  const config::LunConfig& wanted = asked->what;
  config::LunConfig changed = config_;
  changed.deadline = wanted.deadline;
  changed.slow = wanted.slow;
  changed.stall_after = wanted.stall_after;
  changed.stall_window = wanted.stall_window;
  changed.busy_for = wanted.busy_for;
  if (changed != wanted) {
    asked->answer(Error{
        EINVAL, fmt::format("cannot change from \"{}\" to \"{}\" while it is open: only deadline, "
                            "slow, stall_after, stall_window and busy_for can; delete the "
                            "backstore and create it anew (the data stays)",
                            config::to_string(config_), config::to_string(wanted))});
    return;
  }
  config_ = std::move(changed);
  cmd_time_out_ = -1;  // what follows from it may be told anew
  look_at_attributes();
  if (task_set_ != nullptr) {
    task_set_->set_limits(limits());
  }
  log(LogLevel::info, "{}: the configuration is {} now", name_, config::to_string(config_));
  asked->answer({});
}

// --- questions
// ------------------------------------------------------------------------------------

bool Device::snapshot(watch::LunSnapshot* into, Nanoseconds patience) {
  auto asked = std::make_shared<Asked<watch::LunSnapshot>>();
  ask(asked, &Device::take_snapshot);
  if (!asked->done.try_acquire_for(patience)) {
    return false;
  }
  if (!asked->result) {
    return false;
  }
  *into = std::move(asked->what);
  return true;
}

void Device::take_snapshot(const std::shared_ptr<Asked<watch::LunSnapshot>>& asked) {
  describe(&asked->what);
  asked->answer({});
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
    snapshot->busy_for = config_.busy_for;
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
