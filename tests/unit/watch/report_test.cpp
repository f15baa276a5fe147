// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/report.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/cmocka.h"
#include "tests/json_manual.h"

using namespace ballast;
using namespace ballast::watch;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr TimePoint now{1000s};

CommandRecord command_of_age(std::uint64_t number, Nanoseconds age) {
  CommandRecord record;
  record.number = number;
  record.name = "WRITE(10)";
  record.opcode = 0x2a;
  record.has_range = true;
  record.lba = Lba{2048};
  record.blocks = BlockCount{8};
  record.arrived = record.stage_since = TimePoint{} + (now - TimePoint{} - age);
  return record;
}

LunSnapshot lun_named(const char* name) {
  LunSnapshot lun;
  lun.name = name;
  lun.configuration = "file=/srv/vol0.raw;cache=buffered";
  lun.backend = "file=/srv/vol0.raw";
  lun.capacity = Bytes{1 << 30};
  lun.logical_block = Bytes{512};
  lun.deadline = 20s;
  lun.slow = 1s;
  lun.stall_after = 3s;
  lun.stall_window = 8;
  lun.queue_depth = 128;
  lun.now = now;
  lun.opened = TimePoint{400s};
  return lun;
}

using Write = decltype(report::Report::write);

// The one LUN of a document.
json only_lun(Write write, const LunSnapshot& lun) {
  const json document = json::parse(write({&lun, 1}, {}));
  assert_int_equal(document["luns"].size(), 1);
  return document["luns"][0];
}

std::vector<std::string> members(const json& object) {
  std::vector<std::string> names;
  for (const auto& item : object.items()) {
    names.push_back(item.key());
  }
  return names;
}

// In alphabetical order, as the parser keeps them.
void expect_members(const json& object, std::vector<std::string> expected) {
  std::ranges::sort(expected);
  const std::vector<std::string> found = members(object);
  if (found != expected) {
    print_error("%s\n", object.dump(1).c_str());
    assert_true(false);
  }
}

void every_document_says_what_it_is(void**) {
  const std::vector<LunSnapshot> luns = {lun_named("b"), lun_named("a")};
  for (const report::Report& report : report::all()) {
    const json document = json::parse(report.write(luns, {{"c\xff", "d"}, {}}));
    expect_members(document, {"version", "report", "luns", "silent", "stuck"});
    assert_true(document["silent"][0] == "c\xef\xbf\xbd" && document["silent"][1] == "d");
    assert_true(document["version"] == 1);
    std::string kind = report.method.name;
    std::ranges::transform(kind, kind.begin(), [](char c) { return std::tolower(c); });
    assert_true(document["report"] == kind);
    assert_true(document["luns"][0]["name"] == "b");
    assert_true(document["luns"][1]["name"] == "a");
    assert_true(json::parse(report.write({}, {}))["luns"] == json::array());
  }
}

void a_stuck_thread_is_told_in_every_document(void**) {
  const FromOutside outside{.silent = {"vol0"},
                            .stuck = {{.lun = "vol0",
                                       .for_how_long = 12s,
                                       .thread = 4711,
                                       .thread_name = "ballast/vol0",
                                       .state = 'D',
                                       .drives = true,
                                       .task = "READ(10)",
                                       .where = "file.cpp:98",
                                       .what = "the coroutine",
                                       .kernel_place = "in io_schedule"},
                                      {.lun = "vol1", .what = "messages"}}};
  for (const report::Report& report : report::all()) {
    const json stuck = json::parse(report.write({}, outside))["stuck"];
    assert_int_equal(stuck.size(), 2);
    assert_true(stuck[0] == json({{"lun", "vol0"},
                                  {"for_ns", 12'000'000'000},
                                  {"thread", 4711},
                                  {"thread_name", "ballast/vol0"},
                                  {"thread_state", "D"},
                                  {"drives", true},
                                  {"task", "READ(10)"},
                                  {"where", "file.cpp:98"},
                                  {"what", "the coroutine"},
                                  {"in_kernel", "in io_schedule"}}));
    assert_true(stuck[1]["task"].is_null() && stuck[1]["where"].is_null());
    assert_true(stuck[1]["in_kernel"].is_null());
  }
}

// What each counter means is in counters.h.
void the_manual_has_every_report_and_member(void**) {
  LunSnapshot lun = lun_named("vol0");
  lun.in_flight = {command_of_age(1, 1s)};
  lun.slow_requests = {{command_of_age(2, 2s), now, {"GOOD"}, ""}};
  lun.connection = "connected";
  lun.tasks = {{"patrol", "", "task_set.cpp:9", 0s}};
  lun.log = LogView{};
  lun.room = RoomView{};
  lun.store_errors = {{"write", "no space", 1, now}};
  for (const report::Report& report : report::all()) {
    json document = json::parse(report.write({&lun, 1}, {{}, {{.lun = "vol0"}}}));
    const std::string kind = document["report"];
    if (kind == "stats") {
      document["luns"][0]["counters"] = nullptr;
    }
    test::expect_as_in_manual(document,
                              {"DOCUMENTS OF THE DAEMON", kind == "log" ? "log status" : kind});
  }
}

void list_has_a_line_for_each_lun(void**) {
  LunSnapshot lun = lun_named("vol0");
  lun.unanswered = 3;
  lun.orphans = 2;
  lun.orphan_bytes = Bytes{8192};
  lun.counters.commands = 7;
  lun.counters.read = Bytes{4096};
  lun.oldest = TimePoint{lun.now.since_start - 9s};
  lun.mailbox = {.version = 2, .flags = 15, .ring_offset = 128, .ring_bytes = 8 << 20};
  const json told = only_lun(&report::list, lun);
  expect_members(
      told,
      {"name",        "at_ns",        "state",         "stalled_for_ns", "unanswered",
       "orphans",     "backend",      "configuration", "fault_control",  "capacity_bytes",
       "connection",  "access",       "log",           "owner",          "logical_block_bytes",
       "open_for_ns", "deadline_ns",  "slow_ns",       "stall_after_ns", "stall_window",
       "busy_for_ns", "max_iops",     "max_bandwidth", "burst_ns",       "queue_depth",
       "oldest_ns",   "orphan_bytes", "mailbox",       "counters",       "room"});
  assert_true(told["at_ns"] == 1000'000'000'000);
  assert_true(told["open_for_ns"] == 600'000'000'000);
  assert_true(told["deadline_ns"] == 20'000'000'000);
  assert_true(told["capacity_bytes"] == 1 << 30);
  assert_true(told["unanswered"] == 3);
  assert_true(told["orphans"] == 2);
  assert_true(told["orphan_bytes"] == 8192);
  assert_true(told["oldest_ns"] == 9'000'000'000);
  assert_true(told["fault_control"].is_null());
  assert_true(told["mailbox"] ==
              json({{"version", 2}, {"flags", 15}, {"ring_offset", 128}, {"ring_bytes", 8 << 20}}));
  expect_members(told["counters"], {"commands", "good", "check_condition", "busy", "task_set_full",
                                    "read_bytes", "written_bytes"});
  assert_true(told["counters"]["commands"] == 7);
  assert_true(told["counters"]["read_bytes"] == 4096);
  assert_true(only_lun(&report::list, lun_named("idle"))["oldest_ns"].is_null());
}

void a_stalled_lun_says_since_when(void**) {
  LunSnapshot lun = lun_named("vol0");
  for (const report::Report& report : report::all()) {
    assert_true(only_lun(report.write, lun)["state"] == "ok");
    assert_true(only_lun(report.write, lun)["stalled_for_ns"].is_null());
  }
  lun.stalled_since = TimePoint{988s};
  for (const report::Report& report : report::all()) {
    assert_true(only_lun(report.write, lun)["state"] == "stalled");
    assert_true(only_lun(report.write, lun)["stalled_for_ns"] == 12'000'000'000);
  }
}

void what_is_known_of_the_store_is_told(void**) {
  LunSnapshot lun = lun_named("vol0");
  for (const Write write : {&report::list, &report::inflight}) {
    assert_true(only_lun(write, lun)["connection"].is_null());
  }
  assert_true(only_lun(&report::inflight, lun)["waits_for"].is_null());
  lun.connection = "reconnecting";
  lun.connection_since = TimePoint{988s};
  lun.waits_for = "osd.3";
  lun.slow_requests = {{command_of_age(2, 2s), now, {"GOOD"}, "osd.4"}};
  for (const Write write : {&report::list, &report::inflight}) {
    assert_true(only_lun(write, lun)["connection"] ==
                json({{"state", "reconnecting"}, {"for_ns", 12'000'000'000}}));
  }
  assert_true(only_lun(&report::inflight, lun)["waits_for"] == "osd.3");
  assert_true(only_lun(&report::slow, lun)["requests"][0]["waited_for"] == "osd.4");
}

void the_list_says_how_much_room_the_store_has(void**) {
  LunSnapshot lun = lun_named("vol0");
  assert_true(only_lun(&report::list, lun)["room"].is_null());
  lun.room = RoomView{.free = Bytes{7}, .used = Bytes{5}, .soft_threshold = Bytes{9}};
  assert_true(only_lun(&report::list, lun)["room"] ==
              json({{"free_bytes", 7}, {"used_bytes", 5}, {"soft_threshold_bytes", 9}}));
}

void the_list_says_how_full_a_write_log_is(void**) {
  LunSnapshot lun = lun_named("vol0");
  assert_true(only_lun(&report::list, lun)["log"].is_null());
  lun.log.emplace();
  lun.log->used = Bytes{123};
  lun.log->size = Bytes{1000};
  assert_true(only_lun(&report::list, lun)["log"] ==
              json({{"state", "working"}, {"used_per_mille", 123}}));
}

void the_log_says_what_waits_in_it(void**) {
  LunSnapshot lun = lun_named("vol0");
  assert_true(only_lun(&report::log, lun)["log"].is_null());
  lun.log = watch::LogView{.state = "letting go",
                           .device = "file=/fast/vol0.log",
                           .used = Bytes{250},
                           .size = Bytes{1000},
                           .first = 7,
                           .last = 9,
                           .oldest = TimePoint{998s},
                           .store_speed = 5000,
                           .epoch = 12};
  assert_true(only_lun(&report::log, lun)["log"] == json({{"state", "letting go"},
                                                          {"used_per_mille", 250},
                                                          {"device", "file=/fast/vol0.log"},
                                                          {"used_bytes", 250},
                                                          {"size_bytes", 1000},
                                                          {"blocks", 3},
                                                          {"first_block", 7},
                                                          {"last_block", 9},
                                                          {"oldest_ns", 2'000'000'000},
                                                          {"store_bytes_per_s", 5000},
                                                          {"epoch", 12}}));
  lun.log->first = 10;
  lun.log->oldest.reset();
  lun.log->store_speed.reset();
  const json drained = only_lun(&report::log, lun)["log"];
  assert_true(drained["blocks"] == 0);
  assert_true(drained["oldest_ns"].is_null() && drained["store_bytes_per_s"].is_null());
}

void inflight_is_oldest_first(void**) {
  LunSnapshot lun = lun_named("vol0");
  lun.in_flight = {command_of_age(3, 1s), command_of_age(1, 30s), command_of_age(2, 7s)};
  const json commands = only_lun(&report::inflight, lun)["commands"];
  assert_int_equal(commands.size(), 3);
  assert_true(commands[0]["number"] == 1);
  assert_true(commands[1]["number"] == 2);
  assert_true(commands[2]["number"] == 3);
}

void a_command_in_flight_says_where_its_time_went(void**) {
  LunSnapshot lun = lun_named("vol0");
  CommandRecord record = command_of_age(4711, 10s);
  record.enter(Stage::fence, record.arrived + 1s);
  record.enter(Stage::backend, record.arrived + 4s);
  lun.in_flight = {record};
  const json told = only_lun(&report::inflight, lun)["commands"][0];
  expect_members(told, {"number", "operation", "opcode", "lba", "blocks", "bytes", "age_ns",
                        "stage", "stage_for_ns", "time_in_ns", "orphan", "answered_for_ns",
                        "adopts", "error_handler_in_ns"});
  assert_true(told["operation"] == "WRITE(10)");
  assert_true(told["opcode"] == 0x2a);
  assert_true(told["lba"] == 2048);
  assert_true(told["blocks"] == 8);
  assert_true(told["bytes"] == 4096);
  assert_true(told["age_ns"] == 10'000'000'000);
  assert_true(told["stage"] == "backend");
  assert_true(told["stage_for_ns"] == 6'000'000'000);
  assert_true(told["time_in_ns"] == json({{"queue", 1'000'000'000},
                                          {"limit", 0},
                                          {"fence", 3'000'000'000},
                                          {"elevator", 0},
                                          {"source", 0},
                                          {"backend", 6'000'000'000},
                                          {"log", 0},
                                          {"answer", 0}}));
  assert_true(told["orphan"] == false);
  assert_true(told["adopts"] == false);
  assert_true(told["answered_for_ns"].is_null());
  assert_true(told["error_handler_in_ns"] == 50'000'000'000);
}

void an_orphan_says_since_when(void**) {
  LunSnapshot lun = lun_named("vol0");
  CommandRecord record = command_of_age(1, 100s);
  record.has_range = false;
  record.orphan = true;
  record.answered = record.arrived + 20s;
  lun.in_flight = {record, command_of_age(2, 90s)};
  lun.in_flight[1].adopts = true;
  const json commands = only_lun(&report::inflight, lun)["commands"];
  assert_true(commands[0]["orphan"] == true);
  assert_true(commands[0]["answered_for_ns"] == 80'000'000'000);
  assert_true(commands[0]["error_handler_in_ns"].is_null());
  assert_true(commands[0]["lba"].is_null());
  assert_true(commands[0]["blocks"].is_null());
  assert_true(commands[0]["bytes"].is_null());
  assert_true(commands[1]["adopts"] == true);
  assert_true(commands[1]["error_handler_in_ns"] == 0);  // it has begun
}

void slow_has_what_ended(void**) {
  LunSnapshot lun = lun_named("vol0");
  CommandRecord record = command_of_age(5, 100s);
  record.enter(Stage::backend, record.arrived + 1s);
  lun.slow_requests = {{record, record.arrived + 21s, {"CHECK CONDITION"}, ""}};
  lun.slow_begun = 9;
  const json told = only_lun(&report::slow, lun);
  assert_true(told["slow_begun"] == 9);
  assert_true(told["slow_ns"] == 1'000'000'000);
  const json request = told["requests"][0];
  expect_members(request, {"number", "operation", "opcode", "lba", "blocks", "bytes", "answer",
                           "took_ns", "ended_for_ns", "time_in_ns", "adopts", "waited_for"});
  assert_true(request["waited_for"].is_null());
  assert_true(request["answer"] == "CHECK CONDITION");
  assert_true(request["took_ns"] == 21'000'000'000);
  assert_true(request["ended_for_ns"] == 79'000'000'000);
  assert_true(request["time_in_ns"]["backend"] == 20'000'000'000);
}

void stats_has_every_counter(void**) {
  LunSnapshot lun = lun_named("vol0");
  LunCounters& counters = lun.counters;
  counters = {.commands = 1,
              .good = 2,
              .check_condition = 3,
              .busy = 4,
              .task_set_full = 5,
              .deadlines = 6,
              .shed = 7,
              .aborted = 18,
              .orphaned = 8,
              .adoptions = 9,
              .adoption_refused = 10,
              .cancelled = 11,
              .held = 12,
              .stalls = 13,
              .read = Bytes{14},
              .written = Bytes{15}};
  lun.slow_begun = 16;
  lun.refused_wakes = 17;
  lun.times_stuck = 19;
  const json told = only_lun(&report::stats, lun)["counters"];
  assert_true(told == json({{"commands", 1},
                            {"good", 2},
                            {"check_condition", 3},
                            {"busy", 4},
                            {"task_set_full", 5},
                            {"deadlines", 6},
                            {"shed", 7},
                            {"aborted", 18},
                            {"orphaned", 8},
                            {"adoptions", 9},
                            {"adoption_refused", 10},
                            {"cancelled", 11},
                            {"held", 12},
                            {"stalls", 13},
                            {"read_bytes", 14},
                            {"written_bytes", 15},
                            {"slow", 16},
                            {"stuck", 19},
                            {"refused_wakes", 17}}));
  // One more counter in the structure is one more to report.
  static_assert(sizeof(LunCounters) == 16 * sizeof(std::uint64_t));
}

void stats_has_histograms(void**) {
  LunSnapshot lun = lun_named("vol0");
  for (int i = 0; i < 999; ++i) {
    lun.writes.add(1ms);
  }
  lun.writes.add(2s);
  lun.writes.add(2s);
  const json latency = only_lun(&report::stats, lun)["latency"];
  const json writes = latency["writes"];
  assert_true(writes["count"] == 1001);
  assert_true(writes["sum_ns"] == 4'999'000'000);
  assert_true(writes["mean_ns"] == 4'994'005);
  assert_true(writes["p50_ns"] == lun.writes.quantile(0.5).count());
  assert_true(writes["p99_ns"] == lun.writes.quantile(0.99).count());
  assert_true(writes["p999_ns"] == 2'000'000'000);
  assert_true(writes["longest_ns"] == 2'000'000'000);
  const json buckets = writes["buckets"];
  assert_int_equal(buckets.size(), 2);
  assert_true(buckets[0] == json::array({lun.writes.quantile(0.5).count(), 999}));
  assert_true(buckets[1][1] == 2);
  assert_true(buckets[1][0] >= 2'000'000'000);
  assert_true(latency["reads"] == json({{"count", 0},
                                        {"sum_ns", 0},
                                        {"mean_ns", 0},
                                        {"p50_ns", 0},
                                        {"p99_ns", 0},
                                        {"p999_ns", 0},
                                        {"longest_ns", 0},
                                        {"buckets", json::array()}}));
  assert_true(latency["others"]["count"] == 0);
}

void stats_says_how_long_commands_were_in_each_stage(void**) {
  LunSnapshot lun = lun_named("vol0");
  CommandRecord record;
  record.enter(Stage::backend, TimePoint{});
  lun.stages.add(record, TimePoint{1000ns});
  lun.stages.add(record, TimePoint{1030ns});
  const json stages = only_lun(&report::stats, lun)["stages"];
  assert_int_equal(stages.size(), stage_count);
  assert_true(
      stages["backend"] ==
      json({{"count", 2}, {"sum_ns", 2030}, {"buckets", json::array({{1024, 1}, {2048, 1}})}}));
  assert_true(stages["fence"] == json({{"count", 0}, {"sum_ns", 0}, {"buckets", json::array()}}));
}

void stats_has_the_errors_of_the_store(void**) {
  LunSnapshot lun = lun_named("vol0");
  assert_true(only_lun(&report::stats, lun)["store_errors"] == json::array());
  lun.store_errors = {{"write", "no space", 3, TimePoint{now.since_start - 5s}}};
  assert_true(only_lun(&report::stats, lun)["store_errors"] ==
              json({{{"operation", "write"},
                     {"error", "no space"},
                     {"count", 3},
                     {"last_for_ns", 5'000'000'000}}}));
}

void tasks_say_what_they_wait_for(void**) {
  LunSnapshot lun = lun_named("vol0");
  lun.tasks = {{"command", "range", "volume.cpp:123", 5s, {"volume.cpp:50", "task_set.cpp:1"}},
               {"patrol", "", "task_set.cpp:9", 0s}};
  const json tasks = only_lun(&report::tasks, lun)["tasks"];
  assert_true(tasks == json({{{"name", "command"},
                              {"waits_for", "range"},
                              {"where", "volume.cpp:123"},
                              {"for_ns", 5'000'000'000},
                              {"awaited_at", {"volume.cpp:50", "task_set.cpp:1"}}},
                             {{"name", "patrol"},
                              {"waits_for", nullptr},
                              {"where", "task_set.cpp:9"},
                              {"for_ns", 0},
                              {"awaited_at", json::array()}}}));
}

void large_numbers_are_exact_and_none_is_negative(void**) {
  LunSnapshot lun = lun_named("vol0");
  lun.capacity = Bytes{18'446'744'073'709'551'615U};
  lun.opened = now + 5s;  // a clock of another thread, read a moment later
  assert_true(only_lun(&report::list, lun)["capacity_bytes"] == 18'446'744'073'709'551'615U);
  assert_true(only_lun(&report::list, lun)["open_for_ns"] == 0);
  CommandRecord record = command_of_age(1, -2s);
  record.blocks = BlockCount{18'446'744'073'709'551'615U};
  lun.in_flight = {record};
  const json told = only_lun(&report::inflight, lun)["commands"][0];
  assert_true(told["age_ns"] == 0);
  assert_true(told["bytes"] == 18'446'744'073'709'551'615U);
}

void quotes_and_control_characters_come_back_as_they_were(void**) {
  LunSnapshot lun = lun_named("");
  lun.name = std::string("a\"b\\c\n\x1b[0m\0d\xc3\xa9", 15);
  assert_true(only_lun(&report::list, lun)["name"] == lun.name);
  const std::string text = report::list({&lun, 1}, {});
  for (const char c : text) {
    assert_true(static_cast<unsigned char>(c) >= 0x20);  // one line
  }
}

void what_is_not_utf8_is_replaced(void**) {
  LunSnapshot lun = lun_named(
      "a\xff"
      "b");
  assert_true(only_lun(&report::list, lun)["name"] ==
              "a\xef\xbf\xbd"
              "b");
}

// json::parse refuses text that is not UTF-8.
void any_bytes_in_any_name_give_json(void**) {
  const char* const given = std::getenv("BALLAST_SEED");
  const unsigned long seed =
      given != nullptr ? std::strtoul(given, nullptr, 0) : std::random_device{}();
  print_message("seed %lu\n", seed);
  std::mt19937_64 random{seed};
  const auto any_bytes = [&random] {
    std::string bytes(random() % 40, ' ');
    for (char& c : bytes) {
      c = static_cast<char>(random());
    }
    return bytes;
  };
  for (int round = 0; round < 1000; ++round) {
    LunSnapshot lun = lun_named("");
    lun.name = any_bytes();
    lun.configuration = any_bytes();
    lun.backend = any_bytes();
    lun.fault_control = any_bytes();
    lun.tasks = {{any_bytes(), any_bytes(), any_bytes(), 1s}};
    for (const report::Report& report : report::all()) {
      const std::string text = report.write({&lun, 1}, {{any_bytes()}, {}});
      if (!json::accept(text)) {
        print_error("seed %lu: %s\n", seed, text.c_str());
        assert_true(false);
      }
    }
  }
}

void a_stall_tells_of_the_command_that_waits(void**) {
  StallNews news{.lun = lun_named("vol0"), .begin = {now, {}, 0}, .oldest = CommandRecord{}};
  news.oldest->name = "WRITE(10)";
  news.oldest->arrived = TimePoint{now.since_start - 3s};
  const json document = json::parse(report::stall(news));
  assert_true(document["report"] == "stalled");
  const json& lun = document["luns"][0];
  assert_true(lun["name"] == "vol0" && lun["command"]["operation"] == "WRITE(10)");
  assert_true(lun["command"]["age_ns"] == 3'000'000'000);
  assert_true(lun["counters"].contains("commands") && lun["store_errors"] == json::array());
}

void the_manual_has_every_member_of_a_signal(void**) {
  StallNews news{.lun = lun_named("vol0"), .begin = {now, {}, 0}, .oldest = CommandRecord{}};
  for (const char* kind : {"stalled", "recovered"}) {
    json document = json::parse(report::stall(news));
    assert_true(document["report"] == kind);
    document["luns"][0]["counters"] = nullptr;
    if (document["luns"][0].contains("command")) {
      document["luns"][0]["command"] = nullptr;  // as in inflight
    }
    test::expect_in_manual(document, {"DOCUMENTS OF THE DAEMON", kind});
    news.oldest.reset();
  }
}

void a_recovery_tells_what_the_stall_cost(void**) {
  StallNews news{
      .lun = lun_named("vol0"), .begin = {TimePoint{now.since_start - 9s}, {}, 1}, .oldest = {}};
  news.begin.counters.held = 1;
  news.lun.counters = {};
  news.lun.counters.held = 3;
  news.lun.counters.deadlines = 4;
  news.lun.counters.shed = 5;
  news.lun.counters.aborted = 6;
  news.lun.counters.adoptions = 7;
  news.lun.store_errors = {{"write", "no space", 3, now}, {"read", "medium error", 2, now}};
  const json document = json::parse(report::stall(news));
  assert_true(document["report"] == "recovered");
  const json& lun = document["luns"][0];
  assert_true(lun["was_stalled_for_ns"] == 9'000'000'000);
  assert_true(lun["cost"] ==
              json({{"held", 2}, {"answered_early", 15}, {"adopted", 7}, {"store_errors", 4}}));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(every_document_says_what_it_is),
      cmocka_unit_test(a_stuck_thread_is_told_in_every_document),
      cmocka_unit_test(the_manual_has_every_report_and_member),
      cmocka_unit_test(list_has_a_line_for_each_lun),
      cmocka_unit_test(a_stalled_lun_says_since_when),
      cmocka_unit_test(what_is_known_of_the_store_is_told),
      cmocka_unit_test(the_list_says_how_much_room_the_store_has),
      cmocka_unit_test(the_list_says_how_full_a_write_log_is),
      cmocka_unit_test(the_log_says_what_waits_in_it),
      cmocka_unit_test(inflight_is_oldest_first),
      cmocka_unit_test(a_command_in_flight_says_where_its_time_went),
      cmocka_unit_test(an_orphan_says_since_when),
      cmocka_unit_test(slow_has_what_ended),
      cmocka_unit_test(stats_has_every_counter),
      cmocka_unit_test(stats_has_histograms),
      cmocka_unit_test(stats_says_how_long_commands_were_in_each_stage),
      cmocka_unit_test(stats_has_the_errors_of_the_store),
      cmocka_unit_test(tasks_say_what_they_wait_for),
      cmocka_unit_test(large_numbers_are_exact_and_none_is_negative),
      cmocka_unit_test(quotes_and_control_characters_come_back_as_they_were),
      cmocka_unit_test(what_is_not_utf8_is_replaced),
      cmocka_unit_test(any_bytes_in_any_name_give_json),
      cmocka_unit_test(a_stall_tells_of_the_command_that_waits),
      cmocka_unit_test(the_manual_has_every_member_of_a_signal),
      cmocka_unit_test(a_recovery_tells_what_the_stall_cost),
  };
  return cmocka_run_group_tests_name("report", tests, nullptr, nullptr);
}
