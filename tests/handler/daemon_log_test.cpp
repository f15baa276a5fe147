// SPDX-License-Identifier: Apache-2.0
// Lines for the daemon's log, whose buffer is short.
#include "handler/daemon_log.h"

#include <cstdarg>
#include <cstdio>
#include <string>
#include <vector>

#include "handler/tcmur_abi.h"
#include "tests/cmocka.h"

using namespace ballast;
using ballast::handler::log_to_daemon;

namespace {

// The daemon's own buffer, with the subtype and the number that it puts before a message.
constexpr std::size_t daemons_buffer = 255;
constexpr std::size_t put_before = 11;

std::vector<std::string> said;

[[gnu::format(printf, 2, 0)]] void keep(const char* level, const char* format,
                                        std::va_list arguments) {
  char text[4096];
  const int length = std::vsnprintf(text, sizeof text, format, arguments);
  assert_true(length > 0 && put_before + static_cast<std::size_t>(length) < daemons_buffer);
  said.push_back(std::string{level} + text);
}

}  // namespace

namespace ballast::handler::abi {
extern "C" {
#define BALLAST_LOG_FUNCTION(name, level)                                       \
  void name(tcmu_device*, const char*, int, const char* format, ...) noexcept { \
    std::va_list arguments;                                                     \
    va_start(arguments, format);                                                \
    keep(level, format, arguments);                                             \
    va_end(arguments);                                                          \
  }
BALLAST_LOG_FUNCTION(tcmu_err_message, "error: ")
BALLAST_LOG_FUNCTION(tcmu_warn_message, "warning: ")
BALLAST_LOG_FUNCTION(tcmu_info_message, "info: ")
BALLAST_LOG_FUNCTION(tcmu_dbg_message, "debug: ")
}
}  // namespace ballast::handler::abi

namespace {

using Lines = std::vector<std::string>;

void each_level_has_its_function(void**) {
  said.clear();
  log_to_daemon(LogLevel::error, "a");
  log_to_daemon(LogLevel::warning, "b %s");
  log_to_daemon(LogLevel::info, "c");
  log_to_daemon(LogLevel::debug, "");
  assert_true(said == (Lines{"error: a\n", "warning: b %s\n", "info: c\n", "debug: \n"}));
}

void a_long_line_is_broken_at_a_blank(void**) {
  said.clear();
  const std::string first(200, 'a');
  const std::string second(100, 'b');
  log_to_daemon(LogLevel::info, first + " " + second);
  assert_true(said == (Lines{"info: " + first + " \n", "info: ..." + second + "\n"}));
}

void a_long_word_is_broken_and_nothing_is_lost(void**) {
  for (const std::string& before : {std::string{}, std::string{"a word "}}) {
    said.clear();
    const std::string line = before + std::string(600, 'x');
    log_to_daemon(LogLevel::info, line);
    std::string together;
    for (std::string text : said) {
      assert_int_equal(text.back(), '\n');
      text.pop_back();
      text.erase(0, std::string{"info: "}.size());
      together += together.empty() ? text : text.substr(std::string{"..."}.size());
    }
    assert_true(together == line);
    assert_int_equal(said.size(), 3);  // and no line is short
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(each_level_has_its_function),
      cmocka_unit_test(a_long_line_is_broken_at_a_blank),
      cmocka_unit_test(a_long_word_is_broken_and_nothing_is_lost),
  };
  return cmocka_run_group_tests_name("daemon_log", tests, nullptr, nullptr);
}
