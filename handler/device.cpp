// SPDX-License-Identifier: Apache-2.0
// The commands of a LUN, from the daemon and back to it; and the end of the LUN.
#include "handler/device.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <span>
#include <utility>

#include "lib/base/log.h"
#include "lib/co/sleep.h"
#include "lib/scsi/cdb.h"

namespace ballast::handler {
namespace {

constexpr std::size_t incoming_per_slab = 64;

std::size_t cdb_length_of(const std::uint8_t* cdb) {
  constexpr std::uint8_t variable_length = 0x7f;
  if (cdb[0] == variable_length) {
    return std::size_t{8} + cdb[7];
  }
  return scsi::cdb_length(cdb[0]);
}

}  // namespace

void Device::handle(abi::tcmulib_cmd* cmd) {
  if (!serial_read_) {
    read_unit_serial();
  }
  for (const std::uint16_t id : cursor_->arrived(cmd->cmd_id)) {
    executor_.post(co::Message{.run = &answer_thrown_away, .context = this, .value = id});
  }
  cmd->hm_private = nullptr;
  if (plug_.last != nullptr) {
    plug_.last->hm_private = cmd;
  } else {
    plug_.first = cmd;
  }
  plug_.last = cmd;
  ++plug_.count;
  if (!cursor_->more()) {
    flush_plug(true);
  } else if (plug_.count >= most_plugged) {
    flush_plug(false);
  }
}

void Device::flush_plug(bool stay) {
  const Plug plug = std::exchange(plug_, Plug{});
  const co::Message batch{
      .run = &begin_batch, .context = this, .value = std::bit_cast<std::int64_t>(plug.first)};
  if (stay) {
    linger(batch);
  } else {
    (void)loop_->drive(&batch);
  }
}

void Device::linger(const co::Message& batch) {
  const int fd = abi::tcmu_dev_get_fd(dev_);
  io::LingerEnd end = loop_->linger(fd, linger_limit, &batch);
  // The kernel raises an event for each command, and the daemon may have read several commands for
  // the first: an event without a command behind it is eaten, as the daemon would. The clock is
  // read only then.
  TimePoint until{};
  while (end == io::LingerEnd::commands && !cursor_->more()) {
    abi::tcmulib_processing_start(dev_);
    const TimePoint now = clock_.now();
    if (until == TimePoint{}) {
      until = now + linger_limit;
    }
    if (cursor_->more() || now >= until) {
      return;
    }
    end = loop_->linger(fd, until - now);
  }
}

void Device::begin_batch(void* self, std::int64_t first_command) {
  Device& device = *static_cast<Device*>(self);
  if (device.disk_ == nullptr && device.volume_ != nullptr) {
    device.make_disk();
  }
  auto* cmd = std::bit_cast<abi::tcmulib_cmd*>(first_command);
  while (cmd != nullptr) {
    auto* const next = static_cast<abi::tcmulib_cmd*>(cmd->hm_private);
    device.begin(cmd);
    cmd = next;
  }
}

Device::Incoming* Device::take_incoming() {
  if (free_incoming_ == nullptr) {
    incoming_.push_back(std::make_unique<Incoming[]>(incoming_per_slab));
    for (std::size_t i = 0; i < incoming_per_slab; ++i) {
      incoming_.back()[i].next_free = std::exchange(free_incoming_, &incoming_.back()[i]);
    }
  }
  return std::exchange(free_incoming_, free_incoming_->next_free);
}

void Device::begin(abi::tcmulib_cmd* cmd) {
  if (task_set_ == nullptr) {
    ring_->answer(cmd, scsi::Status::busy);
    return;
  }
  Incoming* const incoming = take_incoming();
  incoming->cmd = cmd;
  incoming->cdb = std::span<const std::uint8_t>{cmd->cdb, cdb_length_of(cmd->cdb)};
  incoming->data = io::SgView{std::span<const iovec>{cmd->iovec, cmd->iov_cnt}};
  incoming->sense = cmd->sense_buf;
  incoming->transferred = 0;
  incoming->sense_length = 0;
  task_set_->begin(*incoming);
}

void Device::answer(scsi::Command& command, scsi::Status status) {
  auto& incoming = static_cast<Incoming&>(command);
  ring_->answer(incoming.cmd, incoming, status);
  incoming.next_free = std::exchange(free_incoming_, &incoming);
  if (leaving_.is_set() && unanswered() == 0) {
    idle_.set();
  }
}

void Device::answer_thrown_away(void* self, std::int64_t cmd_id) {
  Device& device = *static_cast<Device*>(self);
  device.ring_->answer_thrown_away(static_cast<std::uint16_t>(cmd_id));
}

// What nobody calls us for is looked for: see Notices, and answer_left_over().
co::Task<void> Device::sweep() {
  RingCursor::Leftovers before;
  for (;;) {
    const Nanoseconds interval = unanswered() > 0 ? notice_interval : sweep_interval;
    const bool leaving = co_await leaving_.wait_until(executor_.now() + interval);
    if (leaving) {
      co_return;
    }
    end_aborted();
    answer_left_over(&before);
  }
}

// Where a command comes after them, arrived() finds those that the daemon threw away. This is for
// the last ones: nobody calls us for them, and the daemon cannot stop while they stand in the ring.
// Entries that stood for a whole interval are behind the daemon, which reads as soon as it is
// woken.
void Device::answer_left_over(RingCursor::Leftovers* before) {
  const bool idle = unanswered() == 0;
  const RingCursor::Leftovers now = idle ? cursor_->leftovers() : RingCursor::Leftovers{};
  if (now.tail != now.head && now.same_place(*before)) {
    for (std::size_t i = 0; i < now.dropped_count; ++i) {
      ring_->answer_thrown_away(now.dropped[i]);
    }
    ring_->skip_to(now.head);
  }
  *before = now;
}

void Device::end_aborted() {
  const std::span<const std::uint16_t> ids = notices_->take();
  if (ids.empty() || task_set_ == nullptr) {
    return;
  }
  const std::size_t ended = task_set_->abort([ids](const scsi::Command& command) {
    const abi::tcmulib_cmd& cmd = *static_cast<const Incoming&>(command).cmd;
    return std::binary_search(ids.begin(), ids.end(), cmd.cmd_id);
  });
  log(LogLevel::info, "{}: task management: of {} commands to be aborted {} end now", name_,
      ids.size(), ended);
}

void Device::begin_sweep(void* self, std::int64_t) {
  Device& device = *static_cast<Device*>(self);
  device.closing_.spawn("sweep", device.sweep());
}

bool Device::close() {
  if (plug_.first != nullptr) {
    flush_plug(false);
  }
  const co::Message message{.run = &begin_close, .context = this};
  (void)loop_->drive(&message);
  loop_->run_until([](void* self) { return static_cast<Device*>(self)->departed_.is_set(); }, this);
  log(LogLevel::info, "{}: closed: {} commands answered with {} doorbells", name_,
      ring_->stats().answers, ring_->stats().doorbells);
  return is_gone();
}

void Device::begin_close(void* self, std::int64_t) {
  Device& device = *static_cast<Device*>(self);
  device.leaving_.set();
  device.closing_.spawn("close", device.close_in_order());
}

co::Task<void> Device::close_in_order() {
  if (unanswered() == 0) {
    idle_.set();
  }
  const bool idle = co_await idle_.wait_until(executor_.now() + close_patience);
  if (!idle) {
    log(LogLevel::warning, "{}: {} commands are still at the backend {}; they are ended", name_,
        unanswered(), backend_->description());
  }
  if (task_set_ != nullptr) {
    co_await task_set_->shut();
  }
  closing_.spawn("close: backend", close_backend());
  const bool closed = co_await closed_.wait_until(executor_.now() + depart_patience);
  if (!closed) {
    log(LogLevel::warning,
        "{}: closed, but {} holds operations that it can neither finish nor end; they go on, and "
        "the storage stays locked until the last of them has ended",
        name_, backend_->description());
  }
  departed_.set();
}

co::Task<void> Device::close_backend() {
  if (backend_ != nullptr) {
    backend_->shut();
    co_await co::yield(executor_);
    co_await backend_->close();
  }
  if (task_set_ != nullptr) {
    co_await task_set_->drained();
  }
  co_await resizes_.join();
  if (departed_.is_set()) {
    log(LogLevel::info, "{}: the last operation has ended, the storage is let go of", name_);
  }
  closed_.set();
  closing_.spawn("close: last", leave());
}

// Waits for the tasks that closed_ has woken, so that nothing is left when is_gone() says so.
co::Task<void> Device::leave() {
  while (closing_.live() > 1) {
    co_await co::yield(executor_);
  }
  gone_.store(true, std::memory_order_release);
}

}  // namespace ballast::handler
