// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/slow_log.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "lib/base/log.h"
#include "tests/cmocka.h"
#include "tests/unit/counting_new.h"

using namespace ballast;
using namespace ballast::watch;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> lines;

void keep(LogLevel level, std::string_view line) {
  assert_true(level == LogLevel::warning);
  lines.emplace_back(line);
}

int begin_keeping(void**) {
  lines.clear();
  set_log_sink(&keep);
  return 0;
}

int end_keeping(void**) {
  set_log_sink(nullptr);
  return 0;
}

constexpr TimePoint start{1000s};

// At the backend since 20 ms after its arrival at `start`.
CommandRecord write_command(std::uint64_t number = 4711) {
  CommandRecord record;
  record.number = number;
  record.name = "WRITE(10)";
  record.opcode = 0x2a;
  record.has_range = true;
  record.lba = Lba{2048};
  record.blocks = BlockCount{8};
  record.arrived = start;
  record.stage_since = start;
  record.enter(Stage::backend, start + 20ms);
  return record;
}

void expect_only_line(const char* line) {
  assert_int_equal(lines.size(), 1);
  assert_string_equal(lines.front().c_str(), line);
}

void a_beginning_says_where_the_time_went_and_how_much_is_left(void**) {
  SlowLog log{"vol0", Bytes{512}};
  log.begin(write_command(), start + 1s);
  expect_only_line(
      "vol0: slow: command 4711, WRITE(10) of 8 blocks (4 KiB) at lba 2048, is 1.00 s old (queue "
      "20 "
      "ms, backend 980 ms); the initiator's error handler begins in 59.0 s by default");
}

void an_end_says_the_answer_and_the_total(void**) {
  SlowLog log{"vol0", Bytes{4096}};
  log.end(write_command(), start + 3200ms, {"GOOD"});
  expect_only_line(
      "vol0: slow: command 4711, WRITE(10) of 8 blocks (32 KiB) at lba 2048, was answered GOOD "
      "after "
      "3.20 s (queue 20 ms, backend 3.18 s)");
}

void each_reason_has_its_words(void**) {
  std::vector<std::string> seen;
  for (int i = 0; i <= static_cast<int>(Because::orphan_not_done); ++i) {
    seen.push_back(to_string(Ending{"BUSY", static_cast<Because>(i)}));
    assert_true(std::find(seen.begin(), seen.end() - 1, seen.back()) == seen.end() - 1);
    assert_true(i == 0 || seen.back().find(": ") != std::string::npos);
  }
  assert_string_equal(seen.front().c_str(), "BUSY");
  assert_string_equal(seen.back().c_str(), "orphan ended: not done");
}

void what_the_store_waits_for_is_a_line_and_is_kept(void**) {
  SlowLog log{"vol0", Bytes{512}};
  int begun = 0;
  log.tell([&begun] { ++begun; });
  log.begin(write_command(), start + 1s);
  assert_int_equal(begun, 1);
  log.store_waits_for("", start + 1s);  // it is not known
  assert_int_equal(lines.size(), 1);
  log.store_waits_for("osd.3, object a\xff, for 1.0 s", start + 1s);
  assert_int_equal(lines.size(), 2);
  assert_string_equal(lines[1].c_str(),
                      "vol0: slow: the storage's client waits for osd.3, object a?, for 1.0 s");
  log.end(write_command(), start + 2s, {"GOOD"});
  CommandRecord later = write_command();
  later.arrived = later.stage_since = start + 5s;
  log.end(later, start + 9s, {"GOOD"});
  assert_string_equal(log.recent()[0].waited_for.c_str(), "osd.3, object a?, for 1.0 s");
  assert_string_equal(log.recent()[1].waited_for.c_str(), "");  // that was before it came
  log.store_waits_for(std::string(500, 'x'), start + 9s);
  assert_int_equal(lines.back().size(), SlowLog::longest_line);
}

void an_orphan_has_two_ends(void**) {
  SlowLog log{"vol0", Bytes{512}};
  CommandRecord record = write_command();
  log.begin(record, start + 1s);
  record.reported = true;
  log.end(record, start + 20s, {"BUSY", Because::orphaned});
  record.orphan = true;
  log.end(record, start + 90s, {.because = Because::orphan_done});
  assert_int_equal(lines.size(), 3);
  assert_string_equal(lines[1].c_str(),
                      "vol0: slow: command 4711, WRITE(10) of 8 blocks (4 KiB) at lba 2048, was "
                      "answered BUSY after 20.0 s: it goes on as an orphan (backend 20.0 s)");
  assert_string_equal(lines[2].c_str(),
                      "vol0: slow: command 4711, WRITE(10) of 8 blocks (4 KiB) at lba 2048, ended "
                      "as an orphan after 90.0 s: done (backend 90.0 s)");
  assert_int_equal(log.begun(), 1);
}

void what_has_no_range_shows_none(void**) {
  SlowLog log{"vol0", Bytes{512}};
  CommandRecord record;
  record.number = 1;
  record.name = "TEST UNIT READY";
  record.arrived = record.stage_since = start;
  log.end(record, start + 2s, {"GOOD"});
  record.name = "SYNCHRONIZE CACHE(10)";
  record.has_range = true;
  log.end(record, start + 2s, {"GOOD"});
  assert_string_equal(
      lines[0].c_str(),
      "vol0: slow: command 1, TEST UNIT READY, was answered GOOD after 2.00 s (queue "
      "2.00 s)");
  assert_string_equal(lines[1].c_str(),
                      "vol0: slow: command 1, SYNCHRONIZE CACHE(10) at lba 0, was answered GOOD "
                      "after 2.00 s (queue 2.00 s)");
}

void after_a_minute_the_error_handler_has_begun(void**) {
  SlowLog log{"vol0", Bytes{512}};
  log.begin(write_command(), start + 60s);
  assert_true(lines.front().ends_with("; the initiator's error handler has begun by default"));
}

void no_more_than_the_limit_of_lines_in_a_window(void**) {
  SlowLog log{"vol0", Bytes{512}};
  for (std::uint64_t i = 1; i <= 25; ++i) {
    log.begin(write_command(i), start + 1s);
    log.end(write_command(i), start + 1s, {"GOOD"});
  }
  assert_int_equal(lines.size(), SlowLog::lines_per_window);
  assert_int_equal(log.left_out(), 30);
  log.begin(write_command(), start + (1s + SlowLog::window - 1ns));
  assert_int_equal(lines.size(), SlowLog::lines_per_window);
}

void the_next_line_says_how_many_were_left_out(void**) {
  SlowLog log{"vol0", Bytes{512}};
  for (std::uint64_t i = 1; i <= SlowLog::lines_per_window + 12; ++i) {
    log.begin(write_command(i), start + 1s);
  }
  log.begin(write_command(), start + 1s + SlowLog::window);
  log.begin(write_command(), start + 1s + SlowLog::window);
  assert_true(lines[lines.size() - 2].starts_with("vol0: slow (12 left out): command 4711, "));
  assert_true(lines.back().starts_with("vol0: slow: command 4711, "));  // said once
  assert_int_equal(log.left_out(), 12);
}

void a_quiet_log_has_its_full_window(void**) {
  SlowLog log{"vol0", Bytes{512}};
  log.begin(write_command(), start);
  for (std::size_t i = 0; i < SlowLog::lines_per_window; ++i) {
    log.begin(write_command(), start + 9999ms);
  }
  assert_int_equal(lines.size(), SlowLog::lines_per_window);
  for (std::size_t i = 0; i < SlowLog::lines_per_window; ++i) {
    log.begin(write_command(), start + 10s);
  }
  assert_int_equal(lines.size(), 2 * SlowLog::lines_per_window);
}

void those_left_out_of_the_log_are_kept_all_the_same(void**) {
  SlowLog log{"vol0", Bytes{512}};
  for (std::uint64_t i = 1; i <= 40; ++i) {
    log.end(write_command(i), start + 1s, {"GOOD"});
  }
  const std::vector<SlowRequest> recent = log.recent();
  assert_int_equal(recent.size(), 40);
  assert_int_equal(recent.front().record.number, 1);
  assert_int_equal(recent.back().record.number, 40);
  assert_int_equal(log.begun(), 40);  // ended before begin() could be called
}

void the_newest_are_kept_oldest_first(void**) {
  SlowLog log{"vol0", Bytes{512}};
  for (std::uint64_t i = 1; i <= 3 * SlowLog::kept + 5; ++i) {
    log.end(write_command(i), start + 1s, {i % 2 == 0 ? "GOOD" : "BUSY"});
  }
  const std::vector<SlowRequest> recent = log.recent();
  assert_int_equal(recent.size(), SlowLog::kept);
  for (std::size_t i = 0; i < recent.size(); ++i) {
    assert_int_equal(recent[i].record.number, 2 * SlowLog::kept + 6 + i);
  }
  assert_true(recent.back().ended == start + 1s);
  assert_string_equal(recent.back().ending.status, "BUSY");
}

void a_long_name_loses_its_end(void**) {
  SlowLog log{std::string(300, 'n'), Bytes{512}};
  log.begin(write_command(), start + 1s);
  assert_int_equal(lines.front().size(), SlowLog::longest_line);
  assert_true(lines.front().starts_with("nnnnnnnnnnnn"));
  assert_true(lines.front().ends_with(" by default"));
  assert_true(lines.front().find("queue 20 ms") != std::string::npos);
}

void a_name_of_any_bytes_stays_one_printable_line(void**) {
  SlowLog log{"a\n\x1b[31m\xc3\xa9", Bytes{512}};
  log.end(write_command(), start + 1s, {"GOOD"});
  assert_true(lines.front().starts_with("a??[31m??: slow: "));
}

// Whatever comes, a line is within its limit. It is whole where the LUN has no more than 2^44
// blocks, a command no more than 64 GiB, and fewer have come than a million a second for three
// months.
void no_line_is_longer_than_the_daemon_shows(void**) {
  const char* const given = std::getenv("BALLAST_SEED");
  const unsigned long seed =
      given != nullptr ? std::strtoul(given, nullptr, 0) : std::random_device{}();
  print_message("seed %lu\n", seed);
  std::mt19937_64 random{seed};
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  const char* const names[] = {"COMPARE AND WRITE", "READ(6)"};
  const Ending answers[] = {{"CHECK CONDITION", Because::outcome_unknown},
                            {"BUSY", Because::orphaned},
                            {.because = Because::orphan_not_done}};
  for (int round = 0; round < 3000; ++round) {
    const bool real = round % 2 == 0;
    SlowLog log{std::string(random() % 80, 'v'), Bytes{real ? 4096 : most}};
    CommandRecord record = write_command(random() % (real ? 8'000'000'000'000 : most));
    record.name = real ? names[random() % std::size(names)] : "REPORT SUPPORTED OPERATION CODES";
    record.lba = Lba{random() % (real ? std::uint64_t{1} << 44 : most)};
    record.blocks = BlockCount{random() % (real ? std::uint64_t{1} << 24 : most)};
    for (Nanoseconds& spent : record.spent) {
      spent = std::chrono::milliseconds{random() % 400'000};
    }
    const TimePoint now = start + std::chrono::milliseconds{random() % 2'000'000};
    for (int i = 0; i < 30; ++i) {
      log.begin(record, now);
    }
    log.begin(record, now + SlowLog::window);
    log.end(record, now + SlowLog::window, answers[random() % std::size(answers)]);
    for (const std::string& line : lines) {
      const bool whole = line.ends_with("by default") || line.find(" after ") != std::string::npos;
      if (line.size() > SlowLog::longest_line || (real && !whole)) {
        print_error("seed %lu: %zu bytes: %s\n", seed, line.size(), line.c_str());
        assert_true(false);
      }
    }
    lines.clear();
  }
}

void what_is_only_kept_allocates_nothing(void**) {
  SlowLog log{"vol0", Bytes{512}};
  for (std::size_t i = 0; i < SlowLog::lines_per_window; ++i) {
    log.begin(write_command(), start);
  }
  const CommandRecord record = write_command();
  const std::uint64_t before = test::allocations;
  log.begin(record, start + 1s);
  log.end(record, start + 2s, {"GOOD"});
  assert_int_equal(test::allocations - before, 0);
}

}  // namespace

#define SLOW_LOG_TEST(name) cmocka_unit_test_setup_teardown(name, begin_keeping, end_keeping)

int main() {
  if (!test::counts_allocations) {
    return test::cannot_count();
  }
  const CMUnitTest tests[] = {
      SLOW_LOG_TEST(a_beginning_says_where_the_time_went_and_how_much_is_left),
      SLOW_LOG_TEST(each_reason_has_its_words),
      SLOW_LOG_TEST(an_end_says_the_answer_and_the_total),
      SLOW_LOG_TEST(what_the_store_waits_for_is_a_line_and_is_kept),
      SLOW_LOG_TEST(an_orphan_has_two_ends),
      SLOW_LOG_TEST(what_has_no_range_shows_none),
      SLOW_LOG_TEST(after_a_minute_the_error_handler_has_begun),
      SLOW_LOG_TEST(no_more_than_the_limit_of_lines_in_a_window),
      SLOW_LOG_TEST(the_next_line_says_how_many_were_left_out),
      SLOW_LOG_TEST(a_quiet_log_has_its_full_window),
      SLOW_LOG_TEST(those_left_out_of_the_log_are_kept_all_the_same),
      SLOW_LOG_TEST(the_newest_are_kept_oldest_first),
      SLOW_LOG_TEST(a_long_name_loses_its_end),
      SLOW_LOG_TEST(a_name_of_any_bytes_stays_one_printable_line),
      SLOW_LOG_TEST(no_line_is_longer_than_the_daemon_shows),
      SLOW_LOG_TEST(what_is_only_kept_allocates_nothing),
  };
  return cmocka_run_group_tests_name("slow log", tests, nullptr, nullptr);
}
