// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/create.h"

#include <cerrno>
#include <cstring>

#include "lib/base/log.h"
#include "tests/unit/write_log/rig.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::write_log;

namespace {

void a_new_log_can_be_opened_and_is_empty(void**) {
  test::RigMedia media;
  test::Rig rig{media};
  assert_true(rig.make().ok());
  assert_string_equal(rig.open().c_str(), "");
  assert_true(rig.log->empty());
  assert_true(rig.log->takes_changes());
}

// A part that is written for the first time only later would be slow.
void all_of_a_new_log_was_written(void**) {
  test::RigMedia media;
  test::Rig rig{media};
  assert_true(rig.make().ok());
  assert_int_equal(rig.disk.bytes_written() - page, media.log.bytes());
}

void a_log_that_is_there_is_not_lost(void**) {
  test::RigMedia media;
  test::Rig rig{media};
  assert_true(rig.make().ok());
  assert_string_equal(rig.open().c_str(), "");
  assert_true(ok(rig.write(5, 2, 'a')));
  const Result<void> again = rig.make();
  assert_false(again.ok());
  assert_int_equal(again.error().errno_value, EEXIST);
  assert_string_equal(rig.read(5, 2).c_str(), "aa");
}

void a_device_that_is_too_small_is_refused(void**) {
  test::Medium small{ring_begin + fewest_segments * segment_bytes - page, page};
  co::SimExecutor sim{1};
  test::SimDisk disk{sim.executor(), small, 1, page, {}};
  test::RigMedia media;
  test::Rig rig{media};
  co::TaskGroup tasks{sim.executor()};
  Result<void> result;
  tasks.spawn("create",
              [](co::Executor&, backend::Backend* device, Result<void>* out) -> co::Task<void> {
                NewLog wanted;
                wanted.identity = test::rig_identity();
                *out = co_await create(*device, wanted);
              }(sim.executor(), &disk, &result));
  sim.run_until_idle();
  assert_false(result.ok());
  assert_non_null(std::strstr(result.error().message.c_str(), "the smallest log has 68157440"));
}

// If it is cut off, there is no log, whatever was there before.
void a_log_that_was_not_finished_is_none(void**) {
  test::RigMedia media;
  {
    test::Rig rig{media};
    assert_true(rig.make().ok());
  }
  test::Rig rig{media};
  NewLog wanted{.identity = test::rig_identity(), .over_another = true};
  rig.tasks.spawn("life", [](co::SimExecutor& sim, test::SimDisk* disk) -> co::Task<void> {
    co_await co::sleep_for(sim.executor(), std::chrono::milliseconds{2});
    disk->die();
  }(rig.sim, &rig.disk));
  const Result<void> result = rig.run(create(rig.disk, wanted));
  assert_false(result.ok());
  test::Rig next{media};
  assert_non_null(std::strstr(next.open().c_str(), "no superblock of a write log is there"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_new_log_can_be_opened_and_is_empty),
      cmocka_unit_test(all_of_a_new_log_was_written),
      cmocka_unit_test(a_log_that_is_there_is_not_lost),
      cmocka_unit_test(a_device_that_is_too_small_is_refused),
      cmocka_unit_test(a_log_that_was_not_finished_is_none),
  };
  return cmocka_run_group_tests_name("create", tests, nullptr, nullptr);
}
