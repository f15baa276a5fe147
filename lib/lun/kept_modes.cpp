// SPDX-License-Identifier: Apache-2.0
#include "lib/lun/kept_modes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

#include "lib/base/durable_file.h"
#include "lib/base/errand.h"
#include "lib/base/log.h"
#include "lib/co/errand_answer.h"

namespace ballast::lun {
namespace {

using Values = KeptModes::Values;

constexpr std::size_t largest_file = 16 << 10;
constexpr const char* head =
    "# What initiators have set on this LUN with MODE SELECT. Without this file it begins with "
    "its\n"
    "# defaults, and initiators do not learn of that.\n";

std::string text_of(const KeptModes::Place& place, const Values& values) {
  return fmt::format(
      "{}store={}\nwrite_cache={:d}\nsoftware_write_protect={:d}\ndescriptor_sense={:d}\n", head,
      place.store, values.write_cache, values.software_write_protect, values.descriptor_sense);
}

std::optional<std::string_view> value_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (line.starts_with(key) && line.substr(key.size()).starts_with('=')) {
      return line.substr(key.size() + 1);
    }
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return std::nullopt;
}

Result<std::optional<Values>> read(const KeptModes::Place& place) {
  const std::string path = place.folder + "/" + place.lun;
  const Result<std::string> text = read_small_file(path, largest_file);
  if (!text) {
    return text.error().errno_value == ENOENT ? Result<std::optional<Values>>{std::nullopt}
                                              : text.error();
  }
  if (value_of(text.value(), "store") != place.store) {
    return std::optional<Values>{};
  }
  Values values;
  for (const auto& [key, value] : {std::pair{"write_cache", &values.write_cache},
                                   {"software_write_protect", &values.software_write_protect},
                                   {"descriptor_sense", &values.descriptor_sense}}) {
    const std::optional<std::string_view> found = value_of(text.value(), key);
    if (found != "0" && found != "1") {
      return Error{EINVAL, fmt::format("{} is damaged: it has no {} of 0 or 1", path, key)};
    }
    *value = found == "1";
  }
  return std::optional{values};
}

using Writing = co::ErrandAnswer<Result<void>>;

std::shared_ptr<Writing> begin_to_write(const KeptModes::Place& place, const Values& values) {
  auto writing = std::make_shared<Writing>();
  const bool sent = send_errand(
      "ballast/modes", [writing, place, text = text_of(place, values), turn = next_turn()] {
        writing->give(replace_file(place.folder, place.lun, text, turn));
      });
  return sent ? writing : nullptr;
}

void say_not_kept(const std::string& lun, std::string_view why) {
  log(LogLevel::warning,
      "{}: what an initiator has set with MODE SELECT is not kept ({}): if the daemon is started "
      "again, the LUN has its defaults, and initiators do not learn of it",
      lun, why);
}

}  // namespace

Result<std::optional<Values>> KeptModes::find(const Place& place) {
  if (place.folder.empty()) {
    return std::optional<Values>{};
  }
  std::optional<Result<std::optional<Values>>> found =
      ask_with_patience<Result<std::optional<Values>>>("ballast/modes", patience,
                                                       [place] { return read(place); });
  return found.has_value() ? std::move(*found)
                           : Error{ETIMEDOUT, fmt::format("{} does not answer", place.folder)};
}

co::Task<void> KeptModes::keep(Values values) {
  std::shared_ptr<Writing> writing;
  try {
    writing = begin_to_write(place_, values);
  } catch (const std::bad_alloc&) {
    // then it is not kept
  }
  if (writing == nullptr) {
    say_not_kept(place_.lun, "there is no memory or no thread for it");
    co_return;
  }
  const bool given = co_await co::given_within(executor_, writing, patience);
  if (!given) {
    say_not_kept(place_.lun, "the folder does not answer");
    co_return;
  }
  const Result<void> ended = writing->take();
  if (!ended.ok()) {
    say_not_kept(place_.lun, ended.error().message);
  }
}

}  // namespace ballast::lun
