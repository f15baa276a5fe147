// SPDX-License-Identifier: Apache-2.0
// ballastctl check: whether this target serves all that it should, and would do so after the next
// boot. Written for Nagios, Icinga and their kin (Monitoring Plugins Development Guidelines).
//
// gather() blocks; the judge functions and the texts are pure.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/machine/files.h"
#include "targetcli-config/ballastctl/machine/inventory.h"

namespace ballast::ctl::check {

// The exit codes of such plugins.
enum class Severity { ok = 0, warning = 1, critical = 2, unknown = 3 };
const char* to_string(Severity severity) noexcept;  // "OK", "WARNING", ...

struct Finding {
  Severity severity = Severity::ok;
  std::string subject;  // the LUN's name, "systemd", ...
  std::string text;     // what is wrong
  std::string how;      // what to do
};
using Findings = std::vector<Finding>;

// --- what was found

// A unit of systemd that has settings from Ballast.
struct Unit {
  std::string name;       // "tcmu-runner.service"
  bool restores = false;  // it brings back at boot what is saved
  std::string at_boot;    // UnitFileState: "enabled", "disabled", "masked", ...
  std::string settings;   // path of Ballast's drop-in; empty: not installed
  bool in_force = false;  // systemd has read it
  bool is_old = false;    // some file of the unit has changed since systemd read it
  std::optional<std::int64_t> open_files;          // LimitNOFILE of the unit
  std::optional<std::int64_t> process_open_files;  // of its process
};

struct Found {
  Result<std::optional<Saved>> saved{std::optional<Saved>{}};
  std::optional<Inventory> now;  // nullopt: the kernel did not say in time
  std::vector<Unit> units;       // empty: this machine has no systemd
  std::string no_io_uring;       // why it cannot be used; empty: it can
  bool has_bus_policy = true;
  Result<std::string> plugin{std::string{}};  // its version
  Reading list, stats;                        // of the plugin
};
Found gather(const Files& files);

// --- what is to be said of it

// What is saved and not there.
Findings judge_restored(const Saved& saved, const Inventory& now);
// What is there and not saved, or saved in another form.
Findings judge_saved(const std::optional<Saved>& saved, const Inventory& now);
// The settings of a unit, and whether systemd has read them.
Findings judge(const Unit& unit);
// Whether a boot would start what brings LUNs back.
Findings judge_boot(const Found& found);
Findings judge_plugin(const Found& found);
Findings judge_luns(const Found& found);

struct Report {
  Findings findings;  // the worst first
  // nullopt: not known.
  std::vector<std::pair<std::string, std::optional<std::uint64_t>>> numbers;
  std::string good;  // the sentence if nothing is wrong
  std::string copy;  // path of the copy that was kept of saveconfig.json; empty: none

  Severity severity() const;
};
Report judge(const Found& found);
// Only what was restored.
Report judge_restore(const Found& found);

std::string as_text(const Report& report);
nlohmann::ordered_json as_json(const Report& report);

// Keeps `path` beside itself, as <path>.not-restored-<date>-<time>, and of such copies the `most`
// newest. A copy that is the same as the newest one is not made again. Returns the copy's path.
Result<std::string> keep_copy(const Files& files, const std::string& path, std::size_t most,
                              std::time_t now);

}  // namespace ballast::ctl::check
