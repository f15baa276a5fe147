// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/core/process.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <string_view>
#include <utility>

#include "lib/base/anatomy.h"

namespace ballast::ctl::core {
namespace {

using anatomy::Root;

std::uint64_t word(const Reader& reader, std::uint64_t address, std::size_t offset) {
  return reader.word(address + offset).value_or(0);
}

// The table that the plugin left. Its magic may be in the memory of somebody who has looked for it,
// but there it does not know its own address.
Result<std::uint64_t> find_root(const CoreFile& core, const Reader& reader) {
  for (const std::uint64_t address : core.find({anatomy::magic, sizeof anatomy::magic})) {
    if (word(reader, address, offsetof(Root, self)) != address) {
      continue;
    }
    const auto format = static_cast<std::uint32_t>(word(reader, address, offsetof(Root, format)));
    if (format == anatomy::format) {
      return address;
    }
    return Error{EINVAL,
                 fmt::format("its plugin is version {}, which describes itself in another way: use "
                             "the ballastctl of that version",
                             reader.text(address + offsetof(Root, version)).value_or("?"))};
  }
  return Error{
      EINVAL,
      "no Ballast is in it: either it is not of a tcmu-runner that had loaded handler_ballast.so, "
      "or memory is missing (/proc/PID/coredump_filter should be 0x33 or more)"};
}

// Texts that never change are not in a core file, but in the plugin's.
std::optional<MappedFile> open_module(CoreFile& core, Reader& reader, std::uint64_t root,
                                      const std::string& instead) {
  const std::string mapped = core.module_at(root);
  const std::string path = instead.empty() ? mapped : instead;
  const char* const advice =
      "names and places are missing; give the plugin that it ran with --plugin";
  if (path.empty()) {
    reader.note(fmt::format("it does not say which plugin it ran: {}", advice));
    return std::nullopt;
  }
  Result<MappedFile> file = MappedFile::open(path);
  if (!file.ok()) {
    reader.note(fmt::format("{}: {}", file.error().message, advice));
    return std::nullopt;
  }
  if (core.use_module(mapped, file.value().bytes()) == CoreFile::Fits::no) {
    reader.note(fmt::format("{} is another build than the plugin that it ran: {}", path, advice));
    return std::nullopt;
  }
  return std::move(file).value();
}

}  // namespace

std::string place(const std::optional<Object>& place) {
  if (!place.has_value()) {
    return {};
  }
  const std::string file = place->text("file");
  return fmt::format("{}:{}", file.empty() ? "?" : file.substr(file.rfind('/') + 1),
                     place->number("line"));
}

Result<Process> Process::find(CoreFile& core, Reader& reader, const std::string& module) {
  const Result<std::uint64_t> root = find_root(core, reader);
  if (!root.ok()) {
    return root.error();
  }
  Process process{core, reader};
  process.module_ = open_module(core, reader, root.value(), module);
  const std::uint64_t heartbeat =
      word(reader, word(reader, root.value(), offsetof(Root, heartbeat)), 0);
  process.now_ = believable(TimePoint{Nanoseconds{std::bit_cast<std::int64_t>(heartbeat)}});
  const std::uint64_t first =
      word(reader, word(reader, root.value(), offsetof(Root, executors)), 0);
  if (first != 0) {
    const std::optional<Object> newest =
        reader.object(first, word(reader, root.value(), offsetof(Root, executor)));
    if (!newest.has_value()) {
      return Error{EINVAL, "its LUNs are in memory that it does not have"};
    }
    process.find_luns(*newest);
  }
  return process;
}

// An object that a landmark of this name leads to.
void DeadLun::add(const std::string& name, Object object) {
  const std::array<std::pair<std::string_view, std::optional<Object>*>, 7> known{
      {{"LUN", &lun},
       {"device", &device},
       {"io_uring", &uring},
       {"logged store", &logged},
       {"shared access", &shared},
       {"image", &image},
       {"NBD links", &nbd}}};
  if (name == "mutex") {
    mutexes.push_back(std::move(object));
    return;
  }
  for (const auto& [its, place] : known) {
    if (name == its) {
      *place = std::move(object);
      return;
    }
  }
}

void Process::find_luns(const Object& newest) {
  std::vector<Object> executors = newest.list("next");
  executors.insert(executors.begin(), newest);
  std::ranges::reverse(executors);
  for (const Object& executor : executors) {
    DeadLun lun{.executor = executor};
    for (const Object& landmark : executor.list("landmarks")) {
      std::optional<Object> object =
          reader_->object(landmark.number("object"), landmark.number("type"));
      if (object.has_value()) {
        lun.add(reader_->name_of_type(landmark.number("type")), std::move(*object));
      }
    }
    now_ = std::max(now_, executor.time("now"));
    luns_.push_back(std::move(lun));
  }
}

// "" if no LUN's thread was it.
std::string Process::who_drove() const {
  for (const DeadLun& lun : luns_) {
    const Object& executor = lun.executor;
    const bool drives = executor.flag("in_turn") || executor.flag("in_tick");
    if (drives && executor.number("thread") == static_cast<std::uint64_t>(core_->thread())) {
      const std::string task = executor.text("runs");
      const std::string where = place(executor.target("last_wait"));
      return fmt::format(", which drove LUN {}{}{}", lun.name(),
                         executor.flag("in_tick") && !task.empty()
                             ? fmt::format(" and ran \"{}\"", task)
                             : std::string{},
                         where.empty() || where.ends_with(":0")
                             ? std::string{}
                             : fmt::format(", whose last wait was at {}", where));
    }
  }
  return {};
}

std::vector<std::string> Process::end() const {
  std::vector<std::string> sentences;
  if (core_->signal() != 0) {
    const char* const name = ::sigabbrev_np(core_->signal());
    sentences.push_back(fmt::format("it ended by SIG{} in thread {}{}",
                                    name != nullptr ? name : std::to_string(core_->signal()),
                                    core_->thread(), who_drove()));
  }
  if (core_->missing() > 0) {
    sentences.push_back(fmt::format(
        "the core file is cut off, {} bytes are missing: raise LimitCORE of the service, or look "
        "for room on the disk",
        core_->missing()));
  }
  for (const DeadLun& lun : luns_) {
    if (lun.executor.flag("in_tick")) {
      sentences.push_back(fmt::format(
          "LUN {} was at work just then: something of it may be in the middle of a change",
          lun.name()));
    }
    if (lun.lun.has_value() && lun.lun->flag("departed")) {
      sentences.push_back(
          fmt::format("LUN {} was closed already; what is shown of it is what its store had not "
                      "ended yet",
                      lun.name()));
    }
  }
  return sentences;
}

std::string operation_of(const Object& record) {
  std::string name = record.text("name");
  return name.empty() ? fmt::format("opcode {:#04x}", record.number("opcode")) : name;
}

}  // namespace ballast::ctl::core
