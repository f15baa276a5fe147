// SPDX-License-Identifier: Apache-2.0
// The target's part of doctor.h.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "lib/base/values.h"
#include "targetcli-config/ballastctl/doctor/doctor.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl::doctor {
namespace {

constexpr std::int64_t megabyte = std::int64_t{1} << 20;
using std::chrono::seconds;

// The settings that an initiator has unless somebody changed them. The target cannot ask for them.
constexpr seconds default_timeout{30};
constexpr std::int64_t initiator_queue_depth = 32;  // node.session.queue_depth, iscsid.conf
constexpr std::int64_t good_window = 128;     // node.session.cmds_max: an initiator sends no more
constexpr std::int64_t deepest_window = 512;  // TA_DEFAULT_CMDSN_DEPTH_MAX, iscsi_target_core.h

std::string backstore(const TargetLun& lun) {
  return "/backstores/user:ballast/" + lun.name;
}

Finding deadline(const TargetLun& lun) {
  Finding finding{
      "deadline",
      config::format_duration(lun.limits.deadline),
      Verdict::ok,
      "",
      fmt::format("must be below the timeout of the initiators, {} s unless changed there",
                  default_timeout.count()),
      ""};
  if (lun.limits.deadline >= default_timeout) {
    finding.verdict = Verdict::change;
    finding.wanted = "20s";
    finding.how =
        "set deadline=20s in the configuration string, or raise the timeout of every initiator "
        "(ballastctl tune there)";
  }
  return finding;
}

Finding backend(const TargetLun& lun) {
  Finding finding{"time-out of the backend",
                  "none",
                  Verdict::ok,
                  "",
                  "the storage has no time-out that Ballast knows of",
                  ""};
  if (const auto timeout = lun.backend_timeout.number()) {
    const bool fine = seconds{*timeout} < lun.limits.deadline;
    finding.value = fmt::format("{} s", *timeout);
    finding.verdict = fine ? Verdict::ok : Verdict::change;
    finding.why =
        "if below the deadline, a command ends with the disk's own error; if above, Ballast "
        "answers BUSY first and the command becomes an orphan";
    if (!fine) {
      const std::int64_t good =
          std::max<std::int64_t>(1, whole_seconds(lun.limits.deadline) * 3 / 4);
      finding.wanted = fmt::format("{} s", good);
      finding.how = fmt::format("echo {} > {}", good, lun.backend_timeout.path);
    }
  }
  return finding;
}

Finding cmd_time_out(const TargetLun& lun) {
  Finding finding{"cmd_time_out",
                  "",
                  Verdict::unknown,
                  "",
                  "after this time the kernel fails a command by itself; 0: never",
                  ""};
  if (const auto timeout = lun.cmd_time_out.number()) {
    finding.value = *timeout == 0 ? "0" : fmt::format("{} s", *timeout);
    finding.verdict = *timeout <= 0 ? Verdict::ok : Verdict::change;
    if (finding.verdict == Verdict::change) {
      finding.wanted = "0";
      finding.why += "; in a long freeze Ballast must hold commands for longer";
      finding.how = fmt::format(
          "remove its LUN from all targets, then: targetcli {} set attribute cmd_time_out=0",
          backstore(lun));
    }
  }
  return finding;
}

// Returns the longest transfer that the LUN offers, in bytes. Like the plugin
// (handler/device_open.cpp), it treats the kernel's default as a value that nobody asked for.
std::optional<std::int64_t> longest_transfer(const TargetLun& lun) {
  constexpr std::int64_t kernel_default = 128;
  const auto sectors = lun.hw_max_sectors.number();
  if (!sectors || *sectors < 0) {
    return std::nullopt;
  }
  const bool nobody_asked = *sectors == 0 || *sectors == kernel_default;
  const std::int64_t asked =
      *sectors * std::max<std::int64_t>(lun.hw_block_size.number().value_or(512), 0);
  return nobody_asked ? megabyte : std::min(asked, 8 * megabyte);
}

Finding hw_max_sectors(const TargetLun& lun) {
  constexpr std::int64_t too_small = megabyte / 16;
  Finding finding{"hw_max_sectors",
                  "",
                  Verdict::unknown,
                  "",
                  "the largest transfer; the initiator cuts a bigger one into several commands",
                  ""};
  if (const auto longest = longest_transfer(lun)) {
    finding.value = fmt::format("{}: {}", *lun.hw_max_sectors.number(),
                                bytes_text(static_cast<std::uint64_t>(*longest)));
    finding.verdict = *longest <= too_small ? Verdict::change : Verdict::ok;
    if (finding.verdict == Verdict::change) {
      finding.wanted = "128";
      finding.how =
          "make the backstore again without hw_max_sectors: 128, the default, offers 1 MiB; it "
          "cannot be changed later";
    }
  }
  return finding;
}

// The data area must hold a full queue of the longest transfers. Otherwise commands wait in the
// kernel for room, where Ballast cannot answer them.
Finding data_area(const TargetLun& lun) {
  Finding finding{"max_data_area_mb", "", Verdict::unknown, "", "", ""};
  const auto megabytes = lun.max_data_area_mb.number();
  if (!megabytes) {
    return finding;
  }
  const std::int64_t transfer = longest_transfer(lun).value_or(megabyte);
  const std::int64_t needed = (transfer * initiator_queue_depth >> 20) + 1;
  finding.value = fmt::format("{} MiB", *megabytes);
  finding.verdict = *megabytes < needed ? Verdict::change : Verdict::ok;
  finding.why = fmt::format(
      "memory for data in flight; {} commands of the largest transfer take {} "
      "MiB",
      initiator_queue_depth, needed);
  if (finding.verdict == Verdict::change) {
    finding.wanted = fmt::format("{} MiB", needed);
    finding.how = fmt::format("make the backstore again with control=max_data_area_mb={}", needed);
  }
  return finding;
}

}  // namespace

std::vector<Finding> judge(const TargetLun& lun) {
  return {deadline(lun), backend(lun), cmd_time_out(lun), hw_max_sectors(lun), data_area(lun)};
}

// The commands of one session share one window. A stalled LUN keeps stall_window slots of it; the
// LUNs with stall_window=auto share some slots. A LUN may keep up to its queue depth in two cases:
// before it counts as stalled, and in a freeze that lasts longer than initiators accept BUSY.
Finding judge(const CommandWindow& window) {
  const std::string who = window.initiator.empty() ? "any initiator" : window.initiator;
  Finding finding{fmt::format("{}, {}", window.target, who),
                  window.depth.text.value_or(""),
                  Verdict::unknown,
                  "",
                  "",
                  ""};
  const auto depth = window.depth.number();
  if (!depth) {
    return finding;
  }
  const auto luns = static_cast<std::int64_t>(window.luns);
  const auto stalled = static_cast<std::int64_t>(window.stalled_share);
  const std::int64_t all = luns * initiator_queue_depth;
  const std::int64_t needed = std::min(all, std::max(stalled + 1, good_window));
  finding.verdict = *depth < needed ? Verdict::change : Verdict::ok;
  finding.why = fmt::format(
      "commands of one session at once; LUNs: {}, which together keep up to {} of them while "
      "stalled, and up to {} before",
      luns, stalled, all);
  if (finding.verdict == Verdict::change) {
    const std::int64_t good = std::min(std::max(needed, good_window), deepest_window);
    finding.wanted = fmt::format("{}", good);
    finding.how =
        fmt::format("echo {} > {}; sessions log in again by themselves", good, window.depth.path);
    if (good <= stalled) {
      finding.how += "; LIO takes no more, so spread the LUNs over more targets as well";
    }
  }
  return finding;
}

}  // namespace ballast::ctl::doctor
