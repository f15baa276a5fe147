// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/lane_choice.h"

#include <optional>

#include "tests/cmocka.h"

using namespace ballast;
using backend::LaneChoice;
using backend::QueueShare;
using io::Lane;
using namespace std::chrono_literals;

namespace {

constexpr dev_t disk = 7;
constexpr dev_t other_disk = 8;
constexpr TimePoint start{std::chrono::hours{1}};

bool is(Lane lane, Lane expected) {
  return lane == expected;
}

void a_file_in_memory_never_needs_the_store_thread(void**) {
  const LaneChoice choice{LaneChoice::Kind::in_memory};
  const QueueShare share{disk, 2};
  assert_true(is(choice.read(start, 100, share), Lane::here));
}

void a_block_device_is_asked_at_once_until_it_knows_no_nowait(void**) {
  LaneChoice choice{LaneChoice::Kind::block_device};
  const QueueShare share{disk, 2};
  assert_true(is(choice.read(start, 100, share), Lane::at_once));
  choice.refused(EAGAIN);
  assert_true(is(choice.read(start, 100, share), Lane::at_once));
  choice.refused(EOPNOTSUPP);
  assert_true(is(choice.read(start, 1, share), Lane::store));
}

void a_file_in_the_page_cache_always_goes_through_the_store_thread(void**) {
  LaneChoice choice{LaneChoice::Kind::cached_file};
  const QueueShare share{disk, 100};
  choice.has_read(start);
  assert_true(is(choice.read(start, 1, share), Lane::store));
}

void a_direct_file_is_asked_at_once_only_shortly_after_the_store_answered(void**) {
  LaneChoice choice{LaneChoice::Kind::direct_file};
  const QueueShare share{disk, 100};
  assert_true(is(choice.read(start, 1, share), Lane::store));  // it has not answered yet
  choice.has_read(start);
  assert_true(is(choice.read(start + LaneChoice::lease, 1, share), Lane::at_once));
  assert_true(is(choice.read(start + LaneChoice::lease + 1ns, 1, share), Lane::store));
  choice.has_read(start + 1s);
  assert_true(is(choice.read(start + 1s, 1, share), Lane::at_once));
  choice.refused(EOPNOTSUPP);
  assert_true(is(choice.read(start + 1s, 1, share), Lane::store));
}

LaneChoice::Tick the_time = 0;
LaneChoice::Tick clock_now() {
  return the_time;
}

// It changes the file's time of modification, and may wait for the journal.
void the_first_write_of_a_tick_goes_through_the_store_thread(void**) {
  LaneChoice choice{LaneChoice::Kind::direct_file};
  const QueueShare share{disk, 100};
  choice.has_read(start);
  LaneChoice::Tick tick = -1;
  LaneChoice::Tick another = -1;
  for (the_time = 4; the_time <= 12; the_time += 4) {
    assert_true(is(choice.write(start, 1, share, &clock_now, &tick), Lane::store));
    // So does the second, while the first is under way.
    assert_true(is(choice.write(start, 2, share, &clock_now, &another), Lane::store));
    choice.has_written(start, tick);
    assert_true(is(choice.write(start, 2, share, &clock_now, &another), Lane::at_once));
    assert_true(is(choice.read(start, 1, share), Lane::at_once));
  }
}

void a_write_to_a_block_device_needs_no_tick(void**) {
  const LaneChoice choice{LaneChoice::Kind::block_device};
  const QueueShare share{disk, 100};
  LaneChoice::Tick tick = -1;
  assert_true(is(choice.write(start, 1, share, &clock_now, &tick), Lane::at_once));
}

void a_direct_file_keeps_to_its_share_of_the_tags(void**) {
  LaneChoice choice{LaneChoice::Kind::direct_file};
  const QueueShare share{disk, 31};
  choice.has_read(start);
  assert_true(is(choice.read(start, 15, share), Lane::at_once));
  assert_true(is(choice.read(start, 16, share), Lane::store));
}

void luns_on_one_device_divide_half_of_its_tags(void**) {
  const QueueShare first{disk, 32};
  assert_int_equal(first.operations(), 16);
  const QueueShare elsewhere{other_disk, 32};
  {
    const QueueShare second{disk, 32};
    assert_int_equal(first.operations(), 8);
    assert_int_equal(second.operations(), 8);
    assert_int_equal(elsewhere.operations(), 16);
  }
  assert_int_equal(first.operations(), 16);
  const QueueShare least{other_disk, 1};
  assert_int_equal(least.operations(), 1);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_file_in_memory_never_needs_the_store_thread),
      cmocka_unit_test(a_block_device_is_asked_at_once_until_it_knows_no_nowait),
      cmocka_unit_test(a_file_in_the_page_cache_always_goes_through_the_store_thread),
      cmocka_unit_test(a_direct_file_is_asked_at_once_only_shortly_after_the_store_answered),
      cmocka_unit_test(the_first_write_of_a_tick_goes_through_the_store_thread),
      cmocka_unit_test(a_write_to_a_block_device_needs_no_tick),
      cmocka_unit_test(a_direct_file_keeps_to_its_share_of_the_tags),
      cmocka_unit_test(luns_on_one_device_divide_half_of_its_tags),
  };
  return cmocka_run_group_tests_name("lane_choice", tests, nullptr, nullptr);
}
