// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>

#include "lib/base/values.h"
#include "targetcli-config/ballastctl/tune/node.h"
#include "targetcli-config/ballastctl/tune/tune.h"

namespace ballast::ctl::tune {
namespace {

using timeline::Settings;

std::string seconds_text(Nanoseconds time) {
  return fmt::format("{}", whole_seconds(time));
}

// Makes a plan. Each change starts from the value before the first tune, so that the same goal
// gives the same plan.
class Planner {
 public:
  Planner(const Files& files, std::vector<Disk> disks, const Record& old, const Request& request)
      : files_{files}, disks_{std::move(disks)}, old_{old}, request_{request} {
    plan_.record = old;
    plan_.record.goal = request.goal;
  }

  Result<Plan> plan() {
    add_rule();
    add_multipath();
    if (Result<void> done = add_configuration(); !done) {
      return done.error();
    }
    std::set<std::tuple<std::string, std::string, std::string>> seen;
    for (const Disk& disk : disks_) {
      if (seen.emplace(disk.target, disk.portal, disk.interface).second) {
        if (Result<void> done = add_node(disk); !done) {
          return done.error();
        }
        add_session(disk);
      }
    }
    for (const Disk& disk : disks_) {
      add_disk(disk);
    }
    return std::move(plan_);
  }

 private:
  static Change change_at(Kind kind, std::string name) {
    Change change;
    change.kind = kind;
    change.name = std::move(name);
    return change;
  }
  static Change change_at(Kind kind, std::string name, const Disk& disk) {
    Change change = change_at(kind, std::move(name));
    change.target = disk.target;
    change.portal = disk.portal;
    change.interface = disk.interface;
    change.lun = kind == Kind::disk ? disk.lun : 0;
    return change;
  }

  // Returns the value before the first tune. `now`: the value now.
  std::optional<std::string> first(const Change& place,
                                   const std::optional<std::string>& now) const {
    const Change* const known = old_.find(place);
    return known == nullptr ? now : known->before;
  }

  void add(Change change, const std::optional<std::string>& now,
           const std::optional<std::string>& good) {
    change.before = first(change, now);
    change.after = good;
    if (now != good) {
      plan_.record.add(change);
      plan_.changes.push_back(std::move(change));
    } else if (old_.find(change) != nullptr) {
      plan_.record.add(change);  // multipathd may have put there what is good now
    }
  }

  void add_value(const Change& place, const Value& value, const std::string& good) {
    if (value.text) {
      add(place, value.text, good);
    }
  }

  void add_rule() {
    const Settings good = wanted(Settings{}, request_.goal);
    const std::string timeout = seconds_text(good.timeout);
    const std::string retries = fmt::format("{}", good.max_retries);
    plan_.record.rule_timeout = timeout;
    plan_.record.rule_max_retries = retries;
    const Change place = change_at(Kind::file, rule_path);
    const std::string rule = fmt::format(
        "# Written by ballastctl tune, so that Ballast's disks outlive a freeze of {}.\n"
        "# `ballastctl tune --undo` puts back what was here before.\n"
        "ACTION==\"remove\", GOTO=\"ballast_end\"\n"
        "DEVPATH!=\"*/session[0-9]*/*\", GOTO=\"ballast_end\"\n"
        "SUBSYSTEM==\"scsi\", ENV{{DEVTYPE}}==\"scsi_device\", ATTR{{vendor}}==\"BALLAST\", "
        "ATTR{{timeout}}=\"{}\"\n"
        "SUBSYSTEM==\"scsi_disk\", ATTRS{{vendor}}==\"BALLAST\", ATTR{{max_retries}}=\"{}\"\n"
        "LABEL=\"ballast_end\"\n",
        config::format_duration(request_.goal.survive), timeout, retries);
    add(place, files_.read(rule_path), rule);
  }

  // A setting of which an operator's file says otherwise is left to that file.
  void add_multipath() {
    const multipath::Daemon daemon = multipath::daemon(files_);
    if (!daemon.installed) {
      return;
    }
    std::vector<multipath::Identity> all{{"BALLAST", "DISK", ""}};  // those that come later
    std::ranges::transform(disks_, std::back_inserter(all), identity_of);
    std::string settings;
    for (const char* const setting : {multipath::fast_io_fail_tmo, multipath::no_path_retry}) {
      std::optional<multipath::Said> said;
      for (const multipath::Identity& disk : all) {
        said = said ? said : multipath::operator_says(daemon, disk, setting);
      }
      if (!said) {
        settings += fmt::format("    {} {}\n", setting, multipath::good_value(setting));
      } else if (!multipath::is_good(setting, said->value, multipath::polling_interval(daemon),
                                     request_.goal)) {
        plan_.notes.push_back(fmt::format(
            "{} says {} {} for disks of Ballast, and is left as it is; to outlive {}, change it "
            "there to {}, then multipathd reconfigure",
            said->path, setting, said->value, config::format_duration(request_.goal.survive),
            multipath::good_value(setting)));
      }
    }
    const std::string file = fmt::format(
        "# Written by ballastctl tune, for Ballast's disks that are paths of dm-multipath.\n"
        "# `ballastctl tune --undo` puts back what was here before.\n"
        "#\n"
        "# fast_io_fail_tmo: so many seconds after a session is lost, I/O goes by another path.\n"
        "# It has nothing to do with a frozen store, which is behind every path.\n"
        "# no_path_retry queue: when no path is left, as while the target restarts, I/O waits.\n"
        "# If the target is gone for good: multipathd disablequeueing map NAME\n"
        "devices {{\n"
        "  device {{\n"
        "    vendor \"BALLAST\"\n"
        "    product \".*\"\n"
        "{}"
        "  }}\n"
        "}}\n",
        settings);
    const Change place = change_at(Kind::file, multipath::file_path);
    const std::optional<std::string> now = files_.read(multipath::file_path);
    add(place, now, settings.empty() ? first(place, now) : file);
  }

  // Discovery makes new node records from iscsid.conf, and updates old ones from it. That is every
  // target, so tune does it only if it is told to, and keeps up what it was told to do once.
  Result<void> add_configuration() {
    const std::optional<std::string> content = files_.read(configuration_path);
    if (!content && !request_.all_targets) {
      return {};
    }
    if (!content) {
      plan_.notes.push_back(
          fmt::format("{} cannot be read (is open-iscsi installed?): targets that are discovered "
                      "later get the default settings of iscsid",
                      configuration_path));
      return {};
    }
    const Result<std::optional<std::string>> now = find_block(*content);
    if (!now) {
      return Error{now.error().errno_value,
                   std::string{configuration_path} + ": " + now.error().message};
    }
    if (!now.value() && !request_.all_targets) {
      return {};
    }
    const Change place = change_at(Kind::block, configuration_path);
    const Result<std::string> without = with_block(*content, std::nullopt, std::nullopt);
    const NodeSettings found = parse_configuration(without.value());
    const Settings before = timeline_settings(found);
    std::string lines;
    const NodeSettings unchanged = node_settings(before);
    for (const auto& [name, value] : node_settings(wanted(before, request_.goal))) {
      if (unchanged.at(name) != value) {
        lines += fmt::format("{} = {}\n", name, value);
      }
    }
    std::optional<std::string> good;
    if (!lines.empty()) {
      good = make_block(
          "# For every target that is discovered from now on, of Ballast or not.\n# `ballastctl "
          "tune --undo` removes this block.\n" +
          lines);
    }
    if (now.value() != good) {
      // A newline that tune put before the block is removed with it, however often the block has
      // changed since.
      const Change* const known = old_.find(place);
      const bool ours = known != nullptr && known->after && known->after->starts_with('\n');
      const bool bare_end = !now.value() && !content->empty() && content->back() != '\n';
      add(place, now.value(), good && (bare_end || (now.value() && ours)) ? "\n" + *good : good);
    }
    return {};
  }

  Result<void> add_node(const Disk& disk) {
    const Result<std::optional<NodeSettings>> found =
        node_record(files_, {disk.target, disk.portal, disk.interface});
    if (!found) {
      return found.error();
    }
    if (!found.value()) {
      plan_.notes.push_back(fmt::format(
          "{} at {} has no node record, so the settings of its session last only until logout",
          disk.target, disk.portal));
      return {};
    }
    const NodeSettings& now = *found.value();
    NodeSettings before = now;
    for (auto& [name, value] : before) {
      value = first(change_at(Kind::node, name, disk), value).value_or(value);
    }
    for (const auto& [name, value] :
         node_settings(wanted(timeline_settings(before), request_.goal, disk.paths))) {
      if (const auto place = now.find(name); place != now.end()) {
        add(change_at(Kind::node, name, disk), place->second, value);
      }
    }
    return {};
  }

  // Returns `disk` with the values before the first tune.
  Disk original(const Disk& disk) const {
    Disk before = disk;
    before.timeout.text = first(change_at(Kind::disk, "timeout", disk), disk.timeout.text);
    before.max_retries.text =
        first(change_at(Kind::disk, "max_retries", disk), disk.max_retries.text);
    before.eh_deadline.text =
        first(change_at(Kind::disk, "eh_deadline", disk), disk.eh_deadline.text);
    before.replacement_timeout.text =
        first(change_at(Kind::session, "recovery_tmo", disk), disk.replacement_timeout.text);
    return before;
  }

  void add_session(const Disk& disk) {
    const Settings good = wanted(ctl::timeline_settings(original(disk)), request_.goal, disk.paths);
    add_value(change_at(Kind::session, "recovery_tmo", disk), disk.replacement_timeout,
              good.replacement_timeout ? seconds_text(*good.replacement_timeout) : "off");
  }

  void add_disk(const Disk& disk) {
    const Settings good = wanted(ctl::timeline_settings(original(disk)), request_.goal, disk.paths);
    add_value(change_at(Kind::disk, "timeout", disk), disk.timeout, seconds_text(good.timeout));
    add_value(change_at(Kind::disk, "max_retries", disk), disk.max_retries,
              fmt::format("{}", good.max_retries));
    add_value(change_at(Kind::disk, "eh_deadline", disk), disk.eh_deadline, "off");
  }

  const Files& files_;
  const std::vector<Disk> disks_;
  const Record& old_;
  const Request& request_;
  Plan plan_;
};

}  // namespace

Result<Plan> make_plan(const Files& files, const std::vector<Disk>& disks, const Record& old,
                       const Request& request) {
  return Planner{files, disks, old, request}.plan();
}

std::vector<std::string> waiting_for_login(const std::vector<Disk>& disks, const Goal& goal) {
  std::vector<std::string> sentences;
  std::set<std::string> seen;
  for (const Disk& disk : disks) {
    const Settings now = ctl::timeline_settings(disk);
    const Settings good = wanted(now, goal);
    const bool waits = now.abort_timeout != good.abort_timeout ||
                       now.lu_reset_timeout != good.lu_reset_timeout ||
                       now.tgt_reset_timeout != good.tgt_reset_timeout ||
                       now.noop_out_interval != good.noop_out_interval ||
                       now.noop_out_timeout != good.noop_out_timeout;
    if (waits && seen.insert(disk.session).second) {
      sentences.push_back(
          fmt::format("{} keeps its old abort, reset and NOP-out times until it ends; for the new "
                      "ones: iscsiadm -m node -T {} -p {} --logout, then --login",
                      disk.session, disk.target, disk.portal));
    }
  }
  return sentences;
}

}  // namespace ballast::ctl::tune
