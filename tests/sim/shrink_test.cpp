// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/shrink.h"

#include <cstdio>

#include "tests/sim/program.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

// A run that a bug on purpose makes fail.
sim::RunResult failing(sim::RunOptions* options) {
  options->sabotage.no_fences = true;
  for (options->seed = 1;; ++options->seed) {
    sim::RunResult result = sim::run_quietly(*options);
    if (!result.complaints.empty()) {
      return result;
    }
  }
}

void a_failing_run_becomes_smaller_and_fails_still(void**) {
  sim::RunOptions options;
  const sim::RunResult result = failing(&options);
  const sim::RunBounds bounds = sim::shrink(options, result);
  std::fprintf(stderr, "seed %llu, %zu commands, %u faults: %s\n",
               static_cast<unsigned long long>(options.seed), result.commands, result.faults,
               sim::to_string(bounds).c_str());
  assert_true(bounds.commands < result.commands / 2);
  assert_true(bounds.faults->size() < result.faults / 2);
  options.bounds = sim::bounds_from(sim::to_string(bounds));
  const sim::RunResult small = sim::run_quietly(options);
  assert_false(small.complaints.empty());
  assert_true(small.commands < result.commands);
}

void bounds_come_back_from_their_text(void**) {
  const sim::RunBounds bounds{.commands = 12, .initiators = 2, .faults = {{3, 17}}};
  assert_string_equal(sim::to_string(bounds).c_str(), "12:2:3,17");
  assert_true(sim::bounds_from("12:2:3,17") == bounds);
  assert_true(sim::bounds_from("12:2:").faults->empty());
  assert_true(sim::bounds_from("none") == sim::RunBounds{});
}

}  // namespace

int main() {
  sim::prepare_program();
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_failing_run_becomes_smaller_and_fails_still),
      cmocka_unit_test(bounds_come_back_from_their_text),
  };
  return cmocka_run_group_tests_name("shrink", tests, nullptr, nullptr);
}
