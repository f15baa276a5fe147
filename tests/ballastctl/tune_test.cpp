// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "targetcli-config/ballastctl/doctor/doctor.h"
#include "targetcli-config/ballastctl/tune/node.h"
#include "targetcli-config/ballastctl/tune/tune.h"
#include "tests/ballastctl/tree.h"
#include "tests/cmocka.h"
#include "tests/json_manual.h"

using namespace ballast;
using namespace ballast::ctl;
using ballast::test::Tree;

namespace {

const std::string timeout_path = std::string{Tree::device} + "0/timeout";
const std::string recovery_path = std::string{Tree::session} + "recovery_tmo";

std::string done(const Result<tune::Outcome>& outcome) {
  if (!outcome) {
    print_error("%s\n", outcome.error().message.c_str());
    assert_true(false);
  }
  for (const std::string& error : outcome.value().errors) {
    print_error("%s\n", error.c_str());
    assert_true(false);
  }
  return text_of(outcome.value());
}

std::string tune_once(const Tree& tree, const Goal& goal = {}) {
  return done(tune::tune(tree.files(), {goal}, false));
}
std::string tune_all_targets(const Tree& tree, const Goal& goal = {}) {
  return done(tune::tune(tree.files(), {goal, true}, false));
}
std::string undo_once(const Tree& tree) {
  return done(tune::undo(tree.files(), false));
}

void make_initiator(const Tree& tree) {
  tree.add_machine();
  tree.add_disk("sda", 0);
  tree.add_disk("sdb", 1);
  tree.add_other_disk("sdc", "LIO-ORG ");
  tree.add_open_iscsi();
}

void a_dry_run_says_all_and_changes_nothing(void**) {
  const Tree tree;
  make_initiator(tree);
  const auto before = tree.contents();
  const std::string text = done(tune::tune(tree.files(), {}, true));
  const char* const golden =
      "/etc/udev/rules.d/60-ballast.rules: would be written\n"
      "node record of iqn.2026-01.org.ballast:test at 192.0.2.10:3260, "
      "node.conn[0].timeo.noop_out_timeout: 5 -> 30\n"
      "node record of iqn.2026-01.org.ballast:test at 192.0.2.10:3260, "
      "node.session.err_timeo.abort_timeout: 15 -> 30\n"
      "node record of iqn.2026-01.org.ballast:test at 192.0.2.10:3260, "
      "node.session.timeo.replacement_timeout: 120 -> 600\n"
      "session to iqn.2026-01.org.ballast:test at 192.0.2.10:3260, recovery_tmo: 120 -> 600\n"
      "sda timeout: 30 -> 310\n"
      "sdb timeout: 30 -> 310\n"
      "note: session1 keeps its old abort, reset and NOP-out times until it ends; for the new "
      "ones: "
      "iscsiadm -m node -T iqn.2026-01.org.ballast:test -p 192.0.2.10:3260 --logout, then --login\n"
      "a dry run: nothing was changed\n";
  assert_string_equal(text.c_str(), golden);
  assert_true(tree.contents() == before);
}

void tune_and_undo_leave_every_byte_as_it_was(void**) {
  const Tree tree;
  make_initiator(tree);
  const auto before = tree.contents();
  tune_once(tree);
  assert_string_equal(tree.read(timeout_path).c_str(), "310\n");
  assert_string_equal(tree.read(recovery_path).c_str(), "600\n");
  assert_non_null(strstr(tree.read(Tree::node_record).c_str(),
                         "node.session.timeo.replacement_timeout = 600\n"));
  const std::string rule = tree.read(tune::rule_path);
  assert_non_null(strstr(rule.c_str(), "ATTR{timeout}=\"310\""));
  assert_non_null(strstr(rule.c_str(), "ATTR{max_retries}=\"5\""));
  undo_once(tree);
  assert_true(tree.contents() == before);
}

void iscsid_reads_what_the_block_says(void**) {
  const Tree tree;
  make_initiator(tree);
  tune_all_targets(tree);
  const std::string content = tree.read(tune::configuration_path);
  const tune::NodeSettings settings = tune::parse_configuration(content);
  assert_string_equal(settings.at("node.session.timeo.replacement_timeout").c_str(), "600");
  assert_string_equal(settings.at("node.conn[0].timeo.noop_out_timeout").c_str(), "30");
  assert_string_equal(settings.at("node.conn[0].timeo.noop_out_interval").c_str(), "5");
  assert_string_equal(settings.at("node.startup").c_str(), "manual");
}

void a_second_tune_changes_nothing(void**) {
  const Tree tree;
  make_initiator(tree);
  const auto before = tree.contents();
  tune_once(tree);
  const auto tuned = tree.contents();
  const std::string text = tune_once(tree);
  assert_non_null(strstr(text.c_str(), "nothing to change"));
  assert_true(tree.contents() == tuned);
  undo_once(tree);
  assert_true(tree.contents() == before);
}

void two_at_once_is_one_too_many(void**) {
  const Tree tree;
  make_initiator(tree);
  const auto before = tree.contents();
  {
    const Result<UniqueFd> other = tree.files().lock("/etc");
    assert_true(other.ok());
    for (const auto& outcome :
         {tune::tune(tree.files(), {}, false), tune::undo(tree.files(), false)}) {
      assert_false(outcome.ok());
      assert_non_null(strstr(outcome.error().message.c_str(), "another ballastctl tune"));
    }
    assert_true(tune::tune(tree.files(), {}, true).ok());
    assert_true(tree.contents() == before);
  }
  tune_once(tree);
  undo_once(tree);
  assert_true(tree.contents() == before);
}

void another_length_keeps_the_first_undo(void**) {
  const Tree tree;
  make_initiator(tree);
  // No newline at its end: the block brings one, and takes it away.
  tree.write(tune::configuration_path, "node.startup = manual");
  const auto before = tree.contents();
  tune_all_targets(tree);
  Goal goal;
  goal.survive = std::chrono::hours{1};
  tune_once(tree, goal);
  assert_string_equal(tree.read(timeout_path).c_str(), "1810\n");
  goal.survive = std::chrono::minutes{1};
  tune_once(tree, goal);
  assert_string_equal(tree.read(timeout_path).c_str(), "40\n");
  assert_string_equal(tree.read(recovery_path).c_str(), "120\n");
  undo_once(tree);
  assert_true(tree.contents() == before);
}

void undo_twice_is_harmless(void**) {
  const Tree tree;
  make_initiator(tree);
  tune_once(tree);
  undo_once(tree);
  assert_non_null(strstr(undo_once(tree).c_str(), "nothing to undo"));
}

void after_a_reboot_undo_works_under_other_names(void**) {
  const Tree tree;
  make_initiator(tree);
  tune_once(tree);
  // LUN 0 is sdx now, LUN 1 is not logged in, LUN 7 is new and has its values from the rule.
  tree.remove("/sys/block/sda");
  tree.remove("/sys/block/sdb");
  tree.add_disk("sdx", 0);
  tree.add_disk("sdy", 7);
  tree.write(timeout_path, "310\n");
  tree.write(std::string{Tree::device} + "7/timeout", "310\n");
  tree.write(recovery_path, "600\n");
  undo_once(tree);
  assert_string_equal(tree.read(timeout_path).c_str(), "30\n");
  assert_string_equal(tree.read(std::string{Tree::device} + "7/timeout").c_str(), "30\n");
  assert_string_equal(tree.read(recovery_path).c_str(), "120\n");
  assert_false(tree.files().exists(tune::rule_path));
  assert_false(tree.files().exists(tune::record_path));
}

void what_somebody_changed_since_is_left(void**) {
  const Tree tree;
  make_initiator(tree);
  tune_once(tree);
  tree.write(timeout_path, "77\n");
  const std::string text = undo_once(tree);
  assert_string_equal(tree.read(timeout_path).c_str(), "77\n");
  assert_non_null(strstr(text.c_str(), "sda timeout: somebody has changed it since tune"));
}

void lines_others_add_to_iscsid_conf_stay(void**) {
  const Tree tree;
  make_initiator(tree);
  const std::string before = tree.read(tune::configuration_path);
  tune_all_targets(tree);
  tree.write(tune::configuration_path, tree.read(tune::configuration_path) + "# mine\n");
  undo_once(tree);
  assert_string_equal(tree.read(tune::configuration_path).c_str(), (before + "# mine\n").c_str());
}

void a_rule_of_that_name_comes_back(void**) {
  const Tree tree;
  make_initiator(tree);
  tree.write(tune::rule_path, "# somebody's own\n");
  tune_once(tree);
  undo_once(tree);
  assert_string_equal(tree.read(tune::rule_path).c_str(), "# somebody's own\n");
}

void half_a_record_is_refused(void**) {
  const Tree tree;
  make_initiator(tree);
  tune_once(tree);
  const std::string record = tree.read(tune::record_path);
  tree.write(tune::record_path, record.substr(0, record.size() / 2));
  const auto before = tree.contents();
  for (const bool undoing : {false, true}) {
    const Result<tune::Outcome> outcome =
        undoing ? tune::undo(tree.files(), false) : tune::tune(tree.files(), {}, false);
    assert_false(outcome.ok());
    assert_non_null(strstr(outcome.error().message.c_str(), "is damaged"));
    assert_true(tree.contents() == before);
  }
}

void a_record_that_was_not_finished_is_no_record(void**) {
  const Tree tree;
  make_initiator(tree);
  tree.write(std::string{tune::record_path} + ".K3W9Q1", "{\"ver");
  tune_once(tree);
  undo_once(tree);
  assert_false(tree.files().exists(tune::record_path));
}

// The record was written, and then the machine went down.
void undo_works_where_tune_got_half_way(void**) {
  const Tree tree;
  make_initiator(tree);
  const auto before = tree.contents();
  tune_once(tree);
  const std::string record = tree.read(tune::record_path);
  undo_once(tree);
  tree.write(tune::record_path, record);
  tree.write(timeout_path, "310\n");
  undo_once(tree);
  assert_true(tree.contents() == before);
}

void a_mark_without_its_partner_is_refused(void**) {
  const Tree tree;
  make_initiator(tree);
  tree.write(tune::configuration_path, "node.startup = manual\n# END ballast\n");
  const auto before = tree.contents();
  const Result<tune::Outcome> outcome = tune::tune(tree.files(), {{}, true}, false);
  assert_false(outcome.ok());
  assert_non_null(strstr(outcome.error().message.c_str(), "/etc/iscsi/iscsid.conf"));
  assert_true(tree.contents() == before);
}

void json_says_the_same(void**) {
  const Tree tree;
  make_initiator(tree);
  const Result<tune::Outcome> first = tune::tune(tree.files(), {}, false);
  assert_true(first.ok());
  const nlohmann::ordered_json tuned = tune::as_json(first.value());
  ballast::test::expect_as_in_manual(tuned, {"OTHER DOCUMENTS", "tune"});
  assert_true(tuned["ok"] == true && tuned["dry_run"] == false);
  const auto& changes = tuned["changes"];
  const auto timeout =
      std::ranges::find(changes, "sda timeout", [](const auto& c) { return c["place"]; });
  assert_true(timeout != changes.end());
  assert_true((*timeout)["kind"] == "disk" && (*timeout)["before"] == "30");
  tree.write(timeout_path, "77\n");
  const Result<tune::Outcome> last = tune::undo(tree.files(), true);
  assert_true(last.ok());
  const nlohmann::ordered_json undone = tune::as_json(last.value());
  assert_true(undone["dry_run"] == true);
  for (const auto& change : undone["changes"]) {
    assert_true(change["left"] == (change["place"] == "sda timeout"));
  }
}

void without_rights_nothing_is_changed(void**) {
  if (::geteuid() != 0) {
    skip();
  }
  const Tree tree;
  make_initiator(tree);
  const auto before = tree.contents();
  std::ignore = ::system(fmt::format("chmod -R a+rX,go-w {}", tree.root()).c_str());
  const pid_t child = ::fork();
  if (child == 0) {
    const bool dropped = ::setresuid(65534, 65534, 65534) == 0;
    const Result<tune::Outcome> outcome = tune::tune(tree.files(), {}, false);
    const bool said =
        !outcome.ok() && outcome.error().message.find("run it as root") != std::string::npos;
    ::_exit(dropped && said ? 0 : 1);
  }
  int status = 1;
  assert_int_equal(::waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_true(tree.contents() == before);
}

void a_machine_without_disks_is_set_for_those_to_come(void**) {
  const Tree tree;
  tree.add_open_iscsi();
  const auto before = tree.contents();
  const std::string text = tune_all_targets(tree);
  assert_non_null(strstr(text.c_str(), "60-ballast.rules: written"));
  assert_non_null(strstr(text.c_str(), "iscsid.conf: the block of ballastctl added"));
  undo_once(tree);
  assert_true(tree.contents() == before);
}

void a_machine_without_open_iscsi_is_told_so(void**) {
  const Tree tree;
  tree.add_disk("sda", 0);
  const std::string text = tune_all_targets(tree);
  assert_non_null(strstr(text.c_str(), "is open-iscsi installed?"));
  assert_non_null(strstr(text.c_str(), "has no node record"));
  assert_false(tree.files().exists(tune::configuration_path));
}

void better_settings_are_kept(void**) {
  const Tree tree;
  make_initiator(tree);
  tree.write(timeout_path, "900\n");
  tree.write("/sys/class/scsi_disk/2:0:0:0/max_retries", "-1\n");
  tree.write(recovery_path, "86400\n");
  tune_once(tree);
  assert_string_equal(tree.read(timeout_path).c_str(), "900\n");
  assert_string_equal(tree.read("/sys/class/scsi_disk/2:0:0:0/max_retries").c_str(), "-1\n");
  assert_string_equal(tree.read(recovery_path).c_str(), "86400\n");
}

// What tune leaves, doctor likes; but for what waits for the next login.
void doctor_agrees(void**) {
  const Tree tree;
  make_initiator(tree);
  tune_once(tree);
  tree.write(std::string{Tree::session} + "abort_tmo", "30\n");
  tree.write(std::string{Tree::connection} + "ping_tmo", "30\n");
  const Result<doctor::Report> report = doctor::examine(tree.files(), {}, Goal{});
  assert_true(report.ok());
  assert_int_equal(report.value().changes(), 0);
}

void the_goal_of_the_last_tune_is_kept(void**) {
  const Tree tree;
  make_initiator(tree);
  assert_true(tune::recorded_goal(tree.files()) == Goal{});
  Goal goal;
  goal.survive = std::chrono::minutes{5};
  tune_once(tree, goal);
  assert_true(tune::recorded_goal(tree.files()) == goal);
  goal.deadline = std::chrono::seconds{19};
  tune_once(tree, goal);  // perhaps nothing else changes
  assert_true(tune::recorded_goal(tree.files()) == goal);
  undo_once(tree);
  assert_true(tune::recorded_goal(tree.files()) == Goal{});
}

void a_record_with_a_wrong_goal_is_refused(void**) {
  const Tree tree;
  make_initiator(tree);
  tune_once(tree);
  std::string record = tree.read(tune::record_path);
  const std::string good = "\"survive_ns\": 600000000000";
  record.replace(record.find(good), good.size(), "\"survive_ns\": -1");
  tree.write(tune::record_path, record);
  assert_false(tune::undo(tree.files(), false).ok());
  assert_true(tune::recorded_goal(tree.files()) == Goal{});
}

void a_file_keeps_its_mode(void**) {
  const Tree tree;
  make_initiator(tree);
  const std::string path = tree.root() + tune::configuration_path;
  assert_int_equal(::chmod(path.c_str(), 0600), 0);
  tune_all_targets(tree);
  struct stat found {};
  assert_int_equal(::stat(path.c_str(), &found), 0);
  assert_int_equal(found.st_mode & 07777, 0600);
}

void iscsid_conf_is_changed_only_when_told_to(void**) {
  const Tree tree;
  make_initiator(tree);
  const std::string before = tree.read(tune::configuration_path);
  tune_once(tree);
  assert_string_equal(tree.read(tune::configuration_path).c_str(), before.c_str());
  tune_all_targets(tree);
  assert_non_null(strstr(tree.read(tune::configuration_path).c_str(), "timeout = 600\n# END"));
  Goal goal;
  goal.survive = std::chrono::hours{1};
  tune_once(tree, goal);
  assert_non_null(strstr(tree.read(tune::configuration_path).c_str(), "timeout = 3600\n# END"));
  undo_once(tree);
  assert_string_equal(tree.read(tune::configuration_path).c_str(), before.c_str());
}

// --- dm-multipath --------------------------------------------------------------------------------

// multipathd has made the session's recovery_tmo short, as it does by default.
void make_paths(const Tree& tree) {
  make_initiator(tree);
  tree.add_map({"sda", "sdb"});
  tree.write(recovery_path, "5\n");
}

void a_path_keeps_its_short_recovery(void**) {
  const Tree tree;
  make_paths(tree);
  auto before = tree.contents();
  tune_once(tree);
  assert_string_equal(tree.read(recovery_path).c_str(), "5\n");
  assert_string_equal(tree.read(timeout_path).c_str(), "310\n");
  assert_non_null(
      strstr(tree.read(Tree::node_record).c_str(), "node.session.timeo.replacement_timeout = 5\n"));
  assert_non_null(strstr(tune_once(tree).c_str(), "nothing to change"));
  undo_once(tree);
  tree.remove(Tree::reconfigured);
  assert_true(tree.contents() == before);
}

void a_path_that_was_tuned_before_it_was_one_gets_a_short_recovery(void**) {
  const Tree tree;
  make_initiator(tree);
  tune_once(tree);
  assert_string_equal(tree.read(recovery_path).c_str(), "600\n");
  tree.add_map({"sda"});
  tune_once(tree);
  assert_string_equal(tree.read(recovery_path).c_str(), "5\n");
  undo_once(tree);
  assert_string_equal(tree.read(recovery_path).c_str(), "120\n");
}

void undo_knows_that_multipathd_made_the_recovery_short(void**) {
  const Tree tree;
  make_initiator(tree);
  tune_once(tree);
  tree.add_map({"sda"});
  tree.write(recovery_path, "5\n");
  tune_once(tree);
  undo_once(tree);
  assert_string_equal(tree.read(recovery_path).c_str(), "120\n");
}

void multipathd_gets_a_section_and_reads_it(void**) {
  const Tree tree;
  make_paths(tree);
  const std::string text = tune_once(tree);
  assert_non_null(strstr(text.c_str(), "/etc/multipath/conf.d/ballast.conf: written\n"));
  const multipath::Section written = multipath::parse(tree.read(multipath::file_path));
  const multipath::Identity disk{"BALLAST", "vol7", ""};
  assert_string_equal(multipath::said_of(written, disk, "no_path_retry")->c_str(), "queue");
  assert_string_equal(multipath::said_of(written, disk, "fast_io_fail_tmo")->c_str(), "5");
  assert_false(multipath::said_of(written, {"OTHER", "vol7", ""}, "no_path_retry").has_value());
  assert_string_equal(tree.read(Tree::reconfigured).c_str(), "ok\n");
  undo_once(tree);
  assert_false(tree.files().exists(multipath::file_path));
  assert_string_equal(tree.read(Tree::reconfigured).c_str(), "ok\nok\n");
}

void what_an_operator_says_to_multipathd_is_reported_and_left(void**) {
  const Tree tree;
  make_paths(tree);
  const char* const mine = "/etc/multipath/conf.d/mine.conf";
  tree.write(mine,
             "devices {\n device {\n  vendor \"BALLAST\"\n  product \"vol0\"\n"
             "  no_path_retry fail # we like errors\n }\n}\n");
  const std::string before = tree.read(mine);
  const std::string text = tune_once(tree);
  assert_non_null(strstr(text.c_str(),
                         "note: /etc/multipath/conf.d/mine.conf says no_path_retry fail for disks "
                         "of Ballast, and is left as it is; to outlive 10min, change it there to "
                         "queue, then multipathd reconfigure\n"));
  assert_string_equal(tree.read(mine).c_str(), before.c_str());
  const multipath::Section written = multipath::parse(tree.read(multipath::file_path));
  assert_false(multipath::said_of(written, {"BALLAST", "vol0", ""}, "no_path_retry").has_value());
  assert_true(multipath::said_of(written, {"BALLAST", "vol0", ""}, "fast_io_fail_tmo").has_value());
}

void an_operator_who_says_the_same_needs_no_section(void**) {
  const Tree tree;
  make_paths(tree);
  tree.write("/etc/multipath.conf",
             "devices {\n device {\n  vendor \"BALLAST\"\n  product \".*\"\n"
             "  no_path_retry 120\n  fast_io_fail_tmo 5\n }\n}\n");
  const std::string text = tune_once(tree);
  assert_null(strstr(text.c_str(), "multipath"));
  assert_false(tree.files().exists(multipath::file_path));
}

void a_machine_without_multipath_tools_gets_no_section(void**) {
  const Tree tree;
  make_initiator(tree);
  tune_once(tree);
  assert_false(tree.files().exists(multipath::file_path));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_dry_run_says_all_and_changes_nothing),
      cmocka_unit_test(tune_and_undo_leave_every_byte_as_it_was),
      cmocka_unit_test(iscsid_reads_what_the_block_says),
      cmocka_unit_test(a_second_tune_changes_nothing),
      cmocka_unit_test(two_at_once_is_one_too_many),
      cmocka_unit_test(another_length_keeps_the_first_undo),
      cmocka_unit_test(undo_twice_is_harmless),
      cmocka_unit_test(after_a_reboot_undo_works_under_other_names),
      cmocka_unit_test(what_somebody_changed_since_is_left),
      cmocka_unit_test(lines_others_add_to_iscsid_conf_stay),
      cmocka_unit_test(a_rule_of_that_name_comes_back),
      cmocka_unit_test(half_a_record_is_refused),
      cmocka_unit_test(a_record_that_was_not_finished_is_no_record),
      cmocka_unit_test(undo_works_where_tune_got_half_way),
      cmocka_unit_test(a_mark_without_its_partner_is_refused),
      cmocka_unit_test(json_says_the_same),
      cmocka_unit_test(without_rights_nothing_is_changed),
      cmocka_unit_test(a_machine_without_disks_is_set_for_those_to_come),
      cmocka_unit_test(a_machine_without_open_iscsi_is_told_so),
      cmocka_unit_test(better_settings_are_kept),
      cmocka_unit_test(doctor_agrees),
      cmocka_unit_test(the_goal_of_the_last_tune_is_kept),
      cmocka_unit_test(a_record_with_a_wrong_goal_is_refused),
      cmocka_unit_test(a_file_keeps_its_mode),
      cmocka_unit_test(iscsid_conf_is_changed_only_when_told_to),
      cmocka_unit_test(a_path_keeps_its_short_recovery),
      cmocka_unit_test(a_path_that_was_tuned_before_it_was_one_gets_a_short_recovery),
      cmocka_unit_test(undo_knows_that_multipathd_made_the_recovery_short),
      cmocka_unit_test(multipathd_gets_a_section_and_reads_it),
      cmocka_unit_test(what_an_operator_says_to_multipathd_is_reported_and_left),
      cmocka_unit_test(an_operator_who_says_the_same_needs_no_section),
      cmocka_unit_test(a_machine_without_multipath_tools_gets_no_section),
  };
  return cmocka_run_group_tests_name("tune", tests, nullptr, nullptr);
}
