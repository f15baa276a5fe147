// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

#include "targetcli-config/ballastctl/watch/watch.h"
#include "tests/ballastctl/tree.h"
#include "tests/cmocka.h"
#include "tests/json_manual.h"

using namespace ballast;
using namespace ballast::ctl::watch_events;
using ballast::test::Tree;

namespace {

std::array<std::byte, 56> uevent(std::uint32_t type, std::uint32_t first, std::uint32_t second,
                                 std::uint32_t third) {
  std::array<std::byte, 56> image{};
  std::memcpy(image.data(), &type, 4);
  std::memcpy(image.data() + 40, &first, 4);
  std::memcpy(image.data() + 44, &second, 4);
  std::memcpy(image.data() + 48, &third, 4);
  return image;
}

std::string list(const std::string& state, const std::string& stalled_for) {
  return R"({"version": 1, "report": "list", "luns": [{"name": "vol0", "unanswered": 3,
             "orphans": 0, "state": ")" +
         state + R"(", "stalled_for_ns": )" + stalled_for + "}]}";
}

std::string slow(int begun, const std::string& requests) {
  return R"({"version": 1, "report": "slow", "luns": [{"name": "vol0", "slow_ns": 1000000000,
             "slow_begun": )" +
         std::to_string(begun) + R"(, "requests": [)" + requests + "]}]}";
}

// The same LUN did not answer in time.
std::string silent(const std::string& report) {
  return R"({"version": 1, "report": ")" + report + R"(", "luns": [], "silent": ["vol0"]})";
}

const std::string request = R"json({"number": 7, "operation": "WRITE(10)", "opcode": 42,
    "lba": 2048, "blocks": 8, "bytes": 4096, "answer": "GOOD", "took_ns": 3200000000,
    "ended_for_ns": 5, "adopts": false,
    "time_in_ns": {"queue": 200000000, "fence": 0, "backend": 3000000000, "answer": 0}})json";

void a_lun_that_stalls_is_told_once(void**) {
  LunWatcher watcher;
  assert_int_equal(watcher.take_list(list("ok", "null")).size(), 0);
  const auto events = watcher.take_list(list("stalled", "3100000000"));
  assert_int_equal(events.size(), 1);
  assert_string_equal(events[0].event.c_str(), "stalled");
  assert_string_equal(events[0].text.c_str(), "stalled for 3.1 s, 3 commands unanswered");
  assert_int_equal(watcher.take_list(list("stalled", "4100000000")).size(), 0);
  assert_string_equal(watcher.take_list(list("ok", "null")).at(0).event.c_str(), "recovered");
}

void a_stalled_lun_that_is_silent_in_between_is_still_stalled(void**) {
  LunWatcher watcher;
  assert_int_equal(watcher.take_list(list("stalled", "3100000000")).size(), 1);
  assert_int_equal(watcher.take_list(silent("list")).size(), 0);
  assert_int_equal(watcher.take_list(list("stalled", "5100000000")).size(), 0);
  assert_int_equal(watcher.take_list(silent("list")).size(), 0);
  const auto events = watcher.take_list(list("ok", "null"));
  assert_int_equal(events.size(), 1);
  assert_string_equal(events[0].event.c_str(), "recovered");
}

void a_lun_that_is_closed_is_forgotten(void**) {
  LunWatcher watcher;
  assert_int_equal(watcher.take_list(list("stalled", "3100000000")).size(), 1);
  assert_int_equal(watcher.take_list(R"({"version": 1, "luns": [], "silent": []})").size(), 0);
  assert_int_equal(watcher.take_list(list("ok", "null")).size(), 0);
}

void a_lun_that_is_stalled_at_the_beginning_is_told(void**) {
  LunWatcher watcher;
  assert_int_equal(watcher.take_list(list("stalled", "9000000000")).size(), 1);
}

void slow_requests_are_told_at_both_ends(void**) {
  LunWatcher watcher;
  assert_int_equal(watcher.take_slow(slow(4, "")).size(), 0);
  const auto begun = watcher.take_slow(slow(5, ""));
  assert_int_equal(begun.size(), 1);
  assert_string_equal(begun[0].text.c_str(),
                      "1 more command is now slow: unanswered for more than 1 s");
  const auto ended = watcher.take_slow(slow(5, request));
  assert_int_equal(ended.size(), 1);
  assert_string_equal(ended[0].text.c_str(),
                      "slow: WRITE(10) at 2048, 8 blocks, took 3.2 s, GOOD: backend 3 s, queue 200 "
                      "ms");
  assert_int_equal(watcher.take_slow(slow(5, request)).size(), 0);
}

void what_became_slow_while_the_lun_was_silent_is_told(void**) {
  LunWatcher watcher;
  assert_int_equal(watcher.take_slow(slow(4, "")).size(), 0);
  assert_int_equal(watcher.take_slow(silent("slow")).size(), 0);
  const auto events = watcher.take_slow(slow(6, request));
  assert_int_equal(events.size(), 2);
  assert_string_equal(events[0].text.c_str(),
                      "2 more commands are now slow: unanswered for more than 1 s");
  assert_string_equal(events[1].event.c_str(), "slow");
}

void what_was_slow_before_is_not_told(void**) {
  LunWatcher watcher;
  assert_int_equal(watcher.take_slow(slow(5, request)).size(), 0);
  // Opened anew, it counts from the beginning.
  assert_int_equal(watcher.take_slow(slow(1, request)).size(), 0);
}

void an_answer_of_another_version_is_said_once(void**) {
  LunWatcher watcher;
  assert_int_equal(watcher.take_list(R"({"version": 2, "luns": []})").size(), 1);
  assert_int_equal(watcher.take_slow("nonsense").size(), 0);
  watcher.forget();
  assert_int_equal(watcher.take_list(R"({"version": 1, "luns": [{}]})").size(), 1);
}

void connection_errors_have_their_names(void**) {
  const auto image = uevent(102, 3, 0, 1021);
  const auto event = iscsi_event(image, {{3, "iqn.a:b"}});
  assert_true(event.has_value());
  assert_string_equal(event->subject.c_str(), "session3");
  assert_string_equal(event->text.c_str(), "connection error 1021 SCSI_EH_SESSION_RST (iqn.a:b)");
  assert_int_equal(event->details.at("error").get<int>(), 1021);
  assert_string_equal(iscsi_error_name(1022), "NOP_TIMEDOUT");
  assert_string_equal(iscsi_error_name(1000), "");
  assert_string_equal(iscsi_error_name(1023), "");
}

void sessions_come_and_go(void**) {
  // DESTROY has the host first, CREATE and UNBIND the session.
  assert_string_equal(iscsi_event(uevent(104, 2, 5, 0), {})->subject.c_str(), "session5");
  assert_string_equal(iscsi_event(uevent(105, 5, 2, 0), {})->subject.c_str(), "session5");
  assert_string_equal(iscsi_event(uevent(106, 5, 2, 0), {})->subject.c_str(), "session5");
  assert_string_equal(iscsi_event(uevent(109, 5, 0, 3), {})->text.c_str(),
                      "connection is logged in");
  assert_non_null(strstr(iscsi_event(uevent(109, 5, 0, 99), {})->text.c_str(), "unknown"));
}

void other_messages_are_passed_over(void**) {
  const auto image = uevent(11, 1, 2, 3);
  assert_false(iscsi_event(image, {}).has_value());
  assert_false(iscsi_event(std::span{image}.first(48), {}).has_value());
  assert_false(iscsi_event({}, {}).has_value());
}

void backstores_come_change_and_go(void**) {
  TcmuMessage message;
  message.device = "tcm-user/0/vol0/ballast/file=/srv/vol0.raw";
  message.command = 1;
  assert_string_equal(event_of(message)->subject.c_str(), "vol0");
  assert_string_equal(event_of(message)->text.c_str(),
                      "backstore added: ballast/file=/srv/vol0.raw");
  message.command = 2;
  assert_string_equal(event_of(message)->event.c_str(), "removed");
  message.command = 3;
  message.size_bytes = std::uint64_t{2} << 30;
  assert_string_equal(event_of(message)->text.c_str(), "backstore reconfigured: size 2 GiB");
  message.command = 4;
  assert_false(event_of(message).has_value());
  message.command = 1;
  message.device = "nonsense";
  assert_string_equal(event_of(message)->subject.c_str(), "nonsense");
}

void states_in_sysfs_are_compared(void**) {
  const Tree tree;
  const ctl::Files files = tree.files();
  tree.add_disk("sda", 0);
  tree.add_other_disk("sdb", "LIO-ORG ");
  StateWatcher watcher{files};
  assert_int_equal(watcher.look().size(), 0);
  assert_string_equal(watcher.targets().at(1).c_str(), Tree::iqn);
  tree.write(std::string{Tree::session} + "state", "FAILED\n");
  tree.write(std::string{Tree::device} + "0/state", "blocked\n");
  const auto failed = watcher.look();
  assert_int_equal(failed.size(), 2);
  assert_string_equal(failed[0].text.c_str(), "was running, is blocked");
  assert_string_equal(failed[1].text.c_str(), "was LOGGED_IN, is FAILED");
  tree.remove("/sys/block/sda");
  assert_string_equal(watcher.look().at(0).text.c_str(), "is gone");
  tree.add_disk("sdd", 3);
  const auto come = watcher.look();
  assert_string_equal(come.at(0).text.c_str(), "is a new disk, running");
}

// As one whose session goes between open(2) and read(2): a folder can be opened, too.
void an_attribute_whose_read_fails_is_passed_over(void**) {
  const Tree tree;
  const ctl::Files files = tree.files();
  tree.add_disk("sda", 0);
  StateWatcher watcher{files};
  assert_int_equal(watcher.look().size(), 0);
  tree.remove(std::string{Tree::session} + "state");
  tree.write(std::string{Tree::session} + "state/in-the-way", "");
  assert_string_equal(watcher.look().at(0).text.c_str(), "is gone");
}

void a_line_has_its_time(void**) {
  const Event event{"stalled", "vol\n0", "stalled", {{"unanswered", 3}}};
  assert_string_equal(as_text(event, 1'700'000'000'123'456'789).c_str(),
                      "2023-11-14 22:13:20.123  vol\\x0a0: stalled\n");
  const auto line = nlohmann::json::parse(as_json(event, 1'700'000'000'123'456'789));
  assert_string_equal(line.at("time").get<std::string>().c_str(), "2023-11-14T22:13:20.123+0000");
  assert_int_equal(line.at("details").at("unanswered").get<int>(), 3);
  const Event without_details{"slow", "vol0", "slow"};
  test::expect_as_in_manual(nlohmann::json::parse(as_json(without_details, 0)), {"watch"});
}

}  // namespace

int main() {
  ::setenv("TZ", "UTC", 1);
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_lun_that_stalls_is_told_once),
      cmocka_unit_test(a_stalled_lun_that_is_silent_in_between_is_still_stalled),
      cmocka_unit_test(a_lun_that_is_closed_is_forgotten),
      cmocka_unit_test(a_lun_that_is_stalled_at_the_beginning_is_told),
      cmocka_unit_test(slow_requests_are_told_at_both_ends),
      cmocka_unit_test(what_became_slow_while_the_lun_was_silent_is_told),
      cmocka_unit_test(what_was_slow_before_is_not_told),
      cmocka_unit_test(an_answer_of_another_version_is_said_once),
      cmocka_unit_test(connection_errors_have_their_names),
      cmocka_unit_test(sessions_come_and_go),
      cmocka_unit_test(other_messages_are_passed_over),
      cmocka_unit_test(backstores_come_change_and_go),
      cmocka_unit_test(states_in_sysfs_are_compared),
      cmocka_unit_test(an_attribute_whose_read_fails_is_passed_over),
      cmocka_unit_test(a_line_has_its_time),
  };
  return cmocka_run_group_tests_name("watch", tests, nullptr, nullptr);
}
