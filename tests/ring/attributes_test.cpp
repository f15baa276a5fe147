// SPDX-License-Identifier: Apache-2.0
// The built plugin, and attributes of a LUN's backstore in configfs, which say what the kernel does
// by itself.
#include <fstream>
#include <string>
#include <vector>

#include "tests/ring/configfs.h"
#include "tests/ring/support.h"

#include "tests/cmocka.h"
#include "tests/ring/assert_has.h"

using namespace ballast::ring_test;

namespace {

constexpr unsigned good = 0x00;

LunOptions as(const char* name) {
  LunOptions options;
  options.name = name;
  return options;
}

std::unique_ptr<Lun> add(const std::string& config, const LunOptions& options) {
  (void)take_log();
  std::unique_ptr<Lun> lun = Lun::add(config, options);
  assert_non_null(lun.get());
  return lun;
}

void a_time_limit_of_the_kernel_that_is_beyond_the_deadline_changes_only_what_is_last(void**) {
  const auto lun = add("memory;deadline=20s", as("patient"));
  lun->set_attribute("cmd_time_out", 60);
  assert_int_equal(lun->execute(test_unit_ready()).status, good);
  assert_has(take_log(),
             "cmd_time_out is 60 s, after which the kernel fails a command; so Ballast answers "
             "BUSY after 58s at the latest");
  assert_int_equal(lun->attribute("cmd_time_out"), 60);
}

// PERSISTENT RESERVE IN, as REPORT SUPPORTED OPERATION CODES has it.
bool has_reservations(Lun& lun) {
  std::vector<std::byte> data(4096);
  const Answer answer =
      lun.execute(Cdb{0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0}, Direction::from_device, data);
  assert_int_equal(answer.status, good);
  for (std::size_t at = 4; at + 8 <= answer.transferred; at += 8) {
    if (data[at] == std::byte{0x5e}) {
      return true;
    }
  }
  return false;
}

void reservations_are_there_as_far_as_the_kernel_answers_them(void**) {
  const auto silent = add("memory", as("silent"));  // an older kernel has neither attribute
  assert_true(has_reservations(*silent));
  const auto on = add("memory", as("on"));
  on->set_attribute("emulate_pr", 1);
  on->set_attribute("pgr_support", 1);
  assert_true(has_reservations(*on));
  const auto off = add("memory", as("off"));
  off->set_attribute("emulate_pr", 0);
  assert_false(has_reservations(*off));
  const auto without = add("memory", as("without"));
  without->set_attribute("emulate_pr", 1);
  without->set_attribute("pgr_support", 0);
  assert_false(has_reservations(*without));
}

void an_attribute_without_a_number_is_taken_for_the_kernels_default(void**) {
  const auto lun = add("memory", as("odd"));
  const std::string file = configfs_file("odd", "attrib/cmd_time_out");
  std::ofstream{file} << "soon\n";
  assert_int_equal(lun->execute(test_unit_ready()).status, good);
  assert_int_equal(std::ifstream{file}.get(), '0');  // as that is set to 0
}

void a_lun_that_is_not_found_in_configfs_works_and_has_the_name_of_its_uio_device(void**) {
  LunOptions options = as("uio7");
  options.in_configfs = false;
  const auto lun = add("memory", options);
  assert_int_equal(lun->execute(test_unit_ready()).status, good);
  assert_has(take_log(), "uio7: cmd_time_out is 30 s");
}

}  // namespace

int main() {
  load_built_plugin();
  const CMUnitTest tests[] = {
      cmocka_unit_test(
          a_time_limit_of_the_kernel_that_is_beyond_the_deadline_changes_only_what_is_last),
      cmocka_unit_test(reservations_are_there_as_far_as_the_kernel_answers_them),
      cmocka_unit_test(an_attribute_without_a_number_is_taken_for_the_kernels_default),
      cmocka_unit_test(
          a_lun_that_is_not_found_in_configfs_works_and_has_the_name_of_its_uio_device),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
