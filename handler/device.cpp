// SPDX-License-Identifier: Apache-2.0
// Takes a LUN's commands from the daemon and gives their answers back; closes the LUN.
#include "handler/device.h"

#include <poll.h>

#include <bit>
#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <utility>

#include "lib/base/log.h"
#include "lib/base/thread_id.h"
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

std::span<const std::uint8_t> cdb_of(const abi::tcmulib_cmd& cmd) {
  return {cmd.cdb, cdb_length_of(cmd.cdb)};
}

io::SgView data_of(const abi::tcmulib_cmd& cmd) {
  return io::SgView{std::span<const iovec>{cmd.iovec, cmd.iov_cnt}};
}

}  // namespace

void Device::handle(abi::tcmulib_cmd* cmd) {
  if (!identity_read_.load(std::memory_order_relaxed)) {
    watched_->command_thread_is(this_thread_id());
    read_identity();
  }
  const bool more = cursor_->arrived(cmd->cmd_id);
  cmd->hm_private = nullptr;
  if (plug_.last != nullptr) {
    plug_.last->hm_private = cmd;
  } else {
    plug_.first = cmd;
  }
  plug_.last = cmd;
  ++plug_.count;
  if (!more) {
    flush_plug(true);
  } else if (plug_.count >= most_plugged) {
    flush_plug(false);
  }
}

void Device::flush_plug(bool stay) {
  const Plug plug = std::exchange(plug_, Plug{});
  const RingCursor::Mark mark = cursor_->mark();
  std::memcpy(plug.first->sense_buf, &mark, sizeof mark);
  const co::Message batch{
      .run = &begin_batch, .context = this, .value = std::bit_cast<std::int64_t>(plug.first)};
  if (stay) {
    linger(batch, plug.count);
  } else {
    watch_->came(plug.count, clock_.now());
    (void)loop_->drive(&batch);
  }
}

void Device::linger(const co::Message& batch, std::size_t commands) {
  const RingWatch::Turn turn = watch_->begin(commands, clock_.now());
  const io::LingerEnd end = stay(batch, turn.watches());
  const io::Loop::Polled polled = loop_->take_polled();
  if (!turn.watches()) {
    return;
  }
  if (polled.in_vain > Nanoseconds{}) {
    watch_->in_vain(polled.in_vain, clock_.now());
  }
  if (polled.overran) {
    watch_->was_interrupted();
  }
  if (end == io::LingerEnd::idle) {
    watch_ring();
  }
  if (!cursor_->more() && std::exchange(stale_event_, false)) {
    abi::tcmulib_processing_start(dev_);  // else the daemon would wake up for nothing
  }
}

// Without the baton: the reactor does what comes up meanwhile.
void Device::watch_ring() {
  constexpr int looks = 16;  // between two readings of the clock
  const TimePoint begun = clock_.now();
  const Nanoseconds window = watch_->window(begun);
  TimePoint now = begun;
  while (now - begun < window) {
    for (int i = 0; i < looks; ++i) {
      if (command_waits(this)) {
        return;
      }
      __builtin_ia32_pause();
    }
    const TimePoint before = std::exchange(now, clock_.now());
    if (now - before > io::Loop::poll_overrun) {
      watch_->was_interrupted();
    }
  }
  if (window > Nanoseconds{}) {
    watch_->in_vain(now - begun, now);
  }
}

io::LingerEnd Device::stay(const co::Message& batch, bool watches) {
  io::CommandSource commands{.fd = abi::tcmu_dev_get_fd(dev_), .context = this};
  if (watches) {
    commands.waiting = &command_waits;
    commands.poll_limit = RingWatch::completion_limit;
  }
  io::LingerEnd end = loop_->linger(commands, linger_limit, &batch);
  // The kernel raises an event for each command, and the daemon may have read several commands
  // after the first event. So there can be an event without a command behind it. This thread takes
  // that event off the descriptor, as the daemon would. It reads the clock only in this case.
  TimePoint until{};
  while (end == io::LingerEnd::commands && !cursor_->more()) {
    abi::tcmulib_processing_start(dev_);
    stale_event_ = false;
    const TimePoint now = clock_.now();
    if (until == TimePoint{}) {
      until = now + linger_limit;
    }
    if (cursor_->more() || now >= until) {
      break;
    }
    end = loop_->linger(commands, until - now);
  }
  return end;
}

bool Device::command_waits(void* self) {
  Device& device = *static_cast<Device*>(self);
  const bool waits = device.cursor_->more();
  device.stale_event_ |= waits;
  return waits;
}

void Device::begin_batch(void* self, std::int64_t first_command) {
  Device& device = *static_cast<Device*>(self);
  if (!device.lun_->is_identified() && device.identity_read_.load(std::memory_order_acquire)) {
    device.identify();
  }
  auto* cmd = std::bit_cast<abi::tcmulib_cmd*>(first_command);
  RingCursor::Mark mark;
  std::memcpy(&mark, cmd->sense_buf, sizeof mark);
  const bool passed_over = device.sweep_->any_before(mark);
  while (cmd != nullptr) {
    auto* const next = static_cast<abi::tcmulib_cmd*>(cmd->hm_private);
    if (passed_over) {
      device.sweep_->before(cmd->cmd_id);
    }
    device.begin(cmd);
    cmd = next;
  }
  device.sweep_->reached(mark);
  if (device.sweep_rests_) {
    device.sweep_rests_ = false;
    device.stirred_.set();
  }
}

// Returns null if memory runs out.
Device::Incoming* Device::take_incoming() {
  if (free_incoming_ == nullptr) {
    try {
      incoming_.push_back(std::make_unique<Incoming[]>(incoming_per_slab));
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    for (std::size_t i = 0; i < incoming_per_slab; ++i) {
      incoming_.back()[i].next_free = std::exchange(free_incoming_, &incoming_.back()[i]);
    }
  }
  return std::exchange(free_incoming_, free_incoming_->next_free);
}

void Device::begin(abi::tcmulib_cmd* cmd) {
  Incoming* const incoming = take_incoming();
  if (incoming == nullptr) {
    ring_->answer(cmd, scsi::Status::busy);
    return;
  }
  incoming->cmd = cmd;
  incoming->cdb = cdb_of(*cmd);
  incoming->data = data_of(*cmd);
  incoming->sense = cmd->sense_buf;
  incoming->transferred = 0;
  incoming->sense_length = 0;
  lun_->begin(*incoming);
}

void Device::answer(scsi::Command& command, scsi::Status status) {
  auto& incoming = static_cast<Incoming&>(command);
  ring_->answer(incoming.cmd, incoming, status);
  incoming.next_free = std::exchange(free_incoming_, &incoming);
}

void Device::abort_named(const PassedOver& names, std::size_t named) {
  if (lun_->task_set() == nullptr || named == 0) {
    return;
  }
  const std::size_t ended = lun_->abort([&names](const scsi::Command& command) {
    return names.is_named(static_cast<const Incoming&>(command).cmd->cmd_id);
  });
  if (const auto left_out = abort_lines_.next_in_words(executor_.now())) {
    log(LogLevel::info, "{}: task management: an initiator aborts {} commands; {} end now{}", name_,
        named, ended, *left_out);
  }
}

// Looks at the end of the ring, because the daemon does not call us for the entries that it passes
// over. It looks ten times a second while commands come or are unanswered, and every two seconds
// otherwise.
co::Task<void> Device::sweep_now_and_then() {
  std::uint32_t position = sweep_->position();
  for (;;) {
    sweep_rests_ = lun_->unanswered() == 0 && sweep_->position() == position;
    position = sweep_->position();
    const Nanoseconds interval = sweep_rests_ ? sweep_interval : notice_interval;
    const bool stirred = co_await stirred_.wait_until(executor_.now() + interval);
    if (closing_) {
      co_return;
    }
    if (stirred) {
      stirred_.reset();
      continue;
    }
    look_around();
    if (ring_left_alone_.load(std::memory_order_relaxed)) {
      continue;
    }
    sweep_->look(executor_.now());
  }
}

// If memory runs out, the next one looks again.
void Device::look_around() noexcept {
  try {
    if (executor_.now() - looked_at_attributes_ >= attribute_interval) {
      look_at_attributes();
      ask_for_groups();
      offer_to_copies();
    }
    (void)take_groups();
  } catch (const std::bad_alloc&) {
    log_plain(LogLevel::warning, "out of memory: Ballast looks later what has changed in configfs");
  }
}

bool Device::daemon_is_asleep() const {
  pollfd event{.fd = abi::tcmu_dev_get_fd(dev_), .events = POLLIN, .revents = 0};
  return ::poll(&event, 1, 0) == 0;
}

void Device::begin_sweep(void* self, std::int64_t) {
  Device& device = *static_cast<Device*>(self);
  device.sweeps_.spawn("sweep", device.sweep_now_and_then());
}

void Device::daemon_stops() {
  // Posted and not driven here: this thread serves all LUNs.
  executor_.post(co::Message{.run = &begin_stop, .context = this});
}

void Device::begin_stop(void* self, std::int64_t) {
  static_cast<Device*>(self)->lun_->stop();
}

bool Device::close(Nanoseconds patience) {
  if (plug_.first != nullptr) {
    flush_plug(false);
  }
  const co::Message message{.run = &begin_close, .context = this, .value = patience.count()};
  (void)loop_->drive(&message);
  loop_->run_until(
      [](void* self) {
        const Device& device = *static_cast<Device*>(self);
        return device.lun_->has_departed() && device.sweeps_.live() == 0;
      },
      this);
  log(LogLevel::info, "{}: closed: {} commands were answered, with {} notices to the kernel", name_,
      ring_->stats().answers, ring_->stats().doorbells);
  return is_gone();
}

void Device::begin_close(void* self, std::int64_t patience) {
  Device& device = *static_cast<Device*>(self);
  device.closing_ = true;
  device.stirred_.set();
  device.lun_->close(Nanoseconds{patience});
}

}  // namespace ballast::handler
