// SPDX-License-Identifier: Apache-2.0
// The part of doctor.h about dm-multipath.
#include <fmt/format.h>

#include "lib/base/values.h"
#include "targetcli-config/ballastctl/doctor/doctor.h"

namespace ballast::ctl::doctor {
namespace {

using multipath::Daemon;

Finding runs(const Daemon& daemon) {
  Finding finding{"multipathd",
                  daemon.running ? "runs" : "does not run",
                  daemon.running ? Verdict::ok : Verdict::change,
                  "",
                  "without it a path that has failed is never used again",
                  ""};
  if (!daemon.running) {
    finding.wanted = "runs";
    finding.how = "systemctl enable --now multipathd";
  }
  return finding;
}

// Judges a setting of multipathd. `why`: one sentence.
Finding setting_of(const Disk& disk, const Daemon& daemon, const char* setting,
                   const std::string& why, const Goal& goal) {
  Finding finding{setting, "", Verdict::unknown, "", why, ""};
  const multipath::Identity identity = identity_of(disk);
  const std::optional<std::string> found = multipath::in_use(daemon, identity, setting);
  if (!found) {
    return finding;
  }
  finding.value = *found;
  const Nanoseconds interval = multipath::polling_interval(daemon);
  finding.verdict =
      multipath::is_good(setting, *found, interval, goal) ? Verdict::ok : Verdict::change;
  if (finding.verdict == Verdict::change) {
    finding.wanted = multipath::good_value(setting);
    const std::optional<multipath::Said> said = multipath::operator_says(daemon, identity, setting);
    finding.how =
        said ? fmt::format("{} says {} for this disk: change it there, then multipathd reconfigure",
                           said->path, said->value)
             : "sudo ballastctl tune";
  }
  return finding;
}

std::string why_no_path_retry(const Disk& disk, const Daemon& daemon) {
  const std::string value =
      multipath::in_use(daemon, identity_of(disk), multipath::no_path_retry).value_or("");
  const Nanoseconds waits = multipath::waits(value, multipath::polling_interval(daemon));
  return fmt::format("all paths end at one target: if it restarts, none is left, and I/O {}",
                     value.empty()            ? "waits or fails as this says"
                     : waits == Nanoseconds{} ? "fails at once"
                     : waits == timeline::for_ever
                         ? "waits for it"
                         : "fails after " + config::format_duration(waits));
}

}  // namespace

std::vector<Finding> judge(const Disk& disk, const Daemon& daemon, const Goal& goal) {
  return {
      runs(daemon),
      setting_of(disk, daemon, multipath::fast_io_fail_tmo,
                 "multipathd gives it to each path's session as replacement_timeout: so long "
                 "I/O waits for a lost path before it goes by another one",
                 goal),
      setting_of(disk, daemon, multipath::no_path_retry, why_no_path_retry(disk, daemon), goal)};
}

}  // namespace ballast::ctl::doctor
