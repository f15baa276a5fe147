// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/watch/journal.h"

#include <fmt/format.h>
#include <sys/uio.h>
#include <syslog.h>

#include <algorithm>
#include <cstring>

// Without this, each record says from which line of this file it comes.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl::journal {
namespace {

using nlohmann::json;

std::uint64_t milliseconds(const json& nanoseconds) {
  return nanoseconds.get<std::uint64_t>() / 1'000'000;
}

class Fields {
 public:
  explicit Fields(std::vector<std::string>& into) : into_{into} {}
  template <class T>
  void add(const char* name, const T& value) {
    into_.push_back(fmt::format("{}={}", name, value));
  }
  void number(const char* name, const json& value) {
    if (value.is_number()) {
      add(name, value.get<std::uint64_t>());
    }
  }

 private:
  std::vector<std::string>& into_;
};

// `age`: the member that has the command's age.
void add_command(const json& command, const char* age, Fields& fields) {
  fields.number("BALLAST_COMMAND", command.value("number", json{}));
  fields.add("BALLAST_OPERATION", command.at("operation").get<std::string>());
  fields.number("BALLAST_LBA", command.at("lba"));
  fields.number("BALLAST_BLOCKS", command.at("blocks"));
  fields.add("BALLAST_AGE_MS", milliseconds(command.at(age)));
}

// Where a command that has ended was for longest.
std::string longest_stage(const json& time_in_ns) {
  std::string longest;
  std::uint64_t most = 0;
  for (const auto& [stage, time] : time_in_ns.items()) {
    if (time.get<std::uint64_t>() > most) {
      most = time.get<std::uint64_t>();
      longest = stage;
    }
  }
  return longest;
}

bool is_of_lun(const std::string& event) {
  return event == "stalled" || event == "recovered" || event == "slow" || event == "slow_begun";
}

}  // namespace

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all{
      Kind{"stalled", "4cc8dbb40ae44b7aaaf7cbd3c7a3ab81", LOG_WARNING},
      Kind{"recovered", "5b6d27ae75424c33af471cbbf62809f8", LOG_NOTICE},
      Kind{"slow_begun", "58dc2720444e43e994c5beabd862618e", LOG_WARNING},
      Kind{"slow", "0bfbe0132bdd4dd19da3ce6bdf8cad87", LOG_WARNING},
      Kind{"daemon_started", "806cd671e8b842268c42087c90b8bd05", LOG_NOTICE},
      Kind{"daemon_ended", "4eb0441ab0d54863af30d624d10b33d6", LOG_WARNING},
      Kind{"unreadable", "e12bcfebc8ca44058d8cae7604c1f416", LOG_WARNING},
      Kind{"state", "02b7f75d753b47609e74e9ca13de9b85", LOG_NOTICE},
      Kind{"disk", "419ed4b9bf41409c89e261f9b4f62a66", LOG_INFO},
      Kind{"gone", "1297034f0ef84a1d959dcdcca60ace47", LOG_NOTICE},
  };
  return all;
}

std::vector<std::string> fields_of(const watch_events::Event& event) {
  std::vector<std::string> all;
  Fields fields{all};
  fields.add("MESSAGE", printable(event.subject) + ": " + printable(event.text));
  fields.add("SYSLOG_IDENTIFIER", "ballast-watch");
  fields.add("BALLAST_EVENT", event.event);
  fields.add(is_of_lun(event.event) ? "BALLAST_LUN" : "BALLAST_SUBJECT", event.subject);
  const auto kind =
      std::ranges::find_if(kinds(), [&](const Kind& each) { return event.event == each.event; });
  fields.add("PRIORITY", kind == kinds().end() ? LOG_NOTICE : kind->priority);
  if (kind != kinds().end()) {
    fields.add("MESSAGE_ID", kind->message_id);
  }
  const json& details = event.details;
  if (details.contains("command")) {
    add_command(details.at("command"), "age_ns", fields);
    fields.add("BALLAST_STAGE", details.at("command").at("stage").get<std::string>());
  } else if (event.event == "slow") {
    add_command(details, "took_ns", fields);
    fields.add("BALLAST_STAGE", longest_stage(details.at("time_in_ns")));
  } else if (details.contains("cost")) {
    const json& cost = details.at("cost");
    fields.add("BALLAST_STALLED_MS", milliseconds(details.at("was_stalled_for_ns")));
    fields.number("BALLAST_HELD", cost.at("held"));
    fields.number("BALLAST_ANSWERED_EARLY", cost.at("answered_early"));
    fields.number("BALLAST_ADOPTED", cost.at("adopted"));
    fields.number("BALLAST_STORE_ERRORS", cost.at("store_errors"));
  }
  return all;
}

Result<void> write(const watch_events::Event& event) {
  std::vector<std::string> fields = fields_of(event);
  std::vector<iovec> parts;
  for (std::string& field : fields) {
    parts.push_back({field.data(), field.size()});
  }
  if (const int ended = ::sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
      ended < 0) {
    return Error{-ended,
                 fmt::format("the journal does not take a record: {}", std::strerror(-ended))};
  }
  return {};
}

}  // namespace ballast::ctl::journal
