// SPDX-License-Identifier: Apache-2.0
// ballastctl history: the incidents that ballast-watch.service has recorded.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>

#include "lib/base/values.h"
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/text/cells.h"
#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/ballastctl/text/table.h"
#include "targetcli-config/ballastctl/watch/incidents.h"

namespace ballast::ctl {
namespace {

using incidents::Incident;
using nlohmann::json;

constexpr auto right = Table::Align::right;
constexpr auto wrap = Table::Align::wrap;
constexpr auto if_room = Table::Show::if_room;
constexpr auto on_request = Table::Show::on_request;

const Table::Columns columns{{"SINCE"},
                             {"UNTIL", Table::Align::left, on_request},
                             {"LUN"},
                             {"LASTED", right},
                             {"HELD", right, if_room},
                             {"EARLY", right, if_room},
                             {"ADOPTED", right, if_room},
                             {"ERRORS", right},
                             {"LOST", right},
                             {"OPERATION", Table::Align::left, on_request},
                             {"LBA", right, on_request},
                             {"STAGE", Table::Align::left, on_request},
                             {"NOTE", wrap}};

struct Options {
  std::string lun, since, file;
  View view;
  bool json = false;
};

// "7d", or as a configuration string has durations.
Result<Nanoseconds> parse_since(const std::string& text) {
  constexpr std::int64_t most_days = 36'500;
  if (text.ends_with("d")) {
    const std::optional<std::int64_t> days = whole_number(text.substr(0, text.size() - 1));
    if (!days || *days < 0 || *days > most_days) {
      return Error{EINVAL, fmt::format("--since: \"{}\" is not a number of days, as 7d, up to {}",
                                       printable(text), most_days)};
    }
    return Nanoseconds{std::chrono::hours{24 * *days}};
  }
  Result<Nanoseconds> since = config::parse_duration("--since", text);
  return since ? since : Error{EINVAL, since.error().message + "; or days, as 7d"};
}

std::string text_cell(const Incident& incident, const char* member) {
  const json value = incident.value(member, json{});
  return value.is_string() ? value.get<std::string>() : "";
}

std::string note_of(const Incident& incident) {
  const std::string ended = text_cell(incident, "ended");
  std::string note;
  if (ended == "closed") {
    note = "the LUN was closed";
  } else if (ended == "daemon ended") {
    note = "tcmu-runner ended";
  } else if (ended == "watch ended") {
    note = "still stalled when the watch ended";
  }
  if (incident.value("begun_before", json{}) == true) {
    note += note.empty() ? "" : ", and ";
    note += "had begun before it was noticed: numbers are of the rest";
  }
  return note;
}

std::string count_cell(const Incident& incident, const char* member) {
  const json value = incident.value(member, json{});
  return value.is_number_unsigned() ? number_cell(value) : "";
}

// 0 is said in a word only if the counters prove it.
std::string lost_cell(const Incident& incident) {
  const std::string count = count_cell(incident, "lost");
  return count == "0" ? "none" : count.empty() ? "not known" : count;
}

std::string table_of(const std::vector<Incident>& all, const View& view) {
  Table table{columns};
  for (const Incident& incident : all) {
    const double seconds = std::clamp(incident.at("seconds").get<double>(), 0.0, 1e9);
    table.add({text_cell(incident, "since"), text_cell(incident, "until"),
               text_cell(incident, "lun"), duration_text(static_cast<std::uint64_t>(seconds * 1e9)),
               count_cell(incident, "held"), count_cell(incident, "answered_early"),
               count_cell(incident, "adopted"), count_cell(incident, "errors"), lost_cell(incident),
               text_cell(incident, "operation"), count_cell(incident, "lba"),
               text_cell(incident, "stage"), note_of(incident)});
  }
  return table.text(view);
}

std::string file_of(const Options& options) {
  return options.file.empty() ? Files::of_this_machine().real(incidents::usual_file) : options.file;
}

void show(Options options) {
  const std::string file = file_of(options);
  incidents::IncidentFile::Read read = or_fail(incidents::IncidentFile{file}.read());
  std::optional<Nanoseconds> since;
  if (!options.since.empty()) {
    since = or_fail(parse_since(options.since));
  }
  const auto now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  const std::int64_t earliest_ms =
      since ? (now_ms - std::chrono::duration_cast<std::chrono::milliseconds>(*since)).count()
            : INT64_MIN;
  std::erase_if(read.incidents, [&](const Incident& incident) {
    return incident.at("since_unix_ms").get<std::int64_t>() < earliest_ms ||
           (!options.lun.empty() && incident.at("lun") != options.lun);
  });
  if (read.unreadable > 0) {
    fmt::print(stderr,
               "ballastctl: note: {} lines of {} cannot be read and are left out: a write "
               "was cut off, or somebody else has written there\n",
               read.unreadable, printable(file));
  }
  if (options.json) {
    print_json({{"version", 1},
                {"report", "history"},
                {"incidents", read.incidents},
                {"unreadable", read.unreadable}});
    return;
  }
  if (read.incidents.empty()) {
    fmt::print("no incidents{}\n",
               Files{""}.exists(file)
                   ? ""
                   : fmt::format(": there is no {}; systemctl enable --now ballast-watch.service "
                                 "records them from then on",
                                 printable(file)));
    return;
  }
  options.view.width = terminal_width();
  std::fputs(table_of(read.incidents, options.view).c_str(), stdout);
}

}  // namespace

void add_history(CLI::App& app) {
  CLI::App* const command = app.add_subcommand(
      "history", "the stalls that ballast-watch.service has recorded, and what they cost");
  const auto options = std::make_shared<Options>();
  command->add_option("LUN", options->lun, "the name of the backstore; without it, all of them");
  command->add_option("--since", options->since, "only those that began in this time: 7d, 12h")
      ->type_name("DURATION");
  command->add_option("--file", options->file, "another file than that of the service")
      ->type_name("FILE");
  add_columns_option(*command, columns, options->view.columns);
  add_json_flag(*command, options->json);
  command->callback([options] {
    if (const Result<Nanoseconds> since =
            parse_since(options->since.empty() ? "0d" : options->since);
        !since) {
      throw CLI::ValidationError(since.error().message);
    }
    show(*options);
  });
}

}  // namespace ballast::ctl
