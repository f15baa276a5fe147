// SPDX-License-Identifier: Apache-2.0
#include "lib/base/log_writer.h"

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/cmocka.h"

using namespace ballast;
using namespace std::chrono_literals;

namespace {

// Where lines are written; it can be made to hang.
struct Place {
  std::mutex mutex;
  std::condition_variable changed;
  bool frozen = false;
  bool inside = false;
  std::vector<std::string> lines;
};
Place place;

void write_line(LogLevel, std::string_view line) {
  std::unique_lock lock{place.mutex};
  place.inside = true;
  place.changed.notify_all();
  place.changed.wait(lock, [] { return !place.frozen; });
  place.inside = false;
  place.lines.emplace_back(line);
}

void freeze() {
  const std::lock_guard lock{place.mutex};
  place.frozen = true;
  place.inside = false;
}

void wait_until_it_hangs() {
  std::unique_lock lock{place.mutex};
  place.changed.wait(lock, [] { return place.inside; });
}

void thaw() {
  const std::lock_guard lock{place.mutex};
  place.frozen = false;
  place.changed.notify_all();
}

std::vector<std::string> written() {
  assert_true(flush_log(10s));
  const std::lock_guard lock{place.mutex};
  return std::exchange(place.lines, {});
}

int set_up(void**) {
  const bool started = start_log_writer(&write_line);
  (void)written();
  return started ? 0 : -1;
}

void lines_are_written_in_order(void**) {
  for (unsigned i = 0; i < 1000; ++i) {
    log(LogLevel::info, "line {}", i);
  }
  const std::vector<std::string> lines = written();
  assert_int_equal(lines.size(), 1000);
  for (unsigned i = 0; i < 1000; ++i) {
    assert_string_equal(lines[i].c_str(), ("line " + std::to_string(i)).c_str());
  }
}

void who_logs_does_not_wait_for_a_log_that_hangs(void**) {
  freeze();
  log_plain(LogLevel::info, "before");
  wait_until_it_hangs();
  log_plain(LogLevel::info, "meanwhile");
  assert_false(flush_log(10ms));
  thaw();
  const std::vector<std::string> lines = written();
  assert_int_equal(lines.size(), 2);
  assert_string_equal(lines[1].c_str(), "meanwhile");
}

void what_finds_no_room_is_counted_and_the_count_stands_in_its_place(void**) {
  freeze();
  log_plain(LogLevel::info, "first");
  wait_until_it_hangs();
  const std::string long_line(1000, 'x');
  for (unsigned i = 0; i < 1000; ++i) {
    log_plain(LogLevel::info, long_line);
  }
  thaw();
  assert_true(flush_log(10s));
  log_plain(LogLevel::info, "last");
  const std::vector<std::string> lines = written();
  const std::size_t kept = lines.size() - 3;
  assert_true(kept > 200 && kept < 300);
  assert_string_equal(lines[lines.size() - 2].c_str(),
                      (std::to_string(1000 - kept) +
                       " log lines were dropped, because the log could not be written")
                          .c_str());
  assert_string_equal(lines.back().c_str(), "last");
}

void a_line_longer_than_any_is_cut_off(void**) {
  log_plain(LogLevel::info, std::string(3 * longest_log_line, 'y'));
  assert_int_equal(written()[0].size(), longest_log_line);
}

void a_line_that_waited_says_so(void**) {
  freeze();
  log_plain(LogLevel::info, "first");
  wait_until_it_hangs();
  log_plain(LogLevel::info, "second");
  std::this_thread::sleep_for(2100ms);
  thaw();
  const std::vector<std::string> lines = written();
  assert_string_equal(lines[0].c_str(), "first");
  assert_true(lines[1].starts_with("["));
  assert_true(lines[1].ends_with(" s ago] second"));
}

void many_threads_log_at_once(void**) {
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (unsigned n = 0; n < 200; ++n) {
        log_plain(LogLevel::info, "a line");
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  assert_int_equal(written().size(), 800);
}

// Last: nothing is written after it.
void after_the_end_lines_go_nowhere(void**) {
  freeze();
  log_plain(LogLevel::info, "hangs");
  wait_until_it_hangs();
  end_log_writer(10ms);
  log_plain(LogLevel::info, "too late");
  thaw();
  const std::vector<std::string> lines = written();
  assert_int_equal(lines.size(), 1);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test_setup(lines_are_written_in_order, set_up),
      cmocka_unit_test_setup(who_logs_does_not_wait_for_a_log_that_hangs, set_up),
      cmocka_unit_test_setup(what_finds_no_room_is_counted_and_the_count_stands_in_its_place,
                             set_up),
      cmocka_unit_test_setup(a_line_longer_than_any_is_cut_off, set_up),
      cmocka_unit_test_setup(a_line_that_waited_says_so, set_up),
      cmocka_unit_test_setup(many_threads_log_at_once, set_up),
      cmocka_unit_test_setup(after_the_end_lines_go_nowhere, set_up),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
