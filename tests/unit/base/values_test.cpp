// SPDX-License-Identifier: Apache-2.0
#include "lib/base/values.h"

#include <chrono>
#include <initializer_list>
#include <string>

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::config;
using namespace std::chrono_literals;

namespace {

void expect_words(const std::string& message, std::initializer_list<const char*> words) {
  for (const char* word : words) {
    if (message.find(word) == std::string::npos) {
      print_error("\"%s\" lacks \"%s\"\n", message.c_str(), word);
      assert_true(false);
    }
  }
}

void durations_need_a_unit(void**) {
  assert_true(parse_duration("x", "500ms").value() == 500ms);
  assert_true(parse_duration("x", "20s").value() == 20s);
  assert_true(parse_duration("x", "10min").value() == 10min);
  assert_true(parse_duration("x", "1h").value() == 1h);
  expect_words(parse_duration("key x", "20").error().message, {"key x", "\"20\" has no unit"});
  expect_words(parse_duration("key x", "20sec").error().message, {"\"ec\" stands after"});
  expect_words(parse_duration("key x", "20d").error().message, {"bad unit \"d\""});
  assert_false(parse_duration("x", "9999999999h").ok());
}

void bytes_take_binary_units(void**) {
  assert_int_equal(parse_bytes("x", "4096").value().value(), 4096);
  assert_int_equal(parse_bytes("x", "1280KiB").value().value(), 1310720);
  assert_int_equal(parse_bytes("x", "64MiB").value().value(), std::uint64_t{64} << 20);
  assert_int_equal(parse_bytes("x", "2TiB").value().value(), std::uint64_t{2} << 40);
  assert_int_equal(parse_bytes("x", "9223372036854775807").value().value(), INT64_MAX);
  assert_false(parse_bytes("x", "9223372036854775808").ok());
  assert_false(parse_bytes("x", "8388608TiB").ok());
}

void what_format_writes_the_parser_reads(void**) {
  for (const std::uint64_t value : {0ULL, 1ULL, 512ULL, 1310720ULL, 1ULL << 30, 5ULL << 40}) {
    assert_true(parse_bytes("x", format_bytes(Bytes{value})).value() == Bytes{value});
  }
  for (const Nanoseconds value :
       {Nanoseconds{0us}, Nanoseconds{1500us}, Nanoseconds{20s}, Nanoseconds{90min}}) {
    assert_true(parse_duration("x", format_duration(value)).value() == value);
  }
}

void a_text_has_codes_for_what_a_string_cannot_have(void**) {
  assert_string_equal(parse_text("x", "a%3Ab%2cc%25").value().c_str(), "a:b,c%");
  assert_string_equal(parse_text("x", "").value().c_str(), "");
  for (const char* wrong : {"%", "%3", "%3g", "a%", "%00", "%ff", "\xff"}) {
    assert_false(parse_text("x", wrong).ok());
  }
  for (const char* text : {"a:b", "50%", "a;b,c", "a\xc3\xa9"}) {
    assert_string_equal(parse_text("x", format_text(text)).value().c_str(), text);
  }
}

void quoting_keeps_utf8_and_escapes_the_rest(void**) {
  assert_string_equal(quote("a\xc3\xa9"
                            "b")
                          .c_str(),
                      "\"a\xc3\xa9"
                      "b\"");
  assert_string_equal(quote("a\xff\n").c_str(), "\"a\\xff\\x0a\"");
  assert_string_equal(quote("\xc3").c_str(), "\"\\xc3\"");
  assert_string_equal(quote("\xed\xa0\x80").c_str(), "\"\\xed\\xa0\\x80\"");
  assert_true(quote(std::string(10000, 'a')).size() < 100);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(durations_need_a_unit),
      cmocka_unit_test(bytes_take_binary_units),
      cmocka_unit_test(what_format_writes_the_parser_reads),
      cmocka_unit_test(a_text_has_codes_for_what_a_string_cannot_have),
      cmocka_unit_test(quoting_keeps_utf8_and_escapes_the_rest),
  };
  return cmocka_run_group_tests_name("values", tests, nullptr, nullptr);
}
