// SPDX-License-Identifier: Apache-2.0
#include "lib/lun/kept_modes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "lib/base/durable_file.h"
#include "lib/base/errand.h"
#include "lib/base/log.h"
#include "lib/base/unique_fd.h"
#include "tests/unit/backend/lab.h"

// After all others.
#include "tests/cmocka.h"

using namespace ballast;
using lun::KeptModes;

namespace {

std::vector<std::string> said;

struct Place : test::Lab {
  test::Folder folder;
  KeptModes::Place place{
      .folder = folder.file("modes"), .lun = "vol0", .store = "file=/srv/vol0.raw"};

  Place() {
    said.clear();
    set_log_sink([](LogLevel, std::string_view line) { said.emplace_back(line); });
  }
  std::string file() const { return place.folder + "/vol0"; }
  bool keep(KeptModes::Values values) {
    KeptModes modes{executor(), place};
    return run(modes.keep(values));
  }
};

constexpr KeptModes::Values protected_without_cache{
    .write_cache = false, .descriptor_sense = true, .software_write_protect = true};

void what_was_kept_is_found(void**) {
  Place here;
  assert_false(KeptModes::find(here.place).value().has_value());
  assert_true(here.keep(protected_without_cache));
  assert_true(KeptModes::find(here.place).value() == protected_without_cache);
  here.keep({.write_cache = true});
  assert_true(KeptModes::find(here.place).value() == KeptModes::Values{.write_cache = true});
  assert_true(said.empty());
}

void another_store_begins_with_its_defaults(void**) {
  Place here;
  here.keep(protected_without_cache);
  here.place.store = "file=/srv/vol1.raw";
  assert_false(KeptModes::find(here.place).value().has_value());
}

void a_damaged_file_is_told_and_not_believed(void**) {
  Place here;
  here.keep(protected_without_cache);
  std::ofstream{here.file()} << "store=file=/srv/vol0.raw\nwrite_cache=off\n";
  const auto found = KeptModes::find(here.place);
  assert_int_equal(found.error().errno_value, EINVAL);
  assert_true(found.error().message.ends_with("is damaged: it has no write_cache of 0 or 1"));
}

void what_cannot_be_kept_is_told(void**) {
  Place here;
  std::ofstream{here.place.folder} << "a file where the folder is to be";
  assert_false(here.keep(protected_without_cache));
  assert_int_equal(said.size(), 1);
  assert_true(said[0].find("vol0: what an initiator has set") != std::string::npos);
}

// A pipe stands where the file is made first: whoever opens it to write waits for a reader.
void while_the_folder_hangs_one_errand_waits_and_then_writes_what_was_set_last(void**) {
  Place here;
  here.keep({});
  KeptModes modes{here.executor(), here.place};
  const std::string pipe =
      fmt::format("{}.new-{}-{}", here.file(), ::getpid(), ballast::next_turn() + 1);
  assert_int_equal(::mkfifo(pipe.c_str(), 0600), 0);
  const std::size_t before = errands_under_way();
  assert_false(here.run(modes.keep({.write_cache = true})));
  assert_false(here.run(modes.keep({.descriptor_sense = true})));
  assert_false(here.run(modes.keep(protected_without_cache)));
  assert_int_equal(errands_under_way(), before + 1);
  assert_int_equal(said.size(), 1);
  assert_true(said[0].find("the folder does not answer") != std::string::npos);
  const UniqueFd reader{::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  while (errands_under_way() > before) {
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  assert_true(KeptModes::find(here.place).value() == protected_without_cache);
  assert_true(here.run(modes.keep({})));
}

void without_a_folder_nothing_is_found(void**) {
  assert_false(KeptModes::find({}).value().has_value());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_was_kept_is_found),
      cmocka_unit_test(another_store_begins_with_its_defaults),
      cmocka_unit_test(a_damaged_file_is_told_and_not_believed),
      cmocka_unit_test(what_cannot_be_kept_is_told),
      cmocka_unit_test(while_the_folder_hangs_one_errand_waits_and_then_writes_what_was_set_last),
      cmocka_unit_test(without_a_folder_nothing_is_found),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
