// SPDX-License-Identifier: Apache-2.0
// Takes any bytes as the file of incidents, which outlives crashes and full disks, and shows it as
// ballastctl history does. Whatever stands there: lines that are none are left out, and the rest is
// shown. What is read comes back after it was written.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/watch/incidents.h"
#include "tests/fuzz/machine.h"

using namespace ballast;
using namespace ballast::ctl;
using incidents::Incident;
using incidents::IncidentFile;

namespace {

// Returns what an exception says, if one got so far; ballastctl would have shown nothing then.
std::optional<std::string> show(const std::string& file, const char* as) {
  const test::Quiet quiet;
  CLI::App app;
  add_history(app);
  try {
    app.parse(std::vector<std::string>{as, file, "--file", "history"});  // the last one first
  } catch (const std::exception& error) {
    return error.what();
  }
  return std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  static const test::Machine machine;
  machine.write("/incidents", {reinterpret_cast<const char*>(input), size});
  const std::string file = machine.real("/incidents");
  for (const char* const as : {"-oSINCE,UNTIL,LUN,LASTED,ERRORS,LOST,LBA,STAGE,NOTE", "--json"}) {
    const std::optional<std::string> failure = show(file, as);
    test::check(!failure.has_value(), "history shows nothing", failure.value_or(""));
  }
  const Result<IncidentFile::Read> read = IncidentFile{file}.read();
  test::check(read.ok(), "the file cannot be read");
  const std::string copy = machine.real("/copy");
  std::filesystem::remove(copy);
  for (const Incident& incident : read.value().incidents) {
    test::check(IncidentFile{copy}.append(incident).ok(), "an incident cannot be written");
  }
  const Result<IncidentFile::Read> again = IncidentFile{copy}.read();
  test::check(again.ok() && again.value().unreadable == 0, "what was written cannot be read");
  test::check(again.value().incidents == read.value().incidents, "an incident has changed");
  return 0;
}
