// SPDX-License-Identifier: Apache-2.0
// All findings of check.h together, as text for monitoring and as JSON for programs.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "targetcli-config/ballastctl/check/check.h"
#include "targetcli-config/ballastctl/machine/patience.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl::check {
namespace {

// As the guidelines have it: what is certainly bad comes before what nobody knows.
int rank(Severity severity) {
  switch (severity) {
    case Severity::ok:
      return 0;
    case Severity::unknown:
      return 1;
    case Severity::warning:
      return 2;
    case Severity::critical:
      return 3;
  }
  return 3;
}

void append(Findings& all, Findings more) {
  std::ranges::move(more, std::back_inserter(all));
}

void worst_first(Findings& findings) {
  std::ranges::stable_sort(findings, [](const Finding& one, const Finding& other) {
    return rank(one.severity) > rank(other.severity);
  });
}

Findings unreadable(const Error& why) {
  return {{Severity::unknown, "saved configuration", why.message,
           "the next boot restores what this file has"}};
}

Findings judge_now(const std::optional<Inventory>& now) {
  if (now) {
    return {};
  }
  return {{Severity::unknown, "target", fmt::format("what it serves is not known: {}", files_hang),
           "a LUN is being removed, and the kernel waits for its commands: ballastctl inflight "
           "shows them; check again when they are answered"}};
}

// What follows a '|' is performance data.
std::string plain(std::string_view text) {
  std::string shown = printable(text);
  std::ranges::replace(shown, '|', '/');
  return shown;
}

std::uint64_t total(const Reading& reading, const char* member) {
  std::uint64_t sum = 0;
  for (const nlohmann::json& lun : reading.luns) {
    sum += lun.at(member).get<std::uint64_t>();
  }
  return sum;
}

std::string count_of_luns(std::size_t count) {
  return count == 0 ? "no LUNs" : fmt::format("{} {}", count, count == 1 ? "LUN" : "LUNs");
}

}  // namespace

const char* to_string(Severity severity) noexcept {
  switch (severity) {
    case Severity::ok:
      return "OK";
    case Severity::warning:
      return "WARNING";
    case Severity::critical:
      return "CRITICAL";
    case Severity::unknown:
      return "UNKNOWN";
  }
  return "UNKNOWN";
}

Severity Report::severity() const {
  return findings.empty() ? Severity::ok : findings.front().severity;
}

Report judge_restore(const Found& found) {
  Report report;
  const std::optional<Saved> saved = found.saved.ok() ? found.saved.value() : std::nullopt;
  append(report.findings, found.saved.ok() ? Findings{} : unreadable(found.saved.error()));
  append(report.findings, judge_now(found.now));
  const std::uint64_t count_saved = saved ? saved->inventory.backstores.size() : 0;
  if (!found.now) {
    report.numbers = {{"luns", {}}, {"saved", count_saved}, {"missing", {}}};
    return report;
  }
  const Findings lost = saved ? judge_restored(*saved, *found.now) : Findings{};
  const std::size_t count_now = found.now->backstores.size();
  report.numbers = {{"luns", count_now}, {"saved", count_saved}, {"missing", lost.size()}};
  report.good = saved
                    ? fmt::format("{}, and all that {} has", count_of_luns(count_now), saved->file)
                    : "nothing is saved";
  append(report.findings, lost);
  return report;
}

Report judge(const Found& found) {
  Report report = judge_restore(found);
  Findings unsaved =
      found.saved.ok() && found.now ? judge_saved(found.saved.value(), *found.now) : Findings{};
  report.numbers.emplace_back(
      "unsaved", found.now ? std::optional<std::uint64_t>{unsaved.size()} : std::nullopt);
  report.numbers.insert(report.numbers.end(),
                        {{"stalled", std::ranges::count_if(found.list.luns,
                                                           [](const nlohmann::json& lun) {
                                                             return lun.at("state") == "stalled";
                                                           })},
                         {"silent", found.list.silent.size()},
                         {"unanswered", total(found.list, "unanswered")},
                         {"orphans", total(found.list, "orphans")}});
  append(report.findings, std::move(unsaved));
  append(report.findings, judge_plugin(found));
  append(report.findings, judge_luns(found));
  for (const Unit& unit : found.units) {
    append(report.findings, judge(unit));
  }
  append(report.findings, judge_boot(found));
  if (!found.no_io_uring.empty()) {
    report.findings.push_back({Severity::critical, "io_uring",
                               "cannot be used, and files and block devices need it",
                               found.no_io_uring});
  }
  worst_first(report.findings);
  return report;
}

std::string as_text(const Report& report) {
  std::string first = report.good;
  if (!report.findings.empty()) {
    const Finding& worst = report.findings.front();
    first = fmt::format("{}: {}", worst.subject, worst.text);
    if (report.findings.size() > 1) {
      first += fmt::format("; and {} more", report.findings.size() - 1);
    }
  }
  std::string text = fmt::format("BALLAST {} - {} |", to_string(report.severity()), plain(first));
  for (const auto& [name, number] : report.numbers) {
    text += fmt::format(" {}={};;;0", name, number ? fmt::format("{}", *number) : "U");
  }
  text += "\n";
  for (const Finding& finding : report.findings) {
    text += fmt::format("{}: {}: {}: {}\n", to_string(finding.severity), plain(finding.subject),
                        plain(finding.text), plain(finding.how));
  }
  if (!report.copy.empty()) {
    text += fmt::format("What was saved is kept in {}\n", plain(report.copy));
  }
  return text;
}

nlohmann::ordered_json as_json(const Report& report) {
  nlohmann::ordered_json document{{"version", 1},
                                  {"report", "check"},
                                  {"state", to_string(report.severity())},
                                  {"findings", nlohmann::ordered_json::array()},
                                  {"numbers", nlohmann::ordered_json::object()},
                                  {"copy", nullptr}};
  for (const Finding& finding : report.findings) {
    document["findings"].push_back({{"severity", to_string(finding.severity)},
                                    {"subject", finding.subject},
                                    {"text", finding.text},
                                    {"how", finding.how}});
  }
  for (const auto& [name, number] : report.numbers) {
    document["numbers"][name] = number ? nlohmann::ordered_json(*number) : nlohmann::ordered_json{};
  }
  if (!report.copy.empty()) {
    document["copy"] = report.copy;
  }
  return document;
}

}  // namespace ballast::ctl::check
