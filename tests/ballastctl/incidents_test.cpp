// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/watch/incidents.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/ballastctl/tree.h"
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::ctl::incidents;
using ballast::ctl::watch_events::Event;
using ballast::test::Tree;
using nlohmann::json;

namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t start = 1'700'000'000 * second;

struct Counted {
  unsigned commands = 100, good = 97, busy = 0, unanswered = 3, shed = 0, adoptions = 0, errors = 0;
};

json lun_of(const Counted& counted) {
  return {{"name", "vol0"},
          {"stalled_for_ns", nullptr},
          {"unanswered", counted.unanswered},
          {"counters",
           {{"commands", counted.commands},
            {"good", counted.good},
            {"check_condition", 0},
            {"busy", counted.busy},
            {"task_set_full", 0},
            {"held", 0},
            {"deadlines", 0},
            {"shed", counted.shed},
            {"aborted", 0},
            {"adoptions", counted.adoptions}}},
          {"store_errors", {{{"operation", "write"}, {"count", counted.errors}}}}};
}

Event stalled(const Counted& counted) {
  json lun = lun_of(counted);
  lun["command"] = {
      {"operation", "WRITE (10)"}, {"lba", 2048}, {"blocks", 8}, {"stage", "backend"}};
  return {"stalled", "vol0", "", lun};
}

Event recovered(const Counted& counted) {
  json lun = lun_of(counted);
  lun["cost"] = json::object();
  return {"recovered", "vol0", "", lun};
}

std::string stats(const Counted& counted) {
  return json{{"luns", {lun_of(counted)}}, {"silent", json::array()}}.dump();
}

std::string list(const std::string& luns, const std::string& silent = "[]") {
  return fmt::format(R"({{"luns": {}, "silent": {}}})", luns, silent);
}

Incident only(IncidentWatcher& watcher) {
  const auto ended = watcher.ended();
  assert_int_equal(ended.size(), 1);
  return ended[0];
}

void an_incident_has_what_it_cost_when_it_has_settled(void**) {
  IncidentWatcher watcher;
  watcher.take(stalled({}), start);
  watcher.take(recovered({.good = 100, .busy = 4, .unanswered = 0, .shed = 4}),
               start + 10 * second);
  assert_false(watcher.wants_stats(start + 11 * second));
  assert_true(watcher.ended().empty());
  assert_true(watcher.wants_stats(start + 12 * second));
  watcher.take_stats(stats({.commands = 104,
                            .good = 100,
                            .busy = 4,
                            .unanswered = 0,
                            .shed = 4,
                            .adoptions = 2,
                            .errors = 1}),
                     start + 12 * second);
  const Incident incident = only(watcher);
  assert_true(incident.at("lun") == "vol0" && incident.at("ended") == "recovered");
  assert_true(incident.at("since") == "2023-11-14T22:13:20.000+0000");
  assert_true(incident.at("until") == "2023-11-14T22:13:30.000+0000");
  assert_true(incident.at("seconds") == 10.0 && incident.at("begun_before") == false);
  assert_true(incident.at("held") == 0 && incident.at("answered_early") == 4);
  assert_true(incident.at("adopted") == 2 && incident.at("errors") == 1);
  assert_true(incident.at("lost") == 0);
  assert_true(incident.at("operation") == "WRITE (10)" && incident.at("lba") == 2048);
  assert_false(watcher.wants_stats(start + 60 * second));
}

void a_command_that_nobody_answered_is_lost(void**) {
  IncidentWatcher watcher;
  watcher.take(stalled({}), start);
  watcher.take(recovered({}), start + second);
  watcher.take_stats(stats({.commands = 105, .good = 100, .unanswered = 2}), start + 3 * second);
  assert_true(only(watcher).at("lost") == 3);
}

void one_that_stalls_again_while_it_settles_is_two(void**) {
  IncidentWatcher watcher;
  watcher.take(stalled({}), start);
  watcher.take(recovered({.shed = 1}), start + second);
  watcher.take(stalled({.shed = 3}), start + 2 * second);
  const Incident first = only(watcher);
  assert_true(first.at("answered_early") == 3 && first.at("seconds") == 1.0);
  watcher.take(recovered({.shed = 4}), start + 5 * second);
  watcher.take_stats(stats({.shed = 4}), start + 9 * second);
  assert_true(only(watcher).at("answered_early") == 1);
}

// As with a plugin that sends no signals, and when the watch begins late.
void one_that_only_the_list_tells_of_is_counted_from_then_on(void**) {
  IncidentWatcher watcher;
  watcher.take({"stalled", "vol0", "", {{"stalled_for_ns", 4 * second}}}, start + 4 * second);
  assert_true(watcher.wants_stats(start + 4 * second));
  watcher.take_stats(stats({.shed = 5}), start + 4 * second);
  assert_false(watcher.wants_stats(start + 5 * second));
  watcher.take({"recovered", "vol0", "", {{"stalled_for_ns", nullptr}}}, start + 9 * second);
  watcher.take_stats(stats({.shed = 7}), start + 11 * second);
  const Incident incident = only(watcher);
  assert_true(incident.at("seconds") == 9.0 && incident.at("begun_before") == true);
  assert_true(incident.at("answered_early") == 2 && incident.at("operation").is_null());
}

void one_under_way_when_the_watch_ends_is_written_as_such(void**) {
  IncidentWatcher watcher;
  watcher.take(stalled({}), start);
  watcher.take_stats(stats({.shed = 2}), start + 6 * second);
  watcher.watch_ends(start + 8 * second);
  const Incident incident = only(watcher);
  assert_true(incident.at("ended") == "watch ended" && incident.at("until").is_null());
  assert_true(incident.at("seconds") == 8.0 && incident.at("answered_early") == 2);
  assert_true(incident.at("lost").is_null());
}

void one_whose_daemon_ends_ends_with_it(void**) {
  IncidentWatcher watcher;
  watcher.take(stalled({}), start);
  watcher.daemon_ended(start + 8 * second);
  const Incident incident = only(watcher);
  assert_true(incident.at("ended") == "daemon ended" && incident.at("lost").is_null());
  assert_true(incident.at("until") == "2023-11-14T22:13:28.000+0000");
}

void one_whose_lun_is_closed_ends_and_a_silent_lun_is_there(void**) {
  IncidentWatcher watcher;
  watcher.take(stalled({}), start);
  watcher.take_list(list("[]", R"(["vol0"])"), start + second);
  watcher.take_list(list(R"([{"name": "vol0"}])"), start + 2 * second);
  assert_true(watcher.ended().empty());
  watcher.take_list(list("[]"), start + 3 * second);
  assert_true(only(watcher).at("ended") == "closed");
}

void counters_that_began_anew_are_not_subtracted(void**) {
  IncidentWatcher watcher;
  watcher.take(stalled({.shed = 9}), start);
  watcher.take(recovered({.shed = 9}), start + second);
  watcher.take_stats(stats({.shed = 1}), start + 4 * second);
  assert_true(only(watcher).at("answered_early").is_null());
}

void an_answer_of_another_form_is_passed_over(void**) {
  IncidentWatcher watcher;
  watcher.take({"stalled", "vol0", "", json::object()}, start);
  watcher.take(stalled({}), start);
  for (const char* const text : {"", "{}", "[]", R"({"luns": [{"name": "vol0"}], "silent": []})"}) {
    watcher.take_stats(text, start);
  }
  watcher.take_list("nonsense", start);
  assert_true(watcher.ended().empty());
}

// --- the file

Incident line(const std::string& lun) {
  return {{"version", 1}, {"lun", lun}, {"since", "now"}, {"since_unix_ms", 5}, {"seconds", 1.5}};
}

void lines_come_back_as_they_were_written(void**) {
  const Tree tree;
  const IncidentFile file{tree.root() + "/incidents"};
  assert_true(file.read().ok() && file.read().value().incidents.empty());
  assert_true(file.append(line("a")).ok() && file.append(line("b\n\xff")).ok());
  const auto read = file.read().value();
  assert_int_equal(read.incidents.size(), 2);
  assert_int_equal(read.unreadable, 0);
  assert_true(read.incidents[0] == line("a"));
}

void a_torn_line_and_garbage_are_left_out_and_counted(void**) {
  const Tree tree;
  const IncidentFile file{tree.root() + "/incidents"};
  assert_true(file.append(line("a")).ok());
  const std::string whole = tree.read("/incidents");
  tree.write("/incidents", "\x01garbage\n{}\n" + whole + whole.substr(0, 20));
  assert_true(file.append(line("b")).ok());
  const auto read = file.read().value();
  assert_int_equal(read.incidents.size(), 2);
  assert_int_equal(read.unreadable, 3);
  assert_true(read.incidents[1].at("lun") == "b");
}

void a_file_that_is_full_becomes_the_old_one(void**) {
  const Tree tree;
  const IncidentFile file{tree.root() + "/incidents"};
  assert_true(file.append(line("a")).ok());
  tree.write("/incidents", tree.read("/incidents") + std::string(IncidentFile::largest, '\n'));
  assert_true(file.append(line("b")).ok());
  assert_true(std::filesystem::file_size(tree.root() + "/incidents") < 1000);
  const auto read = file.read().value();
  assert_int_equal(read.incidents.size(), 2);
  assert_true(read.incidents[0].at("lun") == "a" && read.incidents[1].at("lun") == "b");
}

void a_file_that_cannot_be_written_is_named(void**) {
  const Tree tree;
  const std::string path = tree.root() + "/no-such-folder/incidents";
  const Result<void> result = IncidentFile{path}.append(line("a"));
  assert_false(result.ok());
  assert_non_null(
      strstr(result.error().message.c_str(), "no-such-folder/incidents cannot be written"));
}

}  // namespace

int main() {
  ::setenv("TZ", "UTC", 1);
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_incident_has_what_it_cost_when_it_has_settled),
      cmocka_unit_test(a_command_that_nobody_answered_is_lost),
      cmocka_unit_test(one_that_stalls_again_while_it_settles_is_two),
      cmocka_unit_test(one_that_only_the_list_tells_of_is_counted_from_then_on),
      cmocka_unit_test(one_under_way_when_the_watch_ends_is_written_as_such),
      cmocka_unit_test(one_whose_daemon_ends_ends_with_it),
      cmocka_unit_test(one_whose_lun_is_closed_ends_and_a_silent_lun_is_there),
      cmocka_unit_test(counters_that_began_anew_are_not_subtracted),
      cmocka_unit_test(an_answer_of_another_form_is_passed_over),
      cmocka_unit_test(lines_come_back_as_they_were_written),
      cmocka_unit_test(a_torn_line_and_garbage_are_left_out_and_counted),
      cmocka_unit_test(a_file_that_is_full_becomes_the_old_one),
      cmocka_unit_test(a_file_that_cannot_be_written_is_named),
  };
  return cmocka_run_group_tests_name("incidents", tests, nullptr, nullptr);
}
