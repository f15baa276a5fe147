// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/check/check.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "lib/base/version.h"
#include "tests/ballastctl/tree.h"
#include "tests/cmocka.h"
#include "tests/json_manual.h"

using namespace ballast;
using namespace ballast::ctl;
using ballast::test::Tree;
using check::Finding;
using check::Findings;
using check::Found;
using check::Severity;
using nlohmann::json;

namespace {

const std::string saved_path = "/etc/rtslib-fb-target/saveconfig.json";
const std::string initiator = "iqn.2026-01.org.a";
const std::string group = std::string{"/sys/kernel/config/target/iscsi/"} + Tree::iqn + "/tpgt_1";

// As `targetcli saveconfig` writes it of vol0, vol1, …, each a LUN that one ACL maps. Beside them a
// backstore of LIO's own, which is none of our business.
json saved_with(unsigned count) {
  json stores = {{{"plugin", "fileio"}, {"name", "other"}, {"dev", "/srv/other"}}};
  json luns = {{{"index", 9}, {"storage_object", "/backstores/fileio/other"}}};
  json mapped = {{{"index", 9}, {"tpg_lun", 9}}};
  for (unsigned i = 0; i < count; ++i) {
    const std::string name = fmt::format("vol{}", i);
    stores.push_back({{"plugin", "user"},
                      {"name", name},
                      {"config", fmt::format("ballast/file=/srv/{}.raw", name)}});
    luns.push_back({{"index", i}, {"storage_object", "/backstores/user/" + name}});
    mapped.push_back({{"index", i}, {"tpg_lun", i}, {"write_protect", false}});
  }
  const json tpg{{"tag", 1},
                 {"enable", true},
                 {"portals",
                  {{{"ip_address", "0.0.0.0"}, {"iser", false}, {"port", 3260}},
                   {{"ip_address", "::1"}, {"iser", false}, {"port", 3261}}}},
                 {"luns", luns},
                 {"node_acls", {{{"node_wwn", initiator}, {"mapped_luns", mapped}}}}};
  return {{"storage_objects", stores},
          {"targets", {{{"fabric", "iscsi"}, {"wwn", Tree::iqn}, {"tpgs", {tpg}}}}}};
}

void add_target(const Tree& tree, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    tree.add_backstore(fmt::format("vol{}", i), i, fmt::format("file=/srv/vol{}.raw", i));
  }
  tree.export_backstores(count, "64");
  tree.write(group + "/enable", "1\n");
  tree.write(group + "/np/0.0.0.0:3260/iser", "0\n");
  tree.write(group + "/np/[::1]:3261/iser", "0\n");
}

// What a machine without daemon and systemd shows, with a plugin that answers.
Found found_on(const Tree& tree) {
  Found found;
  found.saved = inventory_saved(tree.files());
  found.now = inventory_now(tree.files());
  found.plugin = std::string{version};
  for (const auto& backstore : found.now->backstores) {
    found.list.luns.push_back({{"name", backstore.first},
                               {"state", "ok"},
                               {"stalled_for_ns", nullptr},
                               {"connection", nullptr},
                               {"backend", backstore.second},
                               {"configuration", backstore.second},
                               {"unanswered", 1},
                               {"orphans", 0}});
  }
  return found;
}

Found good(const Tree& tree) {
  add_target(tree, 2);
  tree.write(saved_path, saved_with(2).dump());
  return found_on(tree);
}

void is_only(const Findings& findings, Severity severity, const std::string& subject,
             const char* text) {
  assert_int_equal(findings.size(), 1);
  assert_int_equal(findings[0].severity, severity);
  assert_string_equal(findings[0].subject.c_str(), subject.c_str());
  if (findings[0].text.find(text) == std::string::npos) {
    print_error("\"%s\" is not in: %s\n", text, findings[0].text.c_str());
    assert_true(false);
  }
  assert_false(findings[0].how.empty());
}

Findings found_in(const Found& found) {
  return check::judge(found).findings;
}

void a_target_as_it_was_saved_is_ok(void**) {
  const Tree tree;
  const check::Report report = check::judge(good(tree));
  assert_int_equal(report.severity(), Severity::ok);
  assert_string_equal(check::as_text(report).c_str(),
                      "BALLAST OK - 2 LUNs, and all that /etc/rtslib-fb-target/saveconfig.json has "
                      "| luns=2;;;0 saved=2;;;0 missing=0;;;0 unsaved=0;;;0 stalled=0;;;0 "
                      "silent=0;;;0 unanswered=2;;;0 orphans=0;;;0\n");
}

void a_backstore_that_was_not_restored_is_critical(void**) {
  const Tree tree;
  add_target(tree, 1);
  tree.write(saved_path, saved_with(2).dump());
  const Findings findings = found_in(found_on(tree));
  // Its LUN and mapped LUN went with it.
  is_only(findings, Severity::critical, "vol1",
          "is saved in /etc/rtslib-fb-target/saveconfig.json and is not there");
  assert_non_null(strstr(findings[0].how.c_str(), "do not run saveconfig"));
  assert_non_null(strstr(findings[0].how.c_str(), "storage_object=vol1"));
  assert_non_null(strstr(findings[0].how.c_str(), Tree::iqn));
}

void a_lun_that_was_not_restored_is_critical(void**) {
  const Tree tree;
  good(tree);
  tree.remove(std::string{Tree::acl} + "lun_1");
  tree.remove(group + "/lun/lun_1");
  is_only(found_in(found_on(tree)), Severity::critical, "vol1",
          "as LUN 1 of iqn.2026-01.org.ballast:test, portal group 1, and is not there");
}

void a_mapped_lun_that_was_not_restored_is_critical(void**) {
  const Tree tree;
  good(tree);
  tree.remove(std::string{Tree::acl} + "lun_0");
  is_only(found_in(found_on(tree)), Severity::critical, "vol0",
          "portal group 1, for iqn.2026-01.org.a, and is not there");
}

void what_is_not_saved_is_a_warning(void**) {
  const Tree tree;
  add_target(tree, 2);
  tree.write(saved_path, saved_with(1).dump());
  const Findings findings = found_in(found_on(tree));
  is_only(findings, Severity::warning, "vol1", "the next boot does not bring it back");
  assert_string_equal(findings[0].how.c_str(), "targetcli saveconfig");
}

void nobody_is_told_to_save_while_something_is_missing(void**) {
  const Tree tree;
  tree.add_backstore("vol5", 5, "file=/srv/vol5.raw");
  tree.write(saved_path, saved_with(1).dump());
  for (const Finding& finding : found_in(found_on(tree))) {
    if (finding.subject == "vol5") {
      assert_string_equal(finding.how.c_str(),
                          "targetcli saveconfig, but only once what is missing is there again");
      return;
    }
  }
  assert_true(false);
}

void a_target_that_was_never_saved_is_a_warning(void**) {
  const Tree tree;
  tree.add_backstore("vol0", 0, "file=/srv/vol0.raw");
  is_only(found_in(found_on(tree)), Severity::warning, "vol0", "which does not exist");
}

void a_user_who_may_not_look_is_told_so(void**) {
  const Tree tree;
  add_target(tree, 1);
  tree.write(saved_path, saved_with(1).dump());
  constexpr uid_t nobody = 65534;
  const std::string folder = tree.root() + "/etc/rtslib-fb-target";
  assert_int_equal(::chmod(tree.root().c_str(), 0755), 0);
  assert_int_equal(::chmod(folder.c_str(), 0), 0);
  const bool root = ::geteuid() == 0;
  assert_int_equal(root ? ::seteuid(nobody) : 0, 0);
  const auto saved = inventory_saved(tree.files());
  assert_int_equal(root ? ::seteuid(0) : 0, 0);
  assert_int_equal(::chmod(folder.c_str(), 0755), 0);
  assert_false(saved.ok());
  assert_string_equal(saved.error().message.c_str(),
                      (saved_path + " cannot be read: run it as root").c_str());
}

void a_configuration_that_is_saved_otherwise_is_a_warning(void**) {
  const Tree tree;
  good(tree);
  tree.add_backstore("vol0", 0, "file=/srv/vol0.raw;deadline=10s");
  is_only(found_in(found_on(tree)), Severity::warning, "vol0", "deadline=10s now");
}

void the_path_of_other_distributions_is_known(void**) {
  const Tree tree;
  add_target(tree, 1);
  tree.write("/etc/target/saveconfig.json", saved_with(1).dump());
  assert_true(found_in(found_on(tree)).empty());
}

void a_file_that_is_no_configuration_is_unknown(void**) {
  for (const std::string& text :
       {std::string{}, std::string{"{"}, std::string{"[]"}, std::string(500, '9'),
        std::string{R"({"storage_objects": [{}]})"},
        std::string{R"({"storage_objects": 7, "targets": "x"})"}}) {
    const Tree tree;
    tree.write(saved_path, text);
    const Found found = found_on(tree);
    assert_false(found.saved.ok());
    assert_in_range(found.saved.error().message.size(), 1, 200);
    is_only(found_in(found), Severity::unknown, "saved configuration", saved_path.c_str());
  }
}

void a_plugin_of_another_version_is_a_warning(void**) {
  const Tree tree;
  Found found = good(tree);
  found.plugin = std::string{"0.0.1"};
  is_only(found_in(found), Severity::warning, "tcmu-runner", "has version 0.0.1");
}

void a_daemon_that_does_not_answer_is_critical(void**) {
  const Tree tree;
  Found found = good(tree);
  found.plugin = Error{ESRCH, "tcmu-runner is not running"};
  found.list.luns.clear();
  is_only(found_in(found), Severity::critical, "tcmu-runner", "does not answer");
  found.has_bus_policy = false;
  assert_int_equal(found_in(found).size(), 2);
  found.has_bus_policy = true;
  found.plugin = Error{EACCES,
                       "root alone may ask this; members of group ballast may ask what changes "
                       "nothing: sudo ballastctl"};
  is_only(found_in(found), Severity::unknown, "tcmu-runner", "does not answer");
}

void a_machine_that_is_no_target_is_unknown(void**) {
  const Tree tree;
  Found found = found_on(tree);
  found.plugin = Error{ESRCH, "tcmu-runner is not running"};
  is_only(found_in(found), Severity::unknown, "target", "this machine has no LUN of Ballast");
}

void a_lun_that_does_not_serve_is_critical(void**) {
  const Tree tree;
  Found found = good(tree);
  json& lun = found.list.luns[0];
  lun["state"] = "stalled";
  lun["stalled_for_ns"] = 4'000'000'000;
  is_only(found_in(found), Severity::critical, "vol0", "has not answered for 4 s");
  lun["backend"] = "waiting for file=/srv/vol0.raw";
  is_only(found_in(found), Severity::critical, "vol0", "it waits for file=/srv/vol0.raw");
  found.list.luns.erase(found.list.luns.begin());
  is_only(found_in(found), Severity::critical, "vol0", "tcmu-runner has not opened");
  found.list.silent = {"vol0"};
  is_only(found_in(found), Severity::critical, "tcmu-runner", "LUN vol0 does not answer");
}

void a_lun_that_lost_its_store_or_log_is_told(void**) {
  const Tree tree;
  Found found = good(tree);
  found.list.luns[0]["connection"] = {{"state", "reconnecting"}, {"for_ns", 3'000'000'000}};
  is_only(found_in(found), Severity::warning, "vol0", "reconnecting 3 s");
  found.list.luns[0]["connection"] = nullptr;
  found.list.luns[1]["log"] = {{"state", "failing"}, {"used_per_mille", 10}};
  is_only(found_in(found), Severity::warning, "vol1", "its write log is failing");
  found.list.luns[1]["log"]["state"] = "working";
  assert_true(found_in(found).empty());
}

void a_portal_that_was_not_restored_is_critical(void**) {
  const Tree tree;
  (void)good(tree);
  std::filesystem::remove_all(tree.root() + group + "/np/[::1]:3261");
  is_only(found_in(found_on(tree)), Severity::critical, Tree::iqn,
          "nobody can log in at portal [::1]:3261 of portal group 1, which "
          "/etc/rtslib-fb-target/saveconfig.json has");
}

void a_portal_group_that_is_not_enabled_has_no_portals(void**) {
  const Tree tree;
  (void)good(tree);
  tree.write(group + "/enable", "0\n");
  const Findings findings = found_in(found_on(tree));
  assert_int_equal(findings.size(), 2);
  for (const Finding& finding : findings) {
    assert_int_equal(finding.severity, Severity::critical);
  }
}

void a_portal_that_is_not_saved_is_a_warning(void**) {
  const Tree tree;
  (void)good(tree);
  tree.write(group + "/np/192.0.2.1:3260/iser", "0\n");
  is_only(found_in(found_on(tree)), Severity::warning, Tree::iqn,
          "portal 192.0.2.1:3260 of portal group 1 is not in");
}

void little_room_below_a_lun_is_told(void**) {
  const Tree tree;
  Found found = good(tree);
  json& lun = found.list.luns[0];
  lun["room"] = {
      {"free_bytes", 3 << 20}, {"used_bytes", 1 << 20}, {"soft_threshold_bytes", 4 << 20}};
  is_only(found_in(found), Severity::warning, "vol0",
          "only 3 MiB left, less than soft_threshold=4 MiB");
  lun["room"]["free_bytes"] = 4 << 20;
  assert_true(found_in(found).empty());
}

void only_errors_of_the_last_hour_count(void**) {
  const Tree tree;
  Found found = good(tree);
  json errors{{"operation", "write"}, {"error", "no space"}, {"count", 3}};
  found.stats.luns = {json{{"name", "vol0"}, {"store_errors", {errors}}}};
  assert_true(found_in(found).empty());  // an older plugin does not say when
  json& error = found.stats.luns[0]["store_errors"][0];
  error["last_for_ns"] = 3'600'000'000'000;
  assert_true(found_in(found).empty());
  error["last_for_ns"] = 300'000'000'000;
  is_only(found_in(found), Severity::warning, "vol0",
          "has ended a write with \"no space\", the last time 5 min ago; 3 times");
}

void io_uring_that_is_switched_off_is_critical(void**) {
  const Tree tree;
  Found found = good(tree);
  found.no_io_uring = "switched off by kernel.io_uring_disabled=2";
  is_only(found_in(found), Severity::critical, "io_uring", "cannot be used");
}

// --- systemd

constexpr const char* tcmu_settings = "/usr/lib/systemd/system/tcmu-runner.service.d/ballast.conf";
constexpr const char* restore_settings =
    "/usr/lib/systemd/system/rtslib-fb-targetctl.service.d/ballast.conf";

// As `systemctl show` prints it; the drop-ins of both are on disk.
void add_systemd(const Tree& tree, const std::string& first, const std::string& second) {
  tree.write(tcmu_settings, "");
  tree.write(restore_settings, "");
  tree.write("/usr/bin/systemctl",
             fmt::format("#!/bin/sh\ncat <<END\n{}\n\n{}\nEND\n", first, second));
  std::filesystem::permissions(tree.root() + "/usr/bin/systemctl",
                               std::filesystem::perms::owner_all);
}
std::string unit_with(const std::string& drop_ins, const std::string& reload = "no") {
  return fmt::format(
      "MainPID=77\nLimitNOFILE=1048576\nLoadState=loaded\nDropInPaths={}\nNeedDaemonReload={}",
      drop_ins, reload);
}
Findings of_units(const Tree& tree) {
  Findings all;
  for (const check::Unit& unit : check::gather(tree.files()).units) {
    for (const Finding& finding : check::judge(unit)) {
      all.push_back(finding);
    }
  }
  return all;
}

void settings_that_systemd_has_read_are_ok(void**) {
  const Tree tree;
  add_systemd(tree, unit_with(std::string{"/etc/systemd/x.conf "} + tcmu_settings),
              unit_with(restore_settings));
  assert_int_equal(check::gather(tree.files()).units.size(), 2);
  assert_true(of_units(tree).empty());
}

void settings_that_are_only_on_disk_are_a_warning(void**) {
  const Tree tree;
  add_systemd(tree, unit_with(""), unit_with(restore_settings));
  const Findings findings = of_units(tree);
  is_only(findings, Severity::warning, "tcmu-runner.service", "because systemd has not read it");
  assert_non_null(strstr(findings[0].how.c_str(), "daemon-reload"));
}

void settings_that_are_missing_or_old_are_a_warning(void**) {
  const Tree tree;
  add_systemd(tree, unit_with(tcmu_settings), unit_with(""));
  tree.remove(restore_settings);
  is_only(of_units(tree), Severity::warning, "rtslib-fb-targetctl.service", "are not installed");
  add_systemd(tree, unit_with(tcmu_settings, "yes"), unit_with(restore_settings));
  is_only(of_units(tree), Severity::warning, "tcmu-runner.service", "have changed");
}

void a_daemon_from_before_its_settings_is_a_warning(void**) {
  const Tree tree;
  add_systemd(tree, unit_with(tcmu_settings), "LoadState=not-found\nDropInPaths=\n");
  tree.write("/proc/77/limits",
             "Limit                     Soft Limit           Hard Limit           Units     \n"
             "Max open files            1024                 524288               files     \n");
  is_only(of_units(tree), Severity::warning, "tcmu-runner.service", "1024 open files, not 1048576");
}

// As `systemctl show` prints a unit that is masked.
const std::string masked =
    "MainPID=0\nLoadState=masked\nUnitFileState=masked\nDropInPaths=\nNeedDaemonReload=no";
const std::string enabled = "\nUnitFileState=enabled";
const std::string disabled = "\nUnitFileState=disabled";
const std::string absent = "MainPID=0\nLoadState=not-found\nUnitFileState=\nDropInPaths=";

// What is found on a good target with these units: the daemon's, and those that restore.
Findings at_boot(const std::string& daemon, const std::string& debian, const std::string& fedora) {
  const Tree tree;
  Found found = good(tree);
  add_systemd(tree, daemon, debian + "\n\n" + fedora);
  tree.write("/usr/lib/systemd/system/target.service.d/ballast.conf", "");
  found.units = check::gather(tree.files()).units;
  return found_in(found);
}

void a_boot_that_would_restore_nothing_is_a_warning(void**) {
  const std::string daemon = unit_with(tcmu_settings) + enabled;
  const std::string restorer = unit_with(restore_settings);
  assert_true(at_boot(daemon, restorer + enabled, absent).empty());
  const Findings off = at_boot(daemon, restorer + disabled, absent);
  is_only(off, Severity::warning, "rtslib-fb-targetctl.service",
          "is disabled: the next boot does not bring back what "
          "/etc/rtslib-fb-target/saveconfig.json has");
  assert_string_equal(off[0].how.c_str(), "systemctl enable rtslib-fb-targetctl.service");
  const Findings no_way = at_boot(daemon, masked, absent);
  is_only(no_way, Severity::warning, "rtslib-fb-targetctl.service", "is masked: the next boot");
  assert_string_equal(no_way[0].how.c_str(),
                      "systemctl unmask rtslib-fb-targetctl.service, then systemctl enable "
                      "rtslib-fb-targetctl.service");
}

void one_unit_that_restores_is_enough(void**) {
  const std::string daemon = unit_with(tcmu_settings) + enabled;
  const std::string fedora = unit_with("/usr/lib/systemd/system/target.service.d/ballast.conf");
  assert_true(at_boot(daemon, absent, fedora + enabled).empty());
  is_only(at_boot(daemon, absent, fedora + disabled), Severity::warning, "target.service",
          "is disabled");
  assert_true(at_boot(daemon, unit_with(restore_settings) + enabled, masked).empty());
}

// It need not be enabled: Ballast's settings start it for the unit that restores.
void only_a_masked_daemon_is_missed_at_boot(void**) {
  const std::string restorer = unit_with(restore_settings) + enabled;
  assert_true(at_boot(unit_with(tcmu_settings) + disabled, restorer, absent).empty());
  is_only(at_boot(masked, restorer, absent), Severity::warning, "tcmu-runner.service",
          "is masked: after the next boot nobody answers the LUNs");
}

void where_nothing_is_saved_no_boot_restores(void**) {
  const Tree tree;
  Found found = found_on(tree);
  check::Unit unit;
  unit.restores = true;
  unit.at_boot = "disabled";
  found.units = {unit};
  assert_true(check::judge_boot(found).empty());
}

void a_machine_without_systemd_has_no_units(void**) {
  const Tree tree;
  assert_true(check::gather(tree.files()).units.empty());
}

// --- output

void the_worst_comes_first_and_bars_are_no_performance_data(void**) {
  const Tree tree;
  Found found = good(tree);
  found.plugin = std::string{"1|2\n"};
  found.list.silent = {"a|b"};
  const check::Report report = check::judge(found);
  assert_int_equal(report.severity(), Severity::critical);
  const std::string text = check::as_text(report);
  assert_int_equal(std::count(text.begin(), text.end(), '|'), 1);
  assert_int_equal(std::count(text.begin(), text.end(), '\n'), 3);
  assert_true(
      text.starts_with("BALLAST CRITICAL - tcmu-runner: LUN a/b does not answer: its "
                       "thread is busy or stuck; and 1 more |"));
}

void json_has_the_same(void**) {
  const Tree tree;
  add_target(tree, 1);
  tree.write(saved_path, saved_with(2).dump());
  const auto document = check::as_json(check::judge(found_on(tree)));
  assert_string_equal(document["report"].get<std::string>().c_str(), "check");
  assert_string_equal(document["state"].get<std::string>().c_str(), "CRITICAL");
  assert_string_equal(document["findings"][0]["subject"].get<std::string>().c_str(), "vol1");
  assert_int_equal(document["numbers"]["missing"].get<int>(), 1);
  assert_true(document["copy"].is_null());
  test::expect_as_in_manual(document, {"OTHER DOCUMENTS", "check"});
}

// --- copies

std::size_t copies_in(const Tree& tree) {
  return tree.files().list("/etc/rtslib-fb-target").size() - 1;
}

void a_copy_is_dated_and_for_root_alone(void**) {
  const Tree tree;
  tree.write(saved_path, "{}");
  const Result<std::string> copy = check::keep_copy(tree.files(), saved_path, 3, 1'000'000'000);
  assert_true(copy.ok());
  assert_true(copy.value().starts_with(saved_path + ".not-restored-20010909-"));
  assert_string_equal(tree.read(copy.value()).c_str(), "{}");
  const auto mode = std::filesystem::status(tree.root() + copy.value()).permissions();
  assert_int_equal(static_cast<int>(mode), 0600);
}

void the_same_content_is_kept_once(void**) {
  const Tree tree;
  tree.write(saved_path, "{}");
  const Result<std::string> one = check::keep_copy(tree.files(), saved_path, 3, 1'000'000'000);
  const Result<std::string> other = check::keep_copy(tree.files(), saved_path, 3, 1'000'086'400);
  assert_true(one.ok() && other.ok());
  assert_string_equal(other.value().c_str(), one.value().c_str());
  assert_int_equal(copies_in(tree), 1);
}

void the_newest_copies_are_kept(void**) {
  const Tree tree;
  std::string newest;
  for (int i = 0; i < 12; ++i) {
    tree.write(saved_path, fmt::format("{{\"a\": {}}}", i));
    // Steps of a day and an hour, so that neither the date nor the time alone sorts them.
    newest = check::keep_copy(tree.files(), saved_path, 3, 1'000'000'000 + i * 90'000).value();
    assert_int_equal(copies_in(tree), std::min(i + 1, 3));
  }
  assert_string_equal(tree.read(newest).c_str(), "{\"a\": 11}");
}

void a_copy_that_cannot_be_made_says_so(void**) {
  const Tree tree;
  assert_false(check::keep_copy(tree.files(), saved_path, 3, 0).ok());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_target_as_it_was_saved_is_ok),
      cmocka_unit_test(a_backstore_that_was_not_restored_is_critical),
      cmocka_unit_test(a_lun_that_was_not_restored_is_critical),
      cmocka_unit_test(a_mapped_lun_that_was_not_restored_is_critical),
      cmocka_unit_test(what_is_not_saved_is_a_warning),
      cmocka_unit_test(nobody_is_told_to_save_while_something_is_missing),
      cmocka_unit_test(a_target_that_was_never_saved_is_a_warning),
      cmocka_unit_test(a_user_who_may_not_look_is_told_so),
      cmocka_unit_test(a_configuration_that_is_saved_otherwise_is_a_warning),
      cmocka_unit_test(the_path_of_other_distributions_is_known),
      cmocka_unit_test(a_file_that_is_no_configuration_is_unknown),
      cmocka_unit_test(a_plugin_of_another_version_is_a_warning),
      cmocka_unit_test(a_daemon_that_does_not_answer_is_critical),
      cmocka_unit_test(a_machine_that_is_no_target_is_unknown),
      cmocka_unit_test(a_lun_that_does_not_serve_is_critical),
      cmocka_unit_test(a_lun_that_lost_its_store_or_log_is_told),
      cmocka_unit_test(a_portal_that_was_not_restored_is_critical),
      cmocka_unit_test(a_portal_group_that_is_not_enabled_has_no_portals),
      cmocka_unit_test(a_portal_that_is_not_saved_is_a_warning),
      cmocka_unit_test(little_room_below_a_lun_is_told),
      cmocka_unit_test(only_errors_of_the_last_hour_count),
      cmocka_unit_test(io_uring_that_is_switched_off_is_critical),
      cmocka_unit_test(settings_that_systemd_has_read_are_ok),
      cmocka_unit_test(settings_that_are_only_on_disk_are_a_warning),
      cmocka_unit_test(settings_that_are_missing_or_old_are_a_warning),
      cmocka_unit_test(a_daemon_from_before_its_settings_is_a_warning),
      cmocka_unit_test(a_boot_that_would_restore_nothing_is_a_warning),
      cmocka_unit_test(one_unit_that_restores_is_enough),
      cmocka_unit_test(only_a_masked_daemon_is_missed_at_boot),
      cmocka_unit_test(where_nothing_is_saved_no_boot_restores),
      cmocka_unit_test(a_machine_without_systemd_has_no_units),
      cmocka_unit_test(the_worst_comes_first_and_bars_are_no_performance_data),
      cmocka_unit_test(json_has_the_same),
      cmocka_unit_test(a_copy_is_dated_and_for_root_alone),
      cmocka_unit_test(the_same_content_is_kept_once),
      cmocka_unit_test(the_newest_copies_are_kept),
      cmocka_unit_test(a_copy_that_cannot_be_made_says_so),
  };
  return cmocka_run_group_tests_name("check", tests, nullptr, nullptr);
}
