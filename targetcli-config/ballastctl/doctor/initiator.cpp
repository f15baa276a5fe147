// SPDX-License-Identifier: Apache-2.0
// The initiator's part of doctor.h.
#include <fmt/format.h>

#include <utility>

#include "lib/base/values.h"
#include "targetcli-config/ballastctl/doctor/doctor.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl::doctor {
namespace {

using timeline::Settings;
constexpr const char* tune = "sudo ballastctl tune";
constexpr const char* tune_and_login =
    "sudo ballastctl tune, then log out and in: the new value counts from the next login";

std::string with_unit(const Value& value, std::string_view unit) {
  if (!value.text) {
    return {};
  }
  return value.number() ? fmt::format("{}{}", *value.text, unit) : *value.text;
}

std::string in_seconds(Nanoseconds time) {
  return fmt::format("{} s", whole_seconds(time));
}

// Judges a setting in seconds. It is right if `found`, its value, is `good`.
Finding time_setting(std::string name, const Value& value, Nanoseconds found, Nanoseconds good,
                     std::string why, const char* how) {
  Finding finding{
      std::move(name), with_unit(value, " s"), Verdict::unknown, "", std::move(why), ""};
  if (value.number()) {
    finding.verdict = found == good ? Verdict::ok : Verdict::change;
  }
  if (finding.verdict == Verdict::change) {
    finding.wanted = in_seconds(good);
    finding.how = how;
  }
  return finding;
}

Finding eh_deadline(const Disk& disk) {
  Finding finding{"eh_deadline",
                  with_unit(disk.eh_deadline, " s"),
                  Verdict::unknown,
                  "",
                  "if set, the kernel cuts the error handler short and sets the disk offline",
                  ""};
  if (disk.eh_deadline.text) {
    const bool off = disk.eh_deadline.number().value_or(-1) < 0;
    finding.verdict = off ? Verdict::ok : Verdict::change;
    finding.wanted = off ? "" : "off";
    finding.how = off ? ""
                      : "sudo ballastctl tune; after a reboot scsi_mod.eh_deadline= on the "
                        "kernel's command line decides again";
  }
  return finding;
}

Finding max_retries(const Disk& disk, const Settings& found, const Settings& good) {
  Finding finding{"max_retries", with_unit(disk.max_retries, ""), Verdict::unknown, "", "", ""};
  if (disk.max_retries.number() == -1) {
    finding.verdict = Verdict::ok;
    finding.why =
        "-1 repeats for ever: any freeze is outlived, but a write that fails for good is repeated "
        "for ever, too";
    return finding;
  }
  finding.why =
      "a command answered BUSY is repeated until (max_retries + 1) x timeout have passed; the "
      "kernel takes 5 at most, or -1";
  if (disk.max_retries.number()) {
    const bool fine = found.max_retries == good.max_retries;
    finding.verdict = fine ? Verdict::ok : Verdict::change;
    finding.wanted = fine ? "" : fmt::format("{}", good.max_retries);
    finding.how = fine ? "" : tune;
  }
  return finding;
}

Finding replacement_timeout(const Disk& disk, const Settings& found, const Settings& good,
                            const Goal& goal) {
  const Nanoseconds nothing{};
  const bool several = disk.paths == Paths::several;
  Finding finding = time_setting(
      "replacement_timeout", disk.replacement_timeout, found.replacement_timeout.value_or(nothing),
      good.replacement_timeout.value_or(nothing),
      several ? "this long after the session is lost, I/O goes by another path; fast_io_fail_tmo "
                "of multipathd sets it"
              : fmt::format("if the target itself does not answer for {}, the session is lost, and "
                            "I/O fails this long afterwards",
                            config::format_duration(goal.survive)),
      tune);
  if (several && !disk.map) {
    // Whatever is set here, multipathd sets it again for the other disk.
    finding.verdict = Verdict::change;
    finding.why =
        "another disk of this session is a path of dm-multipath, so multipathd makes this time "
        "short; but this disk has no other path, and fails";
    finding.wanted = "a path of dm-multipath, too";
    finding.how = fmt::format("multipath -a /dev/{} && multipath -r", disk.name);
  } else if (disk.replacement_timeout.text == "off") {
    finding.verdict = several ? Verdict::change : Verdict::ok;
    finding.wanted = several ? in_seconds(good_failover) : "";
    finding.how = several ? tune : "";
  }
  return finding;
}

Finding queue_depth(const Disk& disk) {
  constexpr std::int64_t least = 8;
  Finding finding{"queue_depth",
                  with_unit(disk.queue_depth, ""),
                  Verdict::unknown,
                  "",
                  "commands of one LUN at once; TASK SET FULL makes the kernel lower it",
                  ""};
  if (const auto depth = disk.queue_depth.number()) {
    finding.verdict = *depth < least ? Verdict::change : Verdict::ok;
  }
  if (finding.verdict == Verdict::change) {
    finding.wanted = "32";
    finding.how = fmt::format("echo 32 > {}", disk.queue_depth.path);
  }
  return finding;
}

Finding write_zeroes(const Disk& disk) {
  Finding finding{"write_zeroes_max_bytes",
                  "",
                  Verdict::unknown,
                  "",
                  "0 means that zeros travel over the network one by one",
                  ""};
  if (const auto bytes = disk.write_zeroes_max_bytes.number(); bytes && *bytes >= 0) {
    finding.value = bytes_text(static_cast<std::uint64_t>(*bytes));
    finding.verdict = *bytes == 0 ? Verdict::change : Verdict::ok;
  }
  if (finding.verdict == Verdict::change) {
    finding.wanted = "1.25 MiB, or what write_same_max of the LUN says";
    finding.how = fmt::format(
        "echo 1 > /sys/block/{}/device/rescan; if that does not help, see the "
        "kernel log for a failed WRITE SAME",
        disk.name);
  }
  return finding;
}

// Judges how much data may wait in memory for a frozen disk, by the time that writing it takes
// afterwards. The speed is 100 MiB/s, about what a network of 1 Gbit/s carries.
Finding dirty_limits(const Machine& machine) {
  constexpr std::uint64_t each_second = std::uint64_t{100} << 20;
  constexpr std::uint64_t most_seconds = 30;
  Finding finding{"vm.dirty_bytes, vm.dirty_ratio", "", Verdict::unknown, "", "", ""};
  const std::int64_t bytes = machine.dirty_bytes.number().value_or(0);
  const std::int64_t ratio = machine.dirty_ratio.number().value_or(-1);
  if (bytes <= 0 && (ratio < 0 || !machine.available_bytes)) {
    return finding;
  }
  const std::uint64_t limit =
      bytes > 0 ? static_cast<std::uint64_t>(bytes)
                : *machine.available_bytes / 100 * static_cast<std::uint64_t>(ratio);
  const std::uint64_t seconds = limit / each_second;
  finding.value = bytes > 0 ? bytes_text(limit) : fmt::format("{} %: {}", ratio, bytes_text(limit));
  finding.why = fmt::format(
      "this much data may wait in memory, {} s of writing at 100 MiB/s; beyond it every process "
      "that writes, to any disk, waits for the frozen one",
      seconds);
  finding.verdict = seconds > most_seconds ? Verdict::change : Verdict::ok;
  if (finding.verdict == Verdict::change) {
    finding.wanted = "1 GiB";
    finding.how =
        "echo 'vm.dirty_bytes = 1073741824' > /etc/sysctl.d/60-ballast.conf; "
        "echo 'vm.dirty_background_bytes = 268435456' >> /etc/sysctl.d/60-ballast.conf; "
        "sysctl --system";
  }
  return finding;
}

Finding hung_task(const Machine& machine, const Goal& goal) {
  Finding finding{"kernel.hung_task_timeout_secs",
                  with_unit(machine.hung_task_timeout, " s"),
                  Verdict::unknown,
                  "",
                  "",
                  ""};
  const auto timeout = machine.hung_task_timeout.number();
  if (!timeout) {
    finding.why = "this kernel does not look for hung tasks";
    finding.verdict = Verdict::ok;
    return finding;
  }
  const bool reached = *timeout > 0 && std::chrono::seconds{*timeout} < goal.survive;
  const bool panic = machine.hung_task_panic.number().value_or(0) != 0;
  finding.verdict = reached && panic ? Verdict::change : Verdict::ok;
  finding.why =
      reached ? "the kernel log names a process that waits longer for a disk; this does no harm"
              : "no process will be reported as hung";
  if (finding.verdict == Verdict::change) {
    finding.why =
        "kernel.hung_task_panic is 1: if a process waits longer for a disk, the kernel panics";
    finding.wanted = in_seconds(goal.survive + goal.deadline);
    finding.how = fmt::format(
        "echo 'kernel.hung_task_timeout_secs = {}' > "
        "/etc/sysctl.d/61-ballast.conf; sysctl --system",
        whole_seconds(goal.survive + goal.deadline));
  }
  return finding;
}

}  // namespace

std::vector<Finding> judge(const Disk& disk, const Goal& goal) {
  const Settings found = timeline_settings(disk);
  const Settings good = wanted(found, goal, disk.paths);
  const std::string tmf =
      "time to wait for LIO, which answers only when Ballast has answered the command, at its "
      "deadline at the latest";
  return {
      time_setting("timeout", disk.timeout, found.timeout, good.timeout,
                   "a command answered BUSY is repeated until (max_retries + 1) x timeout have "
                   "passed; the error handler begins at twice the timeout",
                   tune),
      max_retries(disk, found, good),
      time_setting("eh_timeout", disk.eh_timeout, found.eh_timeout, found.eh_timeout,
                   "for the TEST UNIT READY after a reset; does not matter in a freeze", ""),
      eh_deadline(disk),
      queue_depth(disk),
      replacement_timeout(disk, found, good, goal),
      time_setting("abort_timeout", disk.abort_timeout, found.abort_timeout, good.abort_timeout,
                   tmf, tune_and_login),
      time_setting("lu_reset_timeout", disk.lu_reset_timeout, found.lu_reset_timeout,
                   good.lu_reset_timeout, tmf, tune_and_login),
      time_setting("tgt_reset_timeout", disk.tgt_reset_timeout, found.tgt_reset_timeout,
                   good.tgt_reset_timeout, tmf, tune_and_login),
      time_setting("noop_out_interval", disk.noop_out_interval, found.noop_out_interval,
                   good.noop_out_interval,
                   "without NOP-outs the error handler begins at half the time", tune_and_login),
      time_setting("noop_out_timeout", disk.noop_out_timeout, found.noop_out_timeout,
                   good.noop_out_timeout,
                   "must be longer than Ballast's deadline, or the initiator drops a session that "
                   "only waits",
                   tune_and_login),
      write_zeroes(disk)};
}

std::vector<Finding> judge(const Machine& machine, const Goal& goal) {
  return {hung_task(machine, goal), dirty_limits(machine)};
}

}  // namespace ballast::ctl::doctor
