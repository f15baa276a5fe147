// SPDX-License-Identifier: Apache-2.0
// ballastctl stats: the counters and latencies of a LUN since it was opened.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "lib/watch/command_record.h"
#include "lib/watch/counters.h"
#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/text/cells.h"

namespace ballast::ctl {
namespace {

constexpr auto right = Table::Align::right;
constexpr auto wrap = Table::Align::wrap;
constexpr std::string_view indent = "  ";

const Table::Columns counter_columns{{"COUNTER"}, {"VALUE", right}, {"MEANING", wrap}};
const Table::Columns latency_columns{{"LATENCY"},       {"COUNT", right}, {"MEAN", right},
                                     {"P50", right},    {"P99", right},   {"P99.9", right},
                                     {"LONGEST", right}};
const Table::Columns stage_columns{{"STAGE"}, {"COMMANDS", right}, {"MEAN", right}, {"P99", right}};
const Table::Columns error_columns{
    {"STORE-ERROR"}, {"OPERATION"}, {"COUNT", right}, {"LAST", right}};

std::string value_of(std::string_view member, const nlohmann::json& value) {
  return member.ends_with("_bytes") ? bytes_cell(value) : number_cell(value);
}

std::string counter_table(const nlohmann::json& lun, const View& view) {
  Table table{counter_columns};
  const nlohmann::json& values = lun.at("counters");
  for (const watch::Counter& counter : watch::counters) {
    const std::string member{counter.name};
    table.add({member, value_of(member, values.at(member)), counter.meaning});
  }
  // A newer plugin may have counters that this program does not know.
  for (const auto& [member, value] : values.items()) {
    if (std::none_of(watch::counters.begin(), watch::counters.end(),
                     [&](const watch::Counter& counter) { return counter.name == member; })) {
      table.add({member, value_of(member, value), ""});
    }
  }
  return table.text(view, indent);
}

std::string latency_table(const nlohmann::json& lun, const View& view) {
  Table table{latency_columns};
  for (const char* const kind : {"reads", "writes", "others"}) {
    const nlohmann::json& histogram = lun.at("latency").at(kind);
    std::vector<std::string> cells{kind, number_cell(histogram.at("count"))};
    const bool none = histogram.at("count") == 0;
    for (const char* const member : {"mean_ns", "p50_ns", "p99_ns", "p999_ns", "longest_ns"}) {
      cells.push_back(none ? "" : duration_cell(histogram.at(member)));
    }
    table.add(cells);
  }
  return table.text(view, indent);
}

// The stages in which commands spent time. An older plugin does not tell.
std::string stage_table(const nlohmann::json& lun, const View& view) {
  Table table{stage_columns};
  const nlohmann::json stages = lun.value("stages", nlohmann::json::object());
  for (std::size_t i = 0; i < watch::stage_count; ++i) {
    const std::string stage = watch::to_string(static_cast<watch::Stage>(i));
    const nlohmann::json times = stages.value(stage, nlohmann::json::object());
    const std::uint64_t count = times.value("count", std::uint64_t{0});
    if (count == 0) {
      continue;
    }
    const std::uint64_t sum = times.at("sum_ns");
    std::uint64_t seen = 0;
    std::uint64_t p99 = 0;
    for (const nlohmann::json& bucket : times.at("buckets")) {
      if (seen < count - count / 100) {
        p99 = bucket.at(0);
      }
      seen += bucket.at(1).get<std::uint64_t>();
    }
    table.add({stage, number_cell(count), duration_text(sum / count), "<= " + duration_text(p99)});
  }
  return table.empty() ? "" : table.text(view, indent);
}

std::string error_table(const nlohmann::json& lun, const View& view) {
  Table table{error_columns};
  for (const nlohmann::json& errors : lun.value("store_errors", nlohmann::json::array())) {
    const nlohmann::json last = errors.value("last_for_ns", nlohmann::json{});
    table.add({errors.at("error"), errors.at("operation"), number_cell(errors.at("count")),
               last.is_null() ? "" : duration_cell(last) + " ago"});
  }
  return table.empty() ? "" : table.text(view, indent);
}

// Each table shows those of its columns that the reader chose.
Table::Columns all_columns() {
  Table::Columns all;
  for (const Table::Columns* const some :
       {&counter_columns, &latency_columns, &stage_columns, &error_columns}) {
    for (const Table::Column& column : *some) {
      if (std::ranges::none_of(
              all, [&](const Table::Column& each) { return each.title == column.title; })) {
        all.push_back(column);
      }
    }
  }
  return all;
}

std::string show(const std::vector<nlohmann::json>& luns, const View& view) {
  std::string text;
  for (const nlohmann::json& lun : luns) {
    text += fmt::format("{}{}: {}, open for {}; unanswered: {}, orphans: {} ({})\n",
                        text.empty() ? "" : "\n", printable(lun.at("name").get<std::string>()),
                        state_cell(lun), duration_cell(lun.at("open_for_ns")),
                        number_cell(lun.at("unanswered")), number_cell(lun.at("orphans")),
                        bytes_cell(lun.at("orphan_bytes")));
    text += counter_table(lun, view) + latency_table(lun, view) + stage_table(lun, view) +
            error_table(lun, view);
  }
  return text.empty() ? "no LUNs\n" : text;
}

}  // namespace

void add_stats(CLI::App& app) {
  add_question(app, {"stats", "counters and latencies since the LUN was opened", watch::bus::stats,
                     all_columns(), show});
}

}  // namespace ballast::ctl
