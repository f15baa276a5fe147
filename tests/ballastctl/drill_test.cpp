// SPDX-License-Identifier: Apache-2.0
// The parts of `ballastctl drill` that need no kernel: what a machine lacks, what a drill has left,
// what the onlooker sees in the daemon's answers and on made-up machines, and what comes of it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "targetcli-config/ballastctl/drill/load.h"
#include "targetcli-config/ballastctl/drill/onlooker.h"
#include "targetcli-config/ballastctl/drill/rig.h"
#include "targetcli-config/ballastctl/drill/verdict.h"
#include "tests/ballastctl/tree.h"
#include "tests/cmocka.h"
#include "tests/json_manual.h"

using namespace ballast;
using namespace ballast::ctl;
using ballast::test::Tree;
using drill::Onlooker;
using drill::Verdict;
using drill::Witness;
using nlohmann::json;

namespace {

constexpr std::uint64_t ms = 1'000'000;

void make_ready(const Tree& tree) {
  tree.write("/usr/sbin/dmsetup", "");
  tree.write("/usr/sbin/losetup", "");
  tree.write("/usr/bin/iscsiadm", "");
  tree.write("/sys/kernel/config/target/core/alua/x", "");
  tree.write("/etc/iscsi/initiatorname.iscsi", "# comment\nInitiatorName=iqn.2026-01.org.a\n");
}

json latency(std::uint64_t longest_ns, const json& buckets) {
  const json none{{"longest_ns", 0}, {"buckets", json::array()}};
  return {{"reads", {{"longest_ns", longest_ns}, {"buckets", buckets}}},
          {"writes", none},
          {"others", none}};
}

json lun(const std::string& name, const json& changes = json::object()) {
  json all{{"name", name},
           {"state", "ok"},
           {"open_for_ns", 1000},
           {"counters",
            {{"stuck", 0},
             {"stalls", 3},
             {"deadlines", 0},
             {"shed", 0},
             {"busy", 2},
             {"task_set_full", 0}}},
           {"latency", latency(900 * ms, {{10 * ms, 4}, {1000 * ms, 1}})}};
  all.merge_patch(changes);
  return all;
}

Result<std::string> answer(const std::vector<json>& luns,
                           const std::vector<std::string>& silent = {}) {
  return json{{"version", 1}, {"luns", luns}, {"silent", silent}}.dump();
}

Witness witness(const Onlooker& onlooker, const std::string& kind, const std::string& name) {
  const std::vector<Witness> all = onlooker.witnesses();
  const auto found = std::ranges::find_if(
      all, [&](const Witness& each) { return each.kind == kind && each.name == name; });
  assert_true(found != all.end());
  return *found;
}

std::string troubles(const Witness& of) {
  return fmt::format("{}", fmt::join(of.troubles, "; "));
}

void a_machine_that_lacks_something_is_told_what(void**) {
  const Tree tree;
  make_ready(tree);
  assert_false(drill::lacking(tree.files()).has_value());
  for (const auto& [path, wanted] : {std::pair{"/usr/sbin/dmsetup", "apt install dmsetup"},
                                     std::pair{"/usr/sbin/losetup", "apt install util-linux"},
                                     std::pair{"/usr/bin/iscsiadm", "apt install open-iscsi"},
                                     std::pair{"/sys/kernel/config/target", "ballast-kmod load"},
                                     std::pair{"/etc/iscsi", "InitiatorName="}}) {
    const Tree other;
    make_ready(other);
    other.remove(path);
    const auto said = drill::lacking(other.files());
    assert_true(said.has_value() && said->find(wanted) != std::string::npos);
  }
}

void what_a_drill_has_left_is_found(void**) {
  const Tree tree;
  make_ready(tree);
  tree.add_disk("sda", 0);
  tree.add_backstore("vol0", 0, "null");
  tree.write("/sys/block/dm-0/dm/name", "other\n");
  tree.write("/sys/block/loop0/loop/backing_file", "/srv/other\n");
  assert_true(drill::leftovers(tree.files()).empty());
  tree.write("/sys/class/iscsi_session/session7/targetname", std::string{drill::target} + "\n");
  tree.write(fmt::format("/etc/iscsi/nodes/{}/x", drill::target), "");
  tree.write(fmt::format("/sys/kernel/config/target/iscsi/{}/tpgt_1/enable", drill::target), "1");
  tree.add_backstore(drill::name, 3, "file=/dev/mapper/ballast-drill");
  tree.write("/sys/block/dm-3/dm/name", "ballast-drill\n");
  tree.write("/sys/block/loop5/loop/backing_file", std::string{drill::store} + " (deleted)\n");
  tree.write(drill::store, "");
  const std::vector<std::string> left = drill::leftovers(tree.files());
  assert_string_equal(
      fmt::format("{}", fmt::join(left, ", ")).c_str(),
      "the session session7, the node record of iqn.2026-01.org.ballast:drill, the target "
      "iqn.2026-01.org.ballast:drill, the backstore user_3/ballast-drill, the device "
      "/dev/mapper/ballast-drill, the device /dev/loop5, the file /var/lib/ballast/drill/store");
}

void a_block_is_known_by_its_number_and_its_writing(void**) {
  std::array<std::byte, drill::load_block> block{};
  drill::stamp(block, 7, 3);
  assert_true(drill::has_stamp(block, 7, 3));
  assert_false(drill::has_stamp(block, 8, 3));
  assert_false(drill::has_stamp(block, 7, 2));
  for (const std::size_t at :
       {std::size_t{0}, std::size_t{30}, block.size() - 5, block.size() - 1}) {
    block.at(at) ^= std::byte{1};
    assert_false(drill::has_stamp(block, 7, 3));
    block.at(at) ^= std::byte{1};
  }
}

void the_longest_answer_is_that_of_the_drill_alone(void**) {
  const json before = latency(900 * ms, {{10 * ms, 4}, {1000 * ms, 1}});
  const auto between = [&](const json& after) {
    return static_cast<std::uint64_t>(drill::longest_between(before, after).count()) / ms;
  };
  assert_int_equal(between(before), 0);
  assert_int_equal(between(latency(900 * ms, {{10 * ms, 9}, {1000 * ms, 1}})), 10);
  assert_int_equal(between(latency(900 * ms, {{10 * ms, 4}, {40 * ms, 1}, {1000 * ms, 1}})), 40);
  // No longer than the longest of all.
  assert_int_equal(between(latency(900 * ms, {{10 * ms, 4}, {1000 * ms, 2}})), 900);
  assert_int_equal(between(latency(950 * ms, {{10 * ms, 4}, {1000 * ms, 2}})), 950);
}

void a_lun_that_goes_on_has_outlived_it(void**) {
  const Tree tree;
  const Files files = tree.files();
  Onlooker onlooker{files, "mine"};
  onlooker.look(answer({lun("mine"), lun("vol0")}));
  const json busy{
      {"state", "stalled"},
      {"counters", {{"stalls", 4}, {"deadlines", 9}, {"busy", 9}, {"task_set_full", 1}}}};
  onlooker.look(answer({lun("mine", busy), lun("vol0")}));
  assert_string_equal(troubles(witness(onlooker, "LUN", "mine")).c_str(), "");
  assert_int_equal(witness(onlooker, "LUN", "mine").busy, 8);
  assert_string_equal(troubles(witness(onlooker, "LUN", "vol0")).c_str(), "");
  assert_int_equal(witness(onlooker, "LUN", "vol0").busy, 0);
  assert_string_equal(troubles(witness(onlooker, "daemon", "tcmu-runner")).c_str(), "");
}

void what_befalls_a_lun_is_told_once(void**) {
  const Tree tree;
  const Files files = tree.files();
  Onlooker onlooker{files, "mine"};
  onlooker.look(answer({lun("mine"), lun("a"), lun("b"), lun("c"), lun("d")}));
  const json late{{"counters", {{"deadlines", 1}}}};
  for (int i = 0; i < 2; ++i) {
    onlooker.look(answer({lun("mine", {{"counters", {{"stuck", 1}}}}),
                          lun("a", {{"state", "stalled"}}), lun("b", late)},
                         {"c"}));
  }
  assert_string_equal(troubles(witness(onlooker, "LUN", "mine")).c_str(),
                      "had a thread that did not go on for 5 s");
  assert_string_equal(troubles(witness(onlooker, "LUN", "a")).c_str(), "stalled");
  assert_string_equal(troubles(witness(onlooker, "LUN", "b")).c_str(),
                      "answered commands BUSY because of their age");
  assert_string_equal(troubles(witness(onlooker, "LUN", "c")).c_str(), "did not answer the daemon");
  assert_string_equal(troubles(witness(onlooker, "LUN", "d")).c_str(), "is gone");
}

void a_daemon_that_does_not_answer_has_not_outlived_it(void**) {
  const Tree tree;
  const Files files = tree.files();
  Onlooker onlooker{files, "mine"};
  onlooker.look(answer({lun("mine")}));
  onlooker.look(Error{ETIMEDOUT, "tcmu-runner did not answer within 5 s"});
  assert_string_equal(troubles(witness(onlooker, "daemon", "tcmu-runner")).c_str(),
                      "tcmu-runner did not answer within 5 s");
}

void sessions_and_disks_are_looked_at(void**) {
  const Tree tree;
  tree.add_disk("sda", 0);
  tree.add_disk("sdb", 1);
  const Files files = tree.files();
  const std::string state = std::string{Tree::session} + "state";
  Onlooker onlooker{files, "mine"};
  onlooker.look(answer({}));
  assert_string_equal(witness(onlooker, "disk", "sdb").about.c_str(),
                      "LUN 1 of iqn.2026-01.org.ballast:test");
  tree.write(state, "FAILED\n");
  tree.write(std::string{Tree::device} + "0/state", "offline\n");
  onlooker.hear({{"connection_error", "session1", "connection error 1021 SCSI_EH_SESSION_RST (x)",
                  json::object()},
                 {"session_created", "session1", "session made", json::object()}});
  onlooker.look(answer({}));
  tree.write(state, "LOGGED_IN\n");
  tree.remove("/sys/block/sdb");
  onlooker.look(answer({}));
  assert_string_equal(troubles(witness(onlooker, "session", "session1")).c_str(),
                      "connection error 1021 SCSI_EH_SESSION_RST; was FAILED");
  assert_string_equal(troubles(witness(onlooker, "disk", "sda")).c_str(), "was offline");
  assert_string_equal(troubles(witness(onlooker, "disk", "sdb")).c_str(), "is gone");
}

void the_sessions_that_the_target_serves_are_looked_at(void**) {
  const Tree tree;
  const std::string info = std::string{Tree::acl} + "info";
  const std::string of = "iqn.2026-01.org.a at iqn.2026-01.org.ballast:test";
  tree.write(info, "InitiatorName: iqn.2026-01.org.a\nLIO Session ID: 4   ISID: 0x00 TSIH: 4\n");
  const Files files = tree.files();
  Onlooker onlooker{files, "mine"};
  onlooker.look(answer({}));
  onlooker.look(answer({}));
  assert_string_equal(troubles(witness(onlooker, "initiator", of)).c_str(), "");
  tree.write(info, "No active iSCSI Session for Initiator Endpoint: iqn.2026-01.org.a\n");
  onlooker.look(answer({}));
  tree.write(info, "LIO Session ID: 5   ISID: 0x00 TSIH: 5\n");
  onlooker.look(answer({}));
  assert_string_equal(troubles(witness(onlooker, "initiator", of)).c_str(),
                      "lost its session; had to log in again");
}

void of_the_kernel_log_warnings_and_iscsi_are_shown(void**) {
  assert_string_equal(
      drill::kernel_message("4,11,5,-;INFO: something odd\n SUBSYSTEM=x\n").value_or("").c_str(),
      "INFO: something odd");
  assert_string_equal(drill::kernel_message("6,12,5,-; connection1:0: detected conn error (1021)\n")
                          .value_or("")
                          .c_str(),
                      " connection1:0: detected conn error (1021)");
  assert_false(drill::kernel_message("6,13,5,-;eth0: link is up\n").has_value());
  assert_false(drill::kernel_message("12,14,5,-;a program wrote this\n").has_value());
  assert_false(drill::kernel_message("").has_value());
}

Verdict good() {
  Verdict verdict;
  verdict.freeze = std::chrono::seconds{20};
  verdict.frozen_for = std::chrono::seconds{21};
  verdict.size = Bytes{64 << 20};
  verdict.load = {.writes = 5, .reads = 6, .longest = std::chrono::seconds{20}};
  verdict.witnesses = {
      {"daemon", "tcmu-runner", "", std::nullopt, 0, {}},
      {"LUN", "vol0", "", std::chrono::milliseconds{400}, 7, {}},
      {"LUN", "idle", "", Nanoseconds{}, 0, {}},
      {"session", "session1", "to iqn.a", std::nullopt, 0, {}},
  };
  return verdict;
}

void all_have_outlived_it(void**) {
  const std::string text = as_text(good());
  assert_string_equal(
      text.c_str(),
      "the program that wrote to the frozen LUN: outlived it; 5 writes and 6 reads, "
      "the longest of which took 20 s\n"
      "daemon tcmu-runner: outlived it\n"
      "LUN vol0: outlived it; longest answer 400 ms; 7 commands were answered BUSY, to be sent "
      "again\n"
      "LUN idle: outlived it; it was asked for nothing\n"
      "session session1 (to iqn.a): outlived it\n"
      "ok: all have outlived a freeze of 21 s\n");
}

void one_that_has_not_is_named_and_doctor_is_advised(void**) {
  Verdict verdict = good();
  verdict.witnesses.back().troubles = {"was FAILED", "is gone"};
  verdict.load.errors = 2;
  verdict.load.first_error = EIO;
  assert_false(verdict.outlived());
  const std::string text = as_text(verdict);
  assert_non_null(std::strstr(
      text.c_str(), "session session1 (to iqn.a): did NOT outlive it: was FAILED; is gone\n"));
  assert_non_null(
      std::strstr(text.c_str(),
                  "frozen LUN: did NOT outlive it: 2 reads and writes failed, the first "
                  "with \"Input/output error\""));
  assert_non_null(std::strstr(text.c_str(), "ballastctl doctor says what to change"));
}

void each_trouble_of_the_load_counts(void**) {
  Verdict verdict = good();
  verdict.load.wrong_blocks = 1;
  assert_false(verdict.outlived());
  verdict = good();
  verdict.behind = 1;
  assert_false(verdict.outlived());
  verdict = good();
  verdict.is_interrupted = true;
  assert_false(verdict.outlived());
  assert_true(good().outlived());
}

void the_document_is_as_the_manual_says(void**) {
  Verdict verdict = good();
  verdict.witnesses.back().troubles = {"is gone"};
  verdict.kernel = {"x"};
  const nlohmann::ordered_json document = as_json(verdict);
  assert_false(document.at("ok").get<bool>());
  assert_int_equal(document.at("seen").at(1).at("longest_ns").get<std::uint64_t>(), 400 * ms);
  assert_true(document.at("seen").at(3).at("longest_ns").is_null());
  test::expect_as_in_manual(document, {"OTHER DOCUMENTS", "drill"});
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_machine_that_lacks_something_is_told_what),
      cmocka_unit_test(what_a_drill_has_left_is_found),
      cmocka_unit_test(a_block_is_known_by_its_number_and_its_writing),
      cmocka_unit_test(the_longest_answer_is_that_of_the_drill_alone),
      cmocka_unit_test(a_lun_that_goes_on_has_outlived_it),
      cmocka_unit_test(what_befalls_a_lun_is_told_once),
      cmocka_unit_test(a_daemon_that_does_not_answer_has_not_outlived_it),
      cmocka_unit_test(sessions_and_disks_are_looked_at),
      cmocka_unit_test(the_sessions_that_the_target_serves_are_looked_at),
      cmocka_unit_test(of_the_kernel_log_warnings_and_iscsi_are_shown),
      cmocka_unit_test(all_have_outlived_it),
      cmocka_unit_test(one_that_has_not_is_named_and_doctor_is_advised),
      cmocka_unit_test(each_trouble_of_the_load_counts),
      cmocka_unit_test(the_document_is_as_the_manual_says),
  };
  return cmocka_run_group_tests_name("drill", tests, nullptr, nullptr);
}
