// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/ballastctl/tune/tune.h"

namespace ballast::ctl::tune {
namespace {

std::string line(const Step& step, bool dry_run) {
  const std::string what = printable(step.place);
  const char* const be = dry_run ? "would be " : "";
  if (step.left) {
    return fmt::format("{}: somebody has changed it since tune; it is left as it is\n", what);
  }
  if (step.kind == Kind::file) {
    return fmt::format("{}: {}{}\n", what, be,
                       !step.after   ? "removed"
                       : step.before ? "written anew"
                                     : "written");
  }
  if (step.kind == Kind::block) {
    return fmt::format("{}: the block of ballastctl {}{}\n", what, be,
                       !step.after   ? "removed"
                       : step.before ? "changed"
                                     : "added");
  }
  return fmt::format("{}: {} -> {}\n", what, printable(step.before.value_or("")),
                     printable(step.after.value_or("")));
}

}  // namespace

std::string text_of(const Outcome& outcome) {
  std::string text;
  for (const Step& step : outcome.steps) {
    text += line(step, outcome.dry_run);
  }
  for (const std::string& note : outcome.notes) {
    text += "note: " + printable(note) + "\n";
  }
  return text + (outcome.ending.empty() ? "" : outcome.ending + "\n");
}

nlohmann::ordered_json as_json(const Outcome& outcome) {
  nlohmann::ordered_json document{{"version", 1},
                                  {"report", "tune"},
                                  {"ok", outcome.errors.empty()},
                                  {"dry_run", outcome.dry_run},
                                  {"changes", nlohmann::ordered_json::array()},
                                  {"notes", outcome.notes},
                                  {"errors", outcome.errors}};
  for (const Step& step : outcome.steps) {
    document["changes"].push_back({{"place", step.place},
                                   {"kind", name_of(step.kind)},
                                   {"before", text_or_null(step.before)},
                                   {"after", text_or_null(step.after)},
                                   {"left", step.left}});
  }
  return document;
}

}  // namespace ballast::ctl::tune
