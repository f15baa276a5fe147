// SPDX-License-Identifier: Apache-2.0
#include "lib/lun/profiles.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "lib/lun/config.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::lun;
using namespace std::chrono_literals;

namespace {

const std::string usual = "/etc/ballast/ballast.conf";

Profiles profiles(const std::string& text) {
  Result<Profiles> parsed = Profiles::parse(text, usual);
  if (!parsed) {
    print_error("%s\n", parsed.error().message.c_str());
  }
  assert_true(parsed.ok());
  return std::move(parsed).value();
}

void expect_words(const std::string& message, std::initializer_list<const char*> words) {
  for (const char* word : words) {
    if (message.find(word) == std::string::npos) {
      print_error("\"%s\" lacks \"%s\"\n", message.c_str(), word);
      assert_true(false);
    }
  }
}

std::string refusal(const std::string& file) {
  const Result<Profiles> parsed = Profiles::parse(file, usual);
  return parsed ? "accepted" : parsed.error().message;
}

std::string refusal(const char* string, const std::string& file) {
  const Result<LunConfig> parsed = parse(string, profiles(file));
  return parsed ? "accepted" : parsed.error().message;
}

std::string from(const std::string& key, const char* string, const std::string& file) {
  const Profiles all = profiles(file);
  const Result<std::vector<Setting>> found = settings(string, &all);
  assert_true(found.ok());
  for (const Setting& setting : found.value()) {
    if (setting.name == key) {
      return setting.value + " " + setting.from;
    }
  }
  return "no such setting";
}

const std::string two_levels =
    "# for all\n"
    "[defaults]\n"
    "deadline = 30s\n"
    "slow=2s\n"
    "queue_depth=64\n"
    "\n"
    "[profile database]\n"
    "queue_depth=32\n"
    "poll=off\n";

void the_string_counts_over_the_profile_and_that_over_the_defaults(void**) {
  const char* const string = "file=/srv/vol0.raw;poll=auto;profile=database";
  const LunConfig config = parse(string, profiles(two_levels)).value();
  assert_true(config.deadline == 30s);
  assert_int_equal(config.queue_depth, 32);
  assert_int_equal(config.poll, poll_auto);
  assert_string_equal(from("poll", string, two_levels).c_str(), "auto string");
  assert_string_equal(from("queue_depth", string, two_levels).c_str(), "32 [profile database]");
  assert_string_equal(from("slow", string, two_levels).c_str(), "2s [defaults]");
  assert_string_equal(from("busy_for", string, two_levels).c_str(), "2min ");
}

void a_lun_without_a_profile_has_the_defaults_alone(void**) {
  const LunConfig config = parse("null", profiles(two_levels)).value();
  assert_int_equal(config.queue_depth, 64);
  assert_true(config.slow == 2s);
}

void without_a_file_there_is_nothing(void**) {
  const Result<Profiles> none = Profiles::read("/nonexistent/ballast.conf");
  assert_true(none.ok());
  assert_true(parse("null;queue_depth=3", none.value()).value() ==
              parse("null;queue_depth=3").value());
  assert_int_equal(parse("null;profile=x", none.value()).error().errno_value, EINVAL);
}

void a_profile_that_is_not_there_is_named(void**) {
  expect_words(refusal("null;profile=databse", two_levels),
               {usual.c_str(), "no profile \"databse\"", "it has database"});
  expect_words(refusal("null;profile=x", ""), {"it has no profiles"});
  expect_words(refusal("null;profile=a b", two_levels), {"key profile", "\"a b\"", "letters"});
}

void a_mistake_in_the_file_is_named_with_its_place(void**) {
  expect_words(refusal("deadline=3s\n"), {usual.c_str(), "\"deadline\" is in no section"});
  expect_words(refusal("[defaults]\ndeadline\n"), {usual.c_str(), "line 2"});
  expect_words(refusal("[defaults]\nslow=1s\nslow=2s\n"), {"line 3", "duplicate key"});
  expect_words(refusal("[defaults]\nslow=1s\n[defaults]\nburst=1s\n"), {"line 3", "duplicate"});
  expect_words(refusal("[profile a]\nslow=1s\n[profile  a]\nslow=1s\n"), {"is there twice"});
  expect_words(refusal("[default]\nslow=1s\n"), {"a section \"[default]\"", "[profile NAME]"});
  expect_words(refusal("[profil\xe9 a]\nslow=1s\n"), {"\"[profil\\xe9 a]\""});
  expect_words(refusal("[profile a b]\nslow=1s\n"), {"\"a b\"", "letters"});
  expect_words(refusal("[profile a/b]\nslow=1s\n"), {"\"a/b\"", "letters"});
  expect_words(refusal("[defaults\nslow=1s\n"), {"line 1"});
}

void a_setting_that_is_wrong_is_named_with_its_place(void**) {
  expect_words(refusal("null", "[defaults]\nslow=fast\n"),
               {usual.c_str(), "[defaults]", "key slow", "\"fast\""});
  expect_words(refusal("null;profile=a", "[profile a]\nspeed=9\n"),
               {"[profile a]", "unknown key \"speed\""});
  // A profile that nobody uses does no harm.
  assert_string_equal(refusal("null", "[profile a]\nspeed=9\n").c_str(), "accepted");
  expect_words(refusal("null", "[defaults]\ndeadline=1s\n"),
               {"deadline", usual.c_str(), "count, too"});
}

void defaults_may_have_keys_of_other_kinds_and_a_profile_may_not(void**) {
  const std::string cache = "cache=buffered\n";
  assert_string_equal(refusal("null", "[defaults]\n" + cache).c_str(), "accepted");
  assert_true(parse("file=/srv/a", profiles("[defaults]\n" + cache)).value().store.file.cache ==
              backend::CacheMode::buffered);
  expect_words(refusal("null;profile=a", "[profile a]\n" + cache),
               {"[profile a]", "with file only"});
}

void what_belongs_to_one_lun_is_refused(void**) {
  for (const char* const key : {"log=/fast/vol.log\n", "profile=b\n"}) {
    expect_words(refusal("file=/srv/a", std::string{"[defaults]\n"} + key), {"belongs to one LUN"});
  }
}

void a_string_alone_keeps_the_name_of_its_profile(void**) {
  const LunConfig config = parse("null;profile=database").value();
  assert_string_equal(config.profile.c_str(), "database");
  assert_string_equal(to_string(config).c_str(), "null;profile=database");
}

void live_settings_change_and_others_stay(void**) {
  const LunConfig open = parse("null;queue_depth=8;deadline=10s").value();
  const LunConfig wanted = parse("null;queue_depth=9;deadline=20s;max_iops=50;poll=off").value();
  const LunConfig changed = with_live_settings(open, wanted);
  assert_int_equal(changed.queue_depth, 8);
  assert_true(changed.deadline == 20s);
  assert_int_equal(changed.max_iops, 50);
  assert_int_equal(changed.poll, poll_off);
}

void a_file_that_is_none_is_refused(void**) {
  char folder[] = "/tmp/ballast-profiles-XXXXXX";
  assert_non_null(::mkdtemp(folder));
  const std::string path = std::string{folder} + "/conf";
  expect_words(Profiles::read(folder).error().message, {folder, "no regular file"});
  assert_int_equal(::mkfifo(path.c_str(), 0600), 0);
  expect_words(Profiles::read(path).error().message, {path.c_str(), "no regular file"});
  std::filesystem::remove(path);
  std::ofstream{path} << std::string(65537, '#');
  expect_words(Profiles::read(path).error().message, {path.c_str(), "64 KiB"});
  std::ofstream{path} << two_levels;
  assert_non_null(Profiles::read(path).value().find("database"));
  std::filesystem::remove_all(folder);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_string_counts_over_the_profile_and_that_over_the_defaults),
      cmocka_unit_test(a_lun_without_a_profile_has_the_defaults_alone),
      cmocka_unit_test(without_a_file_there_is_nothing),
      cmocka_unit_test(a_profile_that_is_not_there_is_named),
      cmocka_unit_test(a_mistake_in_the_file_is_named_with_its_place),
      cmocka_unit_test(a_setting_that_is_wrong_is_named_with_its_place),
      cmocka_unit_test(defaults_may_have_keys_of_other_kinds_and_a_profile_may_not),
      cmocka_unit_test(what_belongs_to_one_lun_is_refused),
      cmocka_unit_test(a_string_alone_keeps_the_name_of_its_profile),
      cmocka_unit_test(live_settings_change_and_others_stay),
      cmocka_unit_test(a_file_that_is_none_is_refused),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
