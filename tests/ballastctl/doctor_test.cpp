// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

#include "targetcli-config/ballastctl/doctor/doctor.h"
#include "tests/ballastctl/tree.h"
#include "tests/cmocka.h"
#include "tests/json_manual.h"

using namespace ballast;
using namespace ballast::ctl;
using ballast::test::Tree;
using doctor::Finding;
using doctor::Report;
using doctor::Verdict;

namespace {

const std::string device0 = std::string{Tree::device} + "0";
const std::string session = Tree::session;
const std::string connection = Tree::connection;

Report report_of(const Tree& tree) {
  Result<Report> report = doctor::examine(tree.files(), {}, Goal{});
  assert_true(report.ok());
  return std::move(report).value();
}

const Finding& finding(const std::vector<Finding>& findings, std::string_view setting) {
  for (const Finding& each : findings) {
    if (each.setting == setting) {
      return each;
    }
  }
  print_error("no finding for %s\n", std::string{setting}.c_str());
  assert_true(false);
  return findings.front();
}

// As tune leaves it.
void make_good(const Tree& tree) {
  tree.add_machine();
  tree.add_disk("sda", 0);
  tree.write(device0 + "/timeout", "310\n");
  tree.write(session + "recovery_tmo", "600\n");
  tree.write(session + "abort_tmo", "30\n");
  tree.write(connection + "ping_tmo", "30\n");
}

void a_good_initiator_has_nothing_to_change(void**) {
  const Tree tree;
  make_good(tree);
  const Report report = report_of(tree);
  for (const Finding& each : report.disks.at(0).findings) {
    if (each.verdict != Verdict::ok) {
      print_error("%s is %s\n", each.setting.c_str(), doctor::to_string(each.verdict));
      assert_true(false);
    }
  }
  assert_int_equal(report.changes(), 0);
  assert_non_null(strstr(doctor::as_text(report).c_str(),
                         "ok: nothing to change, a freeze of 10min is outlived"));
}

void linuxs_defaults_do_not_outlive_ten_minutes(void**) {
  const Tree tree;
  tree.add_machine();
  tree.add_disk("sda", 0);
  const Report report = report_of(tree);
  const std::vector<Finding>& findings = report.disks.at(0).findings;
  const Finding& timeout = finding(findings, "timeout");
  assert_int_equal(timeout.verdict, Verdict::change);
  assert_string_equal(timeout.value.c_str(), "30 s");
  assert_string_equal(timeout.wanted.c_str(), "310 s");
  assert_int_equal(finding(findings, "max_retries").verdict, Verdict::ok);
  assert_string_equal(finding(findings, "replacement_timeout").wanted.c_str(), "600 s");
  const std::string text = doctor::as_text(report);
  assert_non_null(strstr(text.c_str(), "is outlived for 3 min"));
  assert_non_null(strstr(text.c_str(), "session dropped"));
  assert_non_null(strstr(text.c_str(), "4 to change, to outlive a freeze of 10min"));
}

struct Bad {
  const char* setting;
  std::string path;
  const char* value;
  const char* wanted;
};

void each_bad_setting_is_found(void**) {
  const std::vector<Bad> all{
      {"timeout", device0 + "/timeout", "60", "310 s"},
      {"max_retries", "/sys/class/scsi_disk/2:0:0:0/max_retries", "2", "5"},
      {"eh_deadline", "/sys/class/scsi_host/host2/eh_deadline", "60", "off"},
      {"queue_depth", device0 + "/queue_depth", "1", "32"},
      {"replacement_timeout", session + "recovery_tmo", "120", "600 s"},
      {"abort_timeout", session + "abort_tmo", "15", "30 s"},
      {"lu_reset_timeout", session + "lu_reset_tmo", "10", "30 s"},
      {"tgt_reset_timeout", session + "tgt_reset_tmo", "0", "30 s"},
      {"noop_out_interval", connection + "recv_tmo", "0", "5 s"},
      {"noop_out_timeout", connection + "ping_tmo", "5", "30 s"},
      {"write_zeroes_max_bytes", "/sys/block/sda/queue/write_zeroes_max_bytes", "0",
       "1.25 MiB, or what write_same_max of the LUN says"}};
  for (const Bad& bad : all) {
    const Tree tree;
    make_good(tree);
    tree.write(bad.path, std::string{bad.value} + "\n");
    const Report report = report_of(tree);
    const Finding& found = finding(report.disks.at(0).findings, bad.setting);
    assert_int_equal(found.verdict, Verdict::change);
    assert_string_equal(found.wanted.c_str(), bad.wanted);
    assert_true(!found.how.empty() && !found.why.empty());
  }
}

void retries_without_end_are_kept(void**) {
  const Tree tree;
  make_good(tree);
  tree.write(device0 + "/timeout", "400\n");
  tree.write("/sys/class/scsi_disk/2:0:0:0/max_retries", "-1\n");
  const Report report = report_of(tree);
  assert_int_equal(report.changes(), 0);
  assert_non_null(strstr(doctor::as_text(report).c_str(), "is outlived for ever"));
}

void a_session_that_waits_for_ever_is_fine(void**) {
  const Tree tree;
  make_good(tree);
  tree.write(session + "recovery_tmo", "off\n");
  assert_int_equal(report_of(tree).changes(), 0);
}

void an_attribute_that_is_missing_is_unknown(void**) {
  const Tree tree;
  make_good(tree);
  tree.remove("/sys/class/scsi_disk/2:0:0:0/max_retries");
  const Report report = report_of(tree);
  assert_int_equal(finding(report.disks.at(0).findings, "max_retries").verdict, Verdict::unknown);
  assert_int_equal(report.changes(), 0);
}

void the_machines_own_settings_count(void**) {
  const Tree tree;
  make_good(tree);
  tree.write("/proc/sys/kernel/hung_task_panic", "1\n");
  tree.write("/proc/sys/vm/dirty_ratio", "40\n");
  tree.write("/proc/meminfo", "MemAvailable:   67108864 kB\n");
  const Report report = report_of(tree);
  assert_int_equal(finding(report.machine, "kernel.hung_task_timeout_secs").verdict,
                   Verdict::change);
  const Finding& dirty = finding(report.machine, "vm.dirty_bytes, vm.dirty_ratio");
  assert_int_equal(dirty.verdict, Verdict::change);
  assert_string_equal(dirty.value.c_str(), "40 %: 25.5 GiB");
  tree.write("/proc/sys/vm/dirty_bytes", "1073741824\n");
  assert_int_equal(finding(report_of(tree).machine, "vm.dirty_bytes, vm.dirty_ratio").verdict,
                   Verdict::ok);
}

void without_a_disk_there_is_nothing_to_say(void**) {
  const Tree tree;
  tree.add_machine();
  const Report report = report_of(tree);
  assert_int_equal(report.changes(), 0);
  assert_string_equal(
      doctor::as_text(report).c_str(),
      "nothing to examine: this machine has no disk of Ballast over iSCSI, and no Ballast "
      "backstore\n");
}

void other_peoples_disks_are_left_alone(void**) {
  const Tree tree;
  make_good(tree);
  tree.add_other_disk("sdb", "LIO-ORG ");
  assert_int_equal(report_of(tree).disks.size(), 1);
  const Result<Report> asked = doctor::examine(tree.files(), {"/dev/sdb"}, Goal{});
  assert_false(asked.ok());
  assert_string_equal(asked.error().message.c_str(),
                      "sdb is not a disk of Ballast: its vendor is \"LIO-ORG\", not BALLAST");
  assert_false(doctor::examine(tree.files(), {"sdz"}, Goal{}).ok());
}

void a_disk_can_be_named(void**) {
  const Tree tree;
  make_good(tree);
  tree.add_disk("sdb", 1);
  const Result<Report> report = doctor::examine(tree.files(), {"/dev/sda"}, Goal{});
  assert_true(report.ok());
  assert_int_equal(report.value().disks.size(), 1);
  assert_string_equal(report.value().disks.at(0).disk.name.c_str(), "sda");
}

// --- dm-multipath --------------------------------------------------------------------------------

constexpr const char* good_section =
    "devices {\n device {\n vendor BALLAST\n product .*\n no_path_retry queue\n "
    "fast_io_fail_tmo 5\n }\n}\n";

// As tune leaves it.
void make_good_paths(const Tree& tree) {
  make_good(tree);
  tree.add_map({"sda"});
  tree.write(session + "recovery_tmo", "5\n");
  tree.write(multipath::file_path, good_section);
}

void a_good_path_of_multipath_has_nothing_to_change(void**) {
  const Tree tree;
  make_good_paths(tree);
  const Report report = report_of(tree);
  assert_int_equal(report.changes(), 0);
  const std::vector<Finding>& findings = report.disks.at(0).findings;
  assert_string_equal(finding(findings, "multipathd").value.c_str(), "runs");
  assert_string_equal(finding(findings, "no_path_retry").value.c_str(), "queue");
  assert_string_equal(finding(findings, "fast_io_fail_tmo").value.c_str(), "5");
  assert_non_null(
      strstr(doctor::as_text(report).c_str(), "These are errors of one path of mpatha, sda."));
  assert_string_equal(
      doctor::as_json(report)["disks"][0]["multipath"]["name"].get<std::string>().c_str(),
      "mpatha");
}

// A long recovery_tmo, which a disk with one path needs, keeps I/O from going by another one.
void a_path_that_waits_long_for_its_session_is_found(void**) {
  for (const char* const text : {"600\n", "off\n"}) {
    const Tree tree;
    make_good_paths(tree);
    tree.write(session + "recovery_tmo", text);
    const Report report = report_of(tree);
    const Finding& found = finding(report.disks.at(0).findings, "replacement_timeout");
    assert_int_equal(found.verdict, Verdict::change);
    assert_string_equal(found.wanted.c_str(), "5 s");
  }
}

void multipaths_own_defaults_do_not_outlive_a_restart_of_the_target(void**) {
  const Tree tree;
  make_good_paths(tree);
  tree.remove(multipath::file_path);
  const Report report = report_of(tree);
  const Finding& found = finding(report.disks.at(0).findings, "no_path_retry");
  assert_int_equal(found.verdict, Verdict::change);
  assert_string_equal(found.value.c_str(), "fail");
  assert_string_equal(found.wanted.c_str(), "queue");
  assert_string_equal(found.how.c_str(), "sudo ballastctl tune");
  assert_int_equal(finding(report.disks.at(0).findings, "fast_io_fail_tmo").verdict, Verdict::ok);
}

struct Said {
  const char* setting;
  const char* value;
  Verdict verdict;
};

void each_value_of_multipathd_is_judged(void**) {
  for (const Said& said :
       {Said{"no_path_retry", "120", Verdict::ok}, Said{"no_path_retry", "119", Verdict::change},
        Said{"no_path_retry", "queue", Verdict::ok}, Said{"no_path_retry", "fail", Verdict::change},
        Said{"fast_io_fail_tmo", "30", Verdict::ok},
        Said{"fast_io_fail_tmo", "31", Verdict::change},
        Said{"fast_io_fail_tmo", "0", Verdict::change},
        Said{"fast_io_fail_tmo", "off", Verdict::change}}) {
    const Tree tree;
    make_good_paths(tree);
    tree.write("/etc/multipath/conf.d/zz.conf",
               fmt::format("overrides {{\n {} \"{}\"\n}}\n", said.setting, said.value));
    const Report report = report_of(tree);
    const Finding& found = finding(report.disks.at(0).findings, said.setting);
    assert_string_equal(found.value.c_str(), said.value);
    assert_int_equal(found.verdict, said.verdict);
    if (said.verdict == Verdict::change) {
      assert_string_equal(found.how.c_str(),
                          fmt::format("/etc/multipath/conf.d/zz.conf says {} for this disk: change "
                                      "it there, then multipathd reconfigure",
                                      said.value)
                              .c_str());
    }
  }
}

void a_map_without_multipathd_is_found(void**) {
  const Tree tree;
  make_good_paths(tree);
  tree.remove("/proc/812");
  const Report report = report_of(tree);
  const std::vector<Finding>& findings = report.disks.at(0).findings;
  assert_int_equal(finding(findings, "multipathd").verdict, Verdict::change);
  assert_int_equal(finding(findings, "no_path_retry").verdict, Verdict::unknown);
}

// Its session's recovery_tmo is short for the other disk's sake.
void a_disk_beside_a_path_is_found(void**) {
  const Tree tree;
  make_good_paths(tree);
  tree.add_disk("sdb", 1);
  tree.write(session + "recovery_tmo", "5\n");
  const Result<Report> report = doctor::examine(tree.files(), {"sdb"}, Goal{});
  assert_true(report.ok());
  const Finding& found = finding(report.value().disks.at(0).findings, "replacement_timeout");
  assert_int_equal(found.verdict, Verdict::change);
  assert_string_equal(found.how.c_str(), "multipath -a /dev/sdb && multipath -r");
}

void a_device_mapper_disk_that_is_no_multipath_does_not_count(void**) {
  const Tree tree;
  make_good(tree);
  tree.add_map({"sda"});
  tree.write("/sys/block/dm-0/dm/uuid", "LVM-36001405b5f9e7d\n");
  const Report report = report_of(tree);
  assert_int_equal(report.changes(), 0);
  assert_false(report.disks.at(0).disk.map.has_value());
}

// multipathd's own words, and what they mean.
void multipath_conf_is_read_as_multipathd_reads_it(void**) {
  const multipath::Section conf = multipath::parse(R"(# a comment {
defaults{
  no_path_retry "fail"  ! another one
}
devices {
  device {
    vendor "BALL.*"
    product "^vol"
    no_path_retry 7
  }
  device {
    vendor "BALLAST"
    product "vol1"
    no_path_retry 8
  }
  device {
    vendor "^LAST"
    no_path_retry 9
  }
}
overrides {
  fast_io_fail_tmo 11
  protocol {
    type "scsi:fcp"
    fast_io_fail_tmo 12
  }
  protocol {
    type "scsi:iscsi"
    fast_io_fail_tmo 13
  }
}
multipaths {
  multipath {
    wwid 36001
    no_path_retry queue
  }
}
)");
  const auto of = [&](const char* product, const char* wwid, const char* setting) {
    return multipath::value_for(conf, {"BALLAST", product, wwid}, setting).value_or("none");
  };
  assert_string_equal(of("vol0", "", "no_path_retry").c_str(), "7");
  assert_string_equal(of("vol1", "", "no_path_retry").c_str(), "8");
  assert_string_equal(of("disk", "", "no_path_retry").c_str(), "fail");
  assert_string_equal(of("vol0", "36001", "no_path_retry").c_str(), "queue");
  assert_string_equal(of("vol0", "", "fast_io_fail_tmo").c_str(), "13");
  assert_string_equal(of("vol0", "", "dev_loss_tmo").c_str(), "none");
}

// --- the target
// ------------------------------------------------------------------------------------

void a_good_target_has_nothing_to_change(void**) {
  const Tree tree;
  tree.add_backstore("vol0", 0, "file=/srv/vol0.raw");
  tree.export_backstores(1, "64");
  const Report report = report_of(tree);
  assert_int_equal(report.luns.size(), 1);
  assert_int_equal(report.windows.size(), 1);
  assert_int_equal(report.changes(), 0);
  const char* const golden = R"(backstore vol0: file=/srv/vol0.raw

SETTING                  VALUE        VERDICT  WANTED  WHY
deadline                 20s          ok       -       must be below the timeout of the initiators, 30 s unless changed there
time-out of the backend  none         ok       -       the storage has no time-out that Ballast knows of
cmd_time_out             0            ok       -       after this time the kernel fails a command by itself; 0: never
hw_max_sectors           2048: 1 MiB  ok       -       the largest transfer; the initiator cuts a bigger one into several commands
max_data_area_mb         1024 MiB     ok       -       memory for data in flight; 32 commands of the largest transfer take 33 MiB

command windows of sessions (cmdsn_depth)

SETTING                                          VALUE  VERDICT  WANTED  WHY
iqn.2026-01.org.ballast:test, iqn.2026-01.org.a  64     ok       -       commands of one session at once; LUNs: 1, which together keep up to 32 of them while stalled, and up to 32 before

ok: nothing to change
)";
  assert_string_equal(doctor::as_text(report).c_str(), golden);
}

void the_kernels_default_of_the_longest_transfer_is_a_megabyte_here(void**) {
  const Tree tree;
  tree.add_backstore("vol0", 0, "file=/srv/vol0.raw");
  tree.write("/sys/kernel/config/target/core/user_0/vol0/attrib/hw_max_sectors", "128\n");
  const Report report = report_of(tree);
  const Finding& found = finding(report.luns.at(0).findings, "hw_max_sectors");
  assert_true(found.verdict == Verdict::ok);
  assert_string_equal(found.value.c_str(), "128: 1 MiB");
}

void a_targets_bad_settings_are_found(void**) {
  const Tree tree;
  tree.add_backstore("vol0", 0, "file=/dev/sdq1;deadline=45s;stall_window=40");
  const std::string attributes = "/sys/kernel/config/target/core/user_0/vol0/attrib/";
  tree.write(attributes + "cmd_time_out", "40\n");
  tree.write(attributes + "hw_max_sectors", "64\n");
  tree.write(attributes + "max_data_area_mb", "1\n");
  tree.write("/sys/devices/pci/9:0:0:0/timeout", "60\n");
  tree.write("/sys/devices/pci/9:0:0:0/block/sdq/sdq1/partition", "1\n");
  tree.link("/sys/devices/pci/9:0:0:0/block/sdq/device", "/sys/devices/pci/9:0:0:0");
  tree.link("/sys/class/block/sdq1", "/sys/devices/pci/9:0:0:0/block/sdq/sdq1");
  const Report report = report_of(tree);
  const std::vector<Finding>& findings = report.luns.at(0).findings;
  for (const char* const setting : {"deadline", "time-out of the backend", "cmd_time_out",
                                    "hw_max_sectors", "max_data_area_mb"}) {
    const Finding& found = finding(findings, setting);
    if (found.verdict != Verdict::change) {
      print_error("%s is %s\n", setting, doctor::to_string(found.verdict));
      assert_true(false);
    }
  }
  assert_string_equal(finding(findings, "cmd_time_out").wanted.c_str(), "0");
  assert_string_equal(finding(findings, "time-out of the backend").wanted.c_str(), "33 s");
}

void a_small_window_for_many_luns_is_found(void**) {
  const Tree tree;
  for (unsigned lun = 0; lun < 9; ++lun) {
    tree.add_backstore(fmt::format("vol{}", lun), lun, "memory");
  }
  tree.export_backstores(9, "64");
  const Report report = report_of(tree);
  assert_int_equal(report.changes(), 1);
  assert_string_equal(report.windows.at(0).wanted.c_str(), "128");
  tree.write(std::string{Tree::acl} + "cmdsn_depth", "128\n");
  assert_int_equal(report_of(tree).changes(), 0);
}

void other_backstores_are_left_alone(void**) {
  const Tree tree;
  tree.write("/sys/kernel/config/target/core/user_0/vol0/attrib/dev_config", "qcow//srv/a\n");
  tree.write("/sys/kernel/config/target/core/fileio_0/vol1/attrib/hw_max_sectors", "128\n");
  tree.export_backstores(1, "64");
  assert_int_equal(report_of(tree).luns.size(), 0);
  assert_int_equal(report_of(tree).windows.size(), 0);
}

void json_has_all_of_it(void**) {
  const Tree tree;
  tree.add_machine();
  tree.add_disk("sda", 0);
  tree.add_map({"sda"});
  tree.add_backstore("vol0", 0, "memory");
  const nlohmann::json document = doctor::as_json(report_of(tree));
  assert_int_equal(document.at("version").get<int>(), 1);
  assert_false(document.at("ok").get<bool>());
  const nlohmann::json& disk = document.at("disks").at(0);
  assert_true(disk.at("survives_ns").get<std::int64_t>() == 180'000'000'000);
  assert_string_equal(disk.at("unanswered").back().at("what").get<std::string>().c_str(),
                      "I/O error");
  assert_string_equal(
      document.at("luns").at(0).at("settings").at(0).at("verdict").get<std::string>().c_str(),
      "ok");
  test::expect_as_in_manual(document, {"OTHER DOCUMENTS", "doctor"});
}

// --- what is wanted
// -------------------------------------------------------------------------------

void what_is_wanted_is_enough_and_stable(void**) {
  for (const std::int64_t seconds : {1, 59, 180, 181, 600, 3600, 86400}) {
    for (const int retries : {-1, 0, 5}) {
      Goal goal;
      goal.survive = std::chrono::seconds{seconds};
      timeline::Settings found;
      found.max_retries = retries;
      const timeline::Settings good = wanted(found, goal);
      assert_true(timeline::survives(good, goal.deadline) >= goal.survive);
      const timeline::Settings again = wanted(good, goal);
      assert_true(again.timeout == good.timeout && again.max_retries == good.max_retries);
      assert_true(good.noop_out_interval + good.noop_out_timeout < good.timeout);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_good_initiator_has_nothing_to_change),
      cmocka_unit_test(linuxs_defaults_do_not_outlive_ten_minutes),
      cmocka_unit_test(each_bad_setting_is_found),
      cmocka_unit_test(retries_without_end_are_kept),
      cmocka_unit_test(a_session_that_waits_for_ever_is_fine),
      cmocka_unit_test(an_attribute_that_is_missing_is_unknown),
      cmocka_unit_test(the_machines_own_settings_count),
      cmocka_unit_test(without_a_disk_there_is_nothing_to_say),
      cmocka_unit_test(other_peoples_disks_are_left_alone),
      cmocka_unit_test(a_disk_can_be_named),
      cmocka_unit_test(a_good_target_has_nothing_to_change),
      cmocka_unit_test(the_kernels_default_of_the_longest_transfer_is_a_megabyte_here),
      cmocka_unit_test(a_targets_bad_settings_are_found),
      cmocka_unit_test(a_small_window_for_many_luns_is_found),
      cmocka_unit_test(other_backstores_are_left_alone),
      cmocka_unit_test(json_has_all_of_it),
      cmocka_unit_test(what_is_wanted_is_enough_and_stable),
      cmocka_unit_test(a_good_path_of_multipath_has_nothing_to_change),
      cmocka_unit_test(a_path_that_waits_long_for_its_session_is_found),
      cmocka_unit_test(multipaths_own_defaults_do_not_outlive_a_restart_of_the_target),
      cmocka_unit_test(each_value_of_multipathd_is_judged),
      cmocka_unit_test(a_map_without_multipathd_is_found),
      cmocka_unit_test(a_disk_beside_a_path_is_found),
      cmocka_unit_test(a_device_mapper_disk_that_is_no_multipath_does_not_count),
      cmocka_unit_test(multipath_conf_is_read_as_multipathd_reads_it),
  };
  return cmocka_run_group_tests_name("doctor", tests, nullptr, nullptr);
}
