// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <linux/io_uring.h>

#include <algorithm>
#include <array>
#include <optional>

#include "targetcli-config/ballastctl/core/owners.h"
#include "targetcli-config/ballastctl/core/views.h"
#include "targetcli-config/ballastctl/text/cells.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl::core {
namespace {

// The values of io::Op::State.
constexpr std::uint64_t free_slot = 0;
constexpr std::uint64_t queued = 1;
constexpr std::uint64_t submitted = 2;
constexpr std::uint64_t at_store = 3;
constexpr std::uint64_t most_slabs = 1024;

std::string name_of(std::uint64_t opcode) {
  switch (opcode) {
    case IORING_OP_READV:
    case IORING_OP_READ:
    case IORING_OP_READ_FIXED:
      return "read";
    case IORING_OP_WRITEV:
    case IORING_OP_WRITE:
    case IORING_OP_WRITE_FIXED:
      return "write";
    case IORING_OP_FSYNC:
      return "fsync";
    case IORING_OP_FALLOCATE:
      return "fallocate";
    case IORING_OP_POLL_ADD:
      return "poll";
    case IORING_OP_ASYNC_CANCEL:
      return "cancel";
    default:
      return fmt::format("io_uring operation {}", opcode);
  }
}

const char* state_of(const Object& operation) {
  switch (operation.number("state")) {
    case queued:
      return "queued";
    case submitted:
      return "at the kernel";
    case at_store:
      return operation.flag("handed_over") ? "at the kernel, from the store's thread"
                                           : "waits for the store's thread";
    default:
      return "?";
  }
}

// What `length` and `offset` mean, and what they say then.
bool has_range(std::uint64_t opcode) {
  return opcode != IORING_OP_POLL_ADD && opcode != IORING_OP_ASYNC_CANCEL &&
         opcode != IORING_OP_FSYNC;
}

std::uint64_t length_of(const Object& operation) {
  if (operation.flag("vectored")) {
    return operation.number("vectored_length");
  }
  // fallocate(2) has its length where others have an address.
  return operation.number("opcode") == IORING_OP_FALLOCATE ? operation.number("address")
                                                           : operation.number("length");
}

Json operation_json(const Object& operation, const Owners& owners, const Process& process) {
  const std::uint64_t opcode = operation.number("opcode");
  std::optional<Object> wait = operation.target("wait");
  if (wait.has_value() && wait->number("generation") != operation.number("generation")) {
    wait.reset();  // nobody waits any more
  }
  const std::optional<Object> task = wait ? wait->target("task") : std::nullopt;
  const Owner* const owner = task ? owners.of_task(task->address()) : nullptr;
  Json json;
  json["operation"] = name_of(opcode);
  json["state"] = state_of(operation);
  json["fd"] = static_cast<std::int32_t>(static_cast<std::uint32_t>(operation.number("fd")));
  json["offset_bytes"] = has_range(opcode) ? Json(operation.number("offset")) : Json(nullptr);
  json["length_bytes"] = has_range(opcode) ? Json(length_of(operation)) : Json(nullptr);
  json["task"] = task ? Json(task->text("name")) : Json(nullptr);
  json["command"] = owner != nullptr ? Json(owner->command) : Json(nullptr);
  json["for_ns"] = task ? Json(static_cast<std::uint64_t>(std::max<std::int64_t>(
                              0, (process.now() - task->time("since")).count())))
                        : Json(nullptr);
  return json;
}

void add_operations(const DeadLun& lun, const Process& process, Json& all) {
  const Object& uring = *lun.uring;
  const Owners owners{lun};
  Reader& reader = process.reader();
  const std::uint64_t begin = uring.number("slabs");
  const std::uint64_t end = uring.number("slabs_end");
  const std::uint64_t length = std::min<std::uint64_t>(uring.number("slab_length"), 4096);
  const std::uint64_t slabs = end >= begin ? std::min((end - begin) / 8, most_slabs) : 0;
  for (std::uint64_t i = 0; i < slabs; ++i) {
    std::uint64_t address = reader.word(begin + i * 8).value_or(0);
    for (std::uint64_t j = 0; j < length; ++j) {
      const std::optional<Object> operation = reader.object(address, uring.type_of("slabs"));
      if (!operation.has_value()) {
        reader.note(
            fmt::format("operations of LUN {} are at {:#x}, which the core file does not "
                        "have",
                        lun.name(), address));
        break;
      }
      if (operation->number("state") != free_slot) {
        all.push_back(operation_json(*operation, owners, process));
      }
      address += operation->size();
    }
  }
}

}  // namespace

Json operations(const Process& process) {
  Json luns = Json::array();
  for (const DeadLun& lun : process.luns()) {
    Json json;
    json["name"] = lun.name();
    json["waiting"] = lun.uring ? lun.uring->number("waiting") : 0;
    json["operations"] = Json::array();
    if (lun.uring.has_value()) {
      add_operations(lun, process, json["operations"]);
    }
    luns.push_back(std::move(json));
  }
  return luns;
}

std::string show_operations(const std::vector<nlohmann::json>& luns, const View& view) {
  constexpr auto right = Table::Align::right;
  Table table{{{"LUN"},
               {"OPERATION"},
               {"STATE"},
               {"FD", right},
               {"OFFSET", right},
               {"LENGTH", right},
               {"SINCE", right},
               {"TASK", Table::Align::wrap},
               {"COMMAND", right}}};
  std::string more;
  for (const nlohmann::json& lun : luns) {
    const std::string name = lun.at("name");
    for (const nlohmann::json& operation : lun.at("operations")) {
      const nlohmann::json& task = operation.at("task");
      table.add({name, operation.at("operation"), operation.at("state"), operation.at("fd").dump(),
                 number_cell(operation.at("offset_bytes")),
                 bytes_cell(operation.at("length_bytes")), duration_cell(operation.at("for_ns")),
                 task.is_null() ? "" : task.get<std::string>(),
                 number_cell(operation.at("command"))});
    }
    if (const std::uint64_t waiting = lun.at("waiting"); waiting > 0) {
      more += fmt::format("{}: {} more wait for a place\n", printable(name), waiting);
    }
  }
  return (table.empty() ? "no operations are under way\n" : table.text(view)) + more;
}

}  // namespace ballast::ctl::core
