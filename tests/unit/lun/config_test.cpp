// SPDX-License-Identifier: Apache-2.0
#include "lib/lun/config.h"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/values.h"
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::config;
using namespace ballast::lun;
using namespace std::chrono_literals;

namespace {

std::string refusal(std::string_view text) {
  const Result<LunConfig> config = parse(text);
  return config ? "accepted" : config.error().message;
}

void expect_words(const std::string& message, std::initializer_list<const char*> words) {
  for (const char* word : words) {
    if (message.find(word) == std::string::npos) {
      print_error("\"%s\" lacks \"%s\"\n", message.c_str(), word);
      assert_true(false);
    }
  }
}

void the_limits_are_what_may_change_while_it_is_open(void**) {
  assert_string_equal(live_keys().c_str(),
                      "read_expire, write_expire, target_latency, soft_threshold, poll, deadline, "
                      "slow, stall_after, "
                      "stall_window, busy_for, max_iops, max_bandwidth and burst");
}

void limits_that_no_command_can_keep_are_refused(void**) {
  expect_words(refusal("null;write_expire=20s"), {"write_expire", "20s", "deadline"});
  expect_words(refusal("null;deadline=2s;slow=1ms;stall_after=10ms;read_expire=3s"),
               {"read_expire", "3s", "deadline of 2s"});
  expect_words(refusal("null;max_bandwidth=1000"), {"max_bandwidth", "1000", "64KiB"});
  assert_true(parse("null;max_bandwidth=0;max_iops=none").ok());
  assert_true(parse("null;deadline=2s;slow=1ms;stall_after=10ms").ok());
}

void limits_come_out_of_a_string_of_another_version(void**) {
  const Limits usual = limits_of("file=/srv/a=b.raw");
  assert_true(usual == Limits{});
  const Limits given = limits_of("null;deadline=2min;cache=direct;stall_window=4;slow=x;new=1");
  assert_true(given.deadline == 2min);
  assert_true(given.slow == 1s);
  assert_int_equal(given.stall_window, 4);
}

// --- what is accepted
// -----------------------------------------------------------------------------

void a_file_with_nothing_else_has_the_documented_defaults(void**) {
  const Result<LunConfig> config = parse("file:/srv/vol0.raw");
  assert_true(config.ok());
  assert_true(config.value().store.kind == find_kind("file"));
  assert_string_equal(config.value().store.file.path.c_str(), "/srv/vol0.raw");
  assert_true(config.value().store.file.cache == CacheMode::direct);
  assert_int_equal(config.value().write_same_max.value(), 1310720);
  assert_int_equal(config.value().queue_depth, 128);
  assert_string_equal(config.value().store.fault_control.c_str(), "");
}

void several_keys_reach_their_fields(void**) {
  const Result<LunConfig> config =
      parse("file:/a=b:c;cache=buffered;write_same_max=64KiB;queue_depth=7;fault=/tmp/control");
  assert_true(config.ok());
  assert_string_equal(config.value().store.file.path.c_str(), "/a=b:c");
  assert_true(config.value().store.file.cache == CacheMode::buffered);
  assert_int_equal(config.value().write_same_max.value(), 65536);
  assert_int_equal(config.value().queue_depth, 7);
  assert_string_equal(config.value().store.fault_control.c_str(), "/tmp/control");
}

// What is written out again has the same key alone, so the row of no other key refers to the field.
void every_key_reaches_its_field_and_no_other(void**) {
  const std::multimap<std::string_view, std::pair<const char*, bool (*)(const LunConfig&)>>
      examples{
          {"cache",
           {"file=/a;cache=buffered",
            [](const LunConfig& c) { return c.store.file.cache == CacheMode::buffered; }}},
          {"soft_threshold",
           {"file=/a;soft_threshold=5GiB",
            [](const LunConfig& c) { return c.soft_threshold == Bytes{std::uint64_t{5} << 30}; }}},
          {"port", {"nbd=h;port=7", [](const LunConfig& c) { return c.store.nbd.port == 7; }}},
          {"export",
           {"nbd=h;export=a%3Ab%2Cc%25",
            [](const LunConfig& c) { return c.store.nbd.export_name == "a:b,c%"; }}},
          {"tls",
           {"nbd=h;tls=require",
            [](const LunConfig& c) { return c.store.nbd.tls == NbdConfig::Tls::require; }}},
          {"tls_psk_file",
           {"nbd=h;tls_psk_file=/k",
            [](const LunConfig& c) { return c.store.nbd.tls_psk_file == "/k"; }}},
          {"connections",
           {"nbd=h;connections=4",
            [](const LunConfig& c) { return c.store.nbd.connections == 4; }}},
          {"exclusive",
           {"nbd=h;exclusive=server",
            [](const LunConfig& c) {
              return c.store.nbd.exclusive == NbdConfig::Exclusive::server;
            }}},
          {"id", {"rbd=p/i;id=b", [](const LunConfig& c) { return c.store.rbd.id == "b"; }}},
          {"conf",
           {"rbd=p/i;conf=/c", [](const LunConfig& c) { return c.store.rbd.conf == "/c"; }}},
          {"lock",
           {"file=/a;lock=pr",
            [](const LunConfig& c) { return c.store.file.lock == FileLock::pr; }}},
          {"lock",
           {"rbd=p/i;lock=none",
            [](const LunConfig& c) { return c.store.rbd.lock == RbdLock::none; }}},
          {"encryption",
           {"rbd=p/i;encryption=luks2",
            [](const LunConfig& c) { return c.store.rbd.encryption == RbdEncryption::luks2; }}},
          {"passphrase_file",
           {"rbd=p/i;passphrase_file=/p",
            [](const LunConfig& c) { return c.store.rbd.passphrase_file == "/p"; }}},
          {"log", {"file=/a;log=/b", [](const LunConfig& c) { return c.log.path == "/b"; }}},
          {"log_size",
           {"file=/a;log=/b;log_size=512MiB",
            [](const LunConfig& c) { return c.log.size == Bytes{std::uint64_t{512} << 20}; }}},
          {"log_order",
           {"rbd=p/i;log=/b;log_order=free",
            [](const LunConfig& c) { return c.log.order == write_log::Order::free; }}},
          {"elevator",
           {"null;elevator=on",
            [](const LunConfig& c) { return c.elevator.use == ElevatorUse::on; }}},
          {"read_expire",
           {"null;read_expire=1s",
            [](const LunConfig& c) { return c.elevator.read_expire == 1s; }}},
          {"write_expire",
           {"null;write_expire=1s",
            [](const LunConfig& c) { return c.elevator.write_expire == 1s; }}},
          {"target_latency",
           {"null;target_latency=9ms",
            [](const LunConfig& c) { return c.elevator.target_latency == 9ms; }}},
          {"max_iops", {"null;max_iops=9", [](const LunConfig& c) { return c.max_iops == 9; }}},
          {"max_bandwidth",
           {"null;max_bandwidth=1MiB",
            [](const LunConfig& c) { return c.max_bandwidth == Bytes{1 << 20}; }}},
          {"burst", {"null;burst=1s", [](const LunConfig& c) { return c.burst == 1s; }}},
          {"profile", {"null;profile=a", [](const LunConfig& c) { return c.profile == "a"; }}},
          {"copy_group",
           {"null;copy_group=esx", [](const LunConfig& c) { return c.copy_group == "esx"; }}},
          {"write_same_max",
           {"null;write_same_max=64KiB",
            [](const LunConfig& c) { return c.write_same_max == Bytes{65536}; }}},
          {"queue_depth",
           {"null;queue_depth=7", [](const LunConfig& c) { return c.queue_depth == 7; }}},
          {"poll", {"null;poll=7", [](const LunConfig& c) { return c.poll == 7; }}},
          {"deadline", {"null;deadline=30s", [](const LunConfig& c) { return c.deadline == 30s; }}},
          {"slow", {"null;slow=2s", [](const LunConfig& c) { return c.slow == 2s; }}},
          {"stall_after",
           {"null;stall_after=2s", [](const LunConfig& c) { return c.stall_after == 2s; }}},
          {"stall_window",
           {"null;stall_window=4", [](const LunConfig& c) { return c.stall_window == 4; }}},
          {"busy_for",
           {"null;busy_for=1min", [](const LunConfig& c) { return c.busy_for == 1min; }}},
          {"fault",
           {"null;fault=/tmp/control",
            [](const LunConfig& c) { return c.store.fault_control == "/tmp/control"; }}},
      };
  for (const KeyText& key : describe_keys()) {
    const auto [first, last] = examples.equal_range(key.name);
    if (first == last) {
      print_error("there is no example of %s\n", std::string{key.name}.c_str());
      assert_true(false);
    }
    for (auto example = first; example != last; ++example) {
      const auto& [text, reached] = example->second;
      assert_true(reached(parse(text).value()));
      assert_string_equal(to_string(parse(text).value()).c_str(), text);
    }
  }
}

void the_forms_that_targetcli_lets_through_mean_the_same(void**) {
  assert_true(parse("file=/srv/a").value() == parse("file:/srv/a").value());
  assert_true(parse("/srv/a").value() == parse("file:/srv/a").value());
  assert_true(parse("memory").value() == parse("memory:").value());
  assert_true(parse("null=;queue_depth=2").value() == parse("null:;queue_depth=2").value());
}

void a_server_is_a_host_an_address_or_a_socket(void**) {
  const auto server = [](const char* text) { return parse(text).value().store.nbd.server; };
  assert_string_equal(server("nbd=storage.example").c_str(), "storage.example");
  assert_string_equal(server("nbd=/run/x.sock;export=a").c_str(), "/run/x.sock");
  assert_string_equal(server("nbd=fd00%3A%3a7").c_str(), "fd00::7");
  assert_string_equal(server("nbd=[::1]").c_str(), "[::1]");
  assert_string_equal(to_string(parse("nbd=::1").value()).c_str(), "nbd=%3A%3A1");
}

void one_semicolon_may_end_the_string(void**) {
  assert_true(parse("memory:;").ok());
  assert_true(parse("memory:;queue_depth=3;").ok());
}

void limits_are_inclusive(void**) {
  for (const char* text : {"null:;queue_depth=1", "null:;queue_depth=1024",
                           "null:;write_same_max=4KiB", "null:;write_same_max=32MiB"}) {
    assert_string_equal(refusal(text).c_str(), "accepted");
  }
}

void a_string_as_long_as_the_kernel_keeps_is_accepted(void**) {
  std::string text = "file:/";
  text.resize(longest_string, 'a');
  assert_true(parse(text).ok());
  const Result<LunConfig> longer = parse(text + 'a');
  assert_false(longer.ok());
  assert_int_equal(longer.error().errno_value, ENAMETOOLONG);
}

// --- each mistake has its own sentence
// ------------------------------------------------------------

void nothing_at_all(void**) {
  expect_words(refusal(""), {"empty", "/srv/vol0.raw", "memory"});
}

void no_kind(void**) {
  expect_words(refusal("vol0.raw"), {"\"vol0.raw\"", "does not begin with a kind of store"});
}

void an_unknown_kind_lists_the_known_ones(void**) {
  expect_words(refusal("tape:nst0"),
               {"unknown kind of store \"tape\"", "file", "memory", "nbd", "null", "rbd"});
}

void a_percent_sign_that_is_no_code(void**) {
  expect_words(refusal("nbd=h;export=50%"), {"key export", "\"50%\"", "%25"});
  expect_words(refusal("nbd=h;export=a%0Ab"), {"key export", "not printable"});
  expect_words(refusal("nbd=%zz"), {"the server", "\"%zz\"", "%25"});
}

void a_log_where_none_can_be(void**) {
  expect_words(refusal("nbd=h;log=/b"), {"key log", "nbd", "remove it"});
  expect_words(refusal("memory;log=/b"), {"key log", "memory"});
  expect_words(refusal("file=/dev/sda;lock=pr;log=/b"), {"key log", "other gateways"});
  expect_words(refusal("rbd=p/i;lock=standby;log=/b"), {"key log", "other gateways"});
  expect_words(refusal("file=/a;log=/a"), {"key log", "/a is the store itself"});
  expect_words(refusal("file=/a;log_size=1GiB;log_order=free"), {"there is no log", "log=<path>"});
  expect_words(refusal("file=/a;log=/b;log_size=1MiB"), {"log_size", "256MiB", "1TiB"});
}

void a_target_where_none_belongs(void**) {
  expect_words(refusal("memory:/srv/x"), {"memory", "takes no target", "\"/srv/x\""});
}

void a_missing_path(void**) {
  expect_words(refusal("file:"), {"file has no path"});
}

void a_relative_path(void**) {
  expect_words(refusal("file:vol0.raw"), {"the path \"vol0.raw\" is relative"});
}

void a_path_too_long(void**) {
  expect_words(refusal("file:/" + std::string(300, 'a')),
               {"the path is too long", "306", "247", "symbolic link"});
}

void a_configuration_too_long(void**) {
  expect_words(refusal("file:/srv/a;fault=/" + std::string(300, 'a')),
               {"the configuration is too long", "247"});
}

void an_unknown_key_lists_the_known_ones(void**) {
  expect_words(refusal("file:/a;depth=3"),
               {"unknown key \"depth\"", "cache", "write_same_max", "queue_depth", "fault"});
}

void a_key_twice(void**) {
  expect_words(refusal("memory:;queue_depth=3;queue_depth=3"), {"queue_depth is there twice"});
}

void a_key_without_an_equals_sign(void**) {
  expect_words(refusal("memory:;queue_depth"), {"key queue_depth has no '='"});
}

void a_path_with_a_semicolon(void**) {
  expect_words(refusal("file:/srv/a;b.raw"), {"\"b.raw\"", "path", "must not contain ';'"});
}

void an_empty_setting(void**) {
  expect_words(refusal("memory:;;queue_depth=3"), {"empty setting", "';'"});
}

void an_empty_value(void**) {
  expect_words(refusal("memory:;queue_depth="), {"key queue_depth has no value"});
  expect_words(refusal("file:/a;cache="), {"key cache has no value", "direct or buffered"});
  expect_words(refusal("null:;fault="), {"key fault has no value"});
}

void a_value_outside_an_enumeration(void**) {
  expect_words(refusal("file:/a;cache=none"), {"key cache", "\"none\"", "direct or buffered"});
}

void a_key_of_another_kind(void**) {
  expect_words(refusal("memory:;cache=direct"), {"key cache can be used with file only", "memory"});
}

void a_bad_unit(void**) {
  expect_words(refusal("null:;write_same_max=64kb"), {"bad unit \"kb\"", "KiB"});
}

void a_value_out_of_range_says_the_range(void**) {
  expect_words(refusal("null:;queue_depth=0"), {"0 is out of range", "1 to 1024"});
  expect_words(refusal("null:;queue_depth=1025"), {"1025 is out of range"});
  expect_words(refusal("null:;stall_window=0"), {"0 is out of range", "auto or 1 to 1024"});
  expect_words(refusal("null:;write_same_max=2KiB"), {"2KiB is out of range", "4KiB to 32MiB"});
  expect_words(refusal("null:;queue_depth=99999999999999999999"), {"too large"});
  expect_words(refusal("null:;write_same_max=99999999TiB"), {"too large"});
}

void a_value_that_is_no_multiple(void**) {
  expect_words(refusal("null:;write_same_max=5000"), {"5000", "not a multiple of 4KiB"});
}

void rubbish_after_a_value(void**) {
  expect_words(refusal("null:;write_same_max=64KiB!"), {"\"!\" stands after the value"});
  expect_words(refusal("null:;queue_depth=3 "), {"queue_depth", "\"3 \""});
}

void a_negative_number(void**) {
  expect_words(refusal("null:;queue_depth=-1"), {"\"-1\" does not begin with a digit"});
}

void a_control_character(void**) {
  using namespace std::string_view_literals;
  expect_words(refusal("file:/a\n"), {"control character (0x0a) at position 8"});
  expect_words(refusal("file:/a\0b"sv), {"control character (0x00) at position 8"});
}

void a_comma_would_be_cut_off_by_the_kernel(void**) {
  expect_words(refusal("file:/a,b"), {"comma at position 8"});
}

void the_daemons_own_key(void**) {
  expect_words(refusal("file:/a;tcmur_cmd_time_out=20"), {"tcmur_cmd_time_out", "remove it"});
}

// --- messages travel over D-Bus

bool is_clean(const std::string& message) {
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || byte == 0xff) {
      return false;
    }
  }
  return true;
}

// Whatever comes in: no crash, one line out, and what is accepted says the same written out again.
void any_string_is_parsed_or_refused_in_one_line(void**) {
  const char* const given = std::getenv("BALLAST_SEED");
  const unsigned long seed =
      given != nullptr ? std::strtoul(given, nullptr, 0) : std::random_device{}();
  std::mt19937_64 random{seed};
  const char* const parts[] = {"file",        ":",
                               "=",           "/",
                               "memory",      "null:",
                               ";",           "cache",
                               "direct",      "buffered",
                               "queue_depth", "write_same_max",
                               "64KiB",       "12",
                               "fault",       "/a",
                               "\xff",        "\n",
                               ",",           " ",
                               "fault=/x",    ";cache=buffered"};
  unsigned accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = random() % 2 == 0 ? "file:/a" : "";
    for (std::uint64_t i = random() % 7; i > 0; --i) {
      text += parts[random() % std::size(parts)];
    }
    const Result<LunConfig> config = parse(text);
    if (config) {
      ++accepted;
      const Result<LunConfig> again = parse(to_string(config.value()));
      if (!again || !(again.value() == config.value())) {
        print_error("seed %lu: %s\n", seed, quote(text).c_str());
        assert_true(false);
      }
    } else if (!is_clean(config.error().message)) {
      print_error("seed %lu: %s gives %s\n", seed, quote(text).c_str(),
                  config.error().message.c_str());
      assert_true(false);
    }
  }
  assert_in_range(accepted, 100, 20000);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_file_with_nothing_else_has_the_documented_defaults),
      cmocka_unit_test(several_keys_reach_their_fields),
      cmocka_unit_test(every_key_reaches_its_field_and_no_other),
      cmocka_unit_test(the_forms_that_targetcli_lets_through_mean_the_same),
      cmocka_unit_test(a_server_is_a_host_an_address_or_a_socket),
      cmocka_unit_test(a_percent_sign_that_is_no_code),
      cmocka_unit_test(one_semicolon_may_end_the_string),
      cmocka_unit_test(limits_are_inclusive),
      cmocka_unit_test(a_string_as_long_as_the_kernel_keeps_is_accepted),
      cmocka_unit_test(nothing_at_all),
      cmocka_unit_test(no_kind),
      cmocka_unit_test(an_unknown_kind_lists_the_known_ones),
      cmocka_unit_test(a_log_where_none_can_be),
      cmocka_unit_test(a_target_where_none_belongs),
      cmocka_unit_test(a_missing_path),
      cmocka_unit_test(a_relative_path),
      cmocka_unit_test(a_path_too_long),
      cmocka_unit_test(a_configuration_too_long),
      cmocka_unit_test(an_unknown_key_lists_the_known_ones),
      cmocka_unit_test(a_key_twice),
      cmocka_unit_test(a_key_without_an_equals_sign),
      cmocka_unit_test(a_path_with_a_semicolon),
      cmocka_unit_test(an_empty_setting),
      cmocka_unit_test(an_empty_value),
      cmocka_unit_test(a_value_outside_an_enumeration),
      cmocka_unit_test(a_key_of_another_kind),
      cmocka_unit_test(a_bad_unit),
      cmocka_unit_test(a_value_out_of_range_says_the_range),
      cmocka_unit_test(a_value_that_is_no_multiple),
      cmocka_unit_test(rubbish_after_a_value),
      cmocka_unit_test(a_negative_number),
      cmocka_unit_test(a_control_character),
      cmocka_unit_test(a_comma_would_be_cut_off_by_the_kernel),
      cmocka_unit_test(the_daemons_own_key),
      cmocka_unit_test(the_limits_are_what_may_change_while_it_is_open),
      cmocka_unit_test(limits_that_no_command_can_keep_are_refused),
      cmocka_unit_test(limits_come_out_of_a_string_of_another_version),
      cmocka_unit_test(any_string_is_parsed_or_refused_in_one_line),
  };
  return cmocka_run_group_tests_name("config", tests, nullptr, nullptr);
}
