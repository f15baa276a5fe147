// SPDX-License-Identifier: Apache-2.0
// Makes of a dead process what the live plugin makes of its LUNs.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "lib/scsi/stalled_luns.h"
#include "targetcli-config/ballastctl/core/process.h"
#include "targetcli-config/ballastctl/core/store.h"

namespace ballast::ctl::core {
namespace {

using watch::CommandRecord;
using watch::LunSnapshot;

std::uint32_t number32(const Object& object, const char* field) {
  return static_cast<std::uint32_t>(object.number(field));
}

void set_limits(const std::optional<Object>& from, config::Limits& limits) {
  if (!from.has_value()) {
    return;
  }
  limits.deadline = from->duration("deadline");
  limits.slow = from->duration("slow");
  limits.stall_after = from->duration("stall_after");
  limits.stall_window = number32(*from, "stall_window");
  limits.busy_for = from->duration("busy_for");
  limits.max_iops = number32(*from, "max_iops");
  limits.max_bandwidth = Bytes{from->number("max_bandwidth")};
  limits.burst = from->duration("burst");
}

void set_counters(const std::optional<Object>& from, watch::LunCounters& counters) {
  if (!from.has_value()) {
    return;
  }
  counters.commands = from->number("commands");
  counters.good = from->number("good");
  counters.check_condition = from->number("check_condition");
  counters.busy = from->number("busy");
  counters.task_set_full = from->number("task_set_full");
  counters.read = Bytes{from->number("read")};
  counters.written = Bytes{from->number("written")};
}

CommandRecord record_of(const Object& its, Reader& reader) {
  CommandRecord record;
  record.number = its.number("number");
  record.opcode = static_cast<std::uint8_t>(its.number("opcode"));
  record.name = reader.keep(operation_of(its));
  record.has_range = its.flag("has_range");
  record.lba = Lba{its.number("lba")};
  record.blocks = BlockCount{its.number("blocks")};
  record.arrived = its.time("arrived");
  record.answered = its.time("answered");
  record.stage_since = its.time("stage_since");
  record.orphan = its.flag("orphan");
  record.adopts = its.flag("adopts");
  const std::span<const std::byte> spent = its.raw("spent");
  const std::uint64_t stage = its.number("stage");
  if (spent.size() != sizeof record.spent || stage >= watch::stage_count) {
    reader.note(
        "the plugin's commands have stages that this ballastctl does not know: use the "
        "ballastctl of that version");
    return record;
  }
  record.stage = static_cast<watch::Stage>(stage);
  std::memcpy(record.spent.data(), spent.data(), spent.size());
  for (Nanoseconds& time : record.spent) {
    time = believable(TimePoint{time}).since_start;
  }
  return record;
}

void add_commands(const Object& task_set, Reader& reader, bool list, LunSnapshot& snapshot) {
  for (const char* const slots : slot_lists) {
    for (const Object& slot : task_set.list(slots)) {
      const std::optional<Object> its = slot.part("record");
      if (!its.has_value()) {
        continue;
      }
      const CommandRecord record = record_of(*its, reader);
      snapshot.oldest = std::min(snapshot.oldest.value_or(record.arrived), record.arrived);
      if (record.orphan) {
        ++snapshot.orphans;
        snapshot.orphan_bytes =
            Bytes{snapshot.orphan_bytes.value() + slot.number("buffer_length") % (1U << 30)};
      }
      if (list) {
        snapshot.in_flight.push_back(record);
      }
    }
  }
}

void set_stall(const Object& task_set, LunSnapshot& snapshot) {
  const std::span<const std::byte> stalled = task_set.raw("stalled");
  const std::span<const std::byte> since = task_set.raw("stalled_since");
  for (std::size_t i = 0; i < stalled.size() && (i + 1) * sizeof(TimePoint) <= since.size(); ++i) {
    std::int64_t nanoseconds = 0;
    static_assert(sizeof nanoseconds == sizeof(TimePoint));
    std::memcpy(&nanoseconds, since.data() + i * sizeof nanoseconds, sizeof nanoseconds);
    if (stalled[i] != std::byte{}) {
      const TimePoint time = believable(TimePoint{Nanoseconds{nanoseconds}});
      snapshot.stalled_since = std::min(snapshot.stalled_since.value_or(time), time);
    }
  }
}

std::vector<std::string> awaited_at(const Object& task, Reader& reader) {
  std::vector<std::string> places;
  std::optional<Object> coroutine = task.target("frame");
  while (coroutine.has_value() && coroutine->number("awaiter") != 0) {
    if (places.size() == longest_chain || coroutine->number("task") != task.address()) {
      reader.note("the coroutines of a task do not lead to it: it may have been changed just then");
      break;
    }
    places.push_back(place(coroutine->target("awaited_at")));
    coroutine = coroutine->target("awaiter");
  }
  return places;
}

void add_tasks(const Object& executor, Reader& reader, LunSnapshot& snapshot) {
  for (const Object& task : executor.list("tasks")) {
    watch::TaskView view;
    view.name = task.text("name");
    if (task.number("waits_for") != 0) {
      view.waits_for = task.text("waits_for");
      view.where = place(task.target("wait_site"));
      view.awaited_at = awaited_at(task, reader);
      view.for_how_long = snapshot.now - task.time("since");
    }
    snapshot.tasks.push_back(std::move(view));
  }
}

void set_store(const Object& lun, LunSnapshot& snapshot) {
  snapshot.configuration = lun.string("configuration");
  snapshot.fault_control = lun.string("fault_control");
  snapshot.backend =
      lun.number("backend") != 0 ? lun.string("store") : "waiting for " + snapshot.configuration;
  snapshot.queue_depth = number32(lun, "queue_depth");
  snapshot.opened = lun.time("opened");
  if (const std::optional<Object> volume = lun.target("volume"); volume.has_value()) {
    const std::uint64_t shift = volume->number("block_shift") % 64;
    snapshot.logical_block = Bytes{std::uint64_t{1} << shift};
    snapshot.capacity = Bytes{volume->number("capacity") << shift};
  }
}

void set_room(const std::optional<Object>& room, LunSnapshot& snapshot) {
  if (room.has_value() && room->number("is_known") != 0) {
    snapshot.room = watch::RoomView{.free = Bytes{room->number("free")},
                                    .used = Bytes{room->number("used")},
                                    .soft_threshold = Bytes{room->number("threshold")}};
  }
}

void set_mailbox(const DeadLun& dead, watch::Mailbox& mailbox) {
  const std::optional<Object> ring = dead.device ? dead.device->target("ring") : std::nullopt;
  const std::optional<Object> head = ring ? ring->part("mailbox") : std::nullopt;
  if (head.has_value()) {
    mailbox.version = static_cast<std::uint16_t>(head->number("version"));
    mailbox.flags = static_cast<std::uint16_t>(head->number("flags"));
    mailbox.ring_offset = number32(*head, "ring_offset");
    mailbox.ring_bytes = number32(*head, "ring_bytes");
  }
}

LunSnapshot snapshot_of(const DeadLun& dead, const watch::Lists& lists, TimePoint now,
                        std::uint32_t share, Reader& reader) {
  LunSnapshot snapshot;
  snapshot.now = now;
  const Object& lun = *dead.lun;
  snapshot.name = lun.string("name");
  set_store(lun, snapshot);
  set_room(lun.part("room"), snapshot);
  if (lun.number("backend") != 0) {
    describe_store(dead, now, snapshot);
  }
  set_mailbox(dead, snapshot.mailbox);
  snapshot.refused_wakes = dead.executor.number("refused_wakes");
  if (const std::optional<Object> task_set = lun.target("task_set"); task_set.has_value()) {
    set_limits(task_set->part("limits"), snapshot);
    snapshot.stall_window = snapshot.stall_window != 0 ? snapshot.stall_window : share;
    set_counters(task_set->part("counters"), snapshot.counters);
    set_stall(*task_set, snapshot);
    snapshot.unanswered = number32(*task_set, "unanswered");
    add_commands(*task_set, reader, lists.in_flight, snapshot);
  } else {
    set_limits(lun.part("limits"), snapshot);
  }
  if (lists.tasks) {
    add_tasks(dead.executor, reader, snapshot);
  }
  return snapshot;
}

std::uint32_t share_of_stalled(const Process& process) {
  std::uint32_t stalled = 0;
  for (const DeadLun& dead : process.luns()) {
    const std::optional<Object> task_set = dead.lun ? dead.lun->target("task_set") : std::nullopt;
    stalled += task_set.has_value() && task_set->flag("counts_as_stalled") ? 1U : 0U;
  }
  return scsi::StalledLuns::share_of(stalled);
}

}  // namespace

std::vector<LunSnapshot> snapshots(const Process& process, const watch::Lists& lists) {
  const std::uint32_t share = share_of_stalled(process);
  std::vector<LunSnapshot> all;
  for (const DeadLun& dead : process.luns()) {
    if (dead.lun.has_value()) {
      all.push_back(snapshot_of(dead, lists, process.now(), share, process.reader()));
    }
  }
  return all;
}

}  // namespace ballast::ctl::core
