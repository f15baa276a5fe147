// SPDX-License-Identifier: Apache-2.0
#include "lib/volume/range_lock.h"

#include <optional>

#include "lib/co/clock.h"
#include "lib/co/executor.h"
#include "tests/cmocka.h"

using namespace ballast;
using volume::RangeLock;

namespace {

constexpr auto shared = RangeLock::Kind::shared;
constexpr auto exclusive = RangeLock::Kind::exclusive;

using Hold = std::optional<RangeLock::Hold>;

void changes_share_their_blocks(void**) {
  RangeLock lock;
  const RangeLock::Hold a{lock, Lba{0}, BlockCount{8}, shared};
  const RangeLock::Hold b{lock, Lba{4}, BlockCount{8}, shared};
  assert_true(a.granted() && b.granted());
  assert_int_equal(lock.holders(), 2);
}

void an_exclusive_one_waits_for_all_before_it(void**) {
  const co::VirtualClock clock;
  co::Executor executor{"test", clock};
  RangeLock lock;
  Hold a{std::in_place, lock, Lba{0}, BlockCount{8}, shared};
  Hold b{std::in_place, lock, Lba{4}, BlockCount{8}, shared};
  RangeLock::Hold c{lock, Lba{7}, BlockCount{1}, exclusive};
  co::Wait wait{executor, "test"};
  c.wake_when_granted(wait.waker());
  assert_false(c.granted());
  a.reset();
  assert_false(c.granted());
  assert_true(wait.waker().pending());
  b.reset();
  assert_true(c.granted());
  assert_false(wait.waker().pending());
}

void those_behind_an_exclusive_one_do_not_overtake_it(void**) {
  const co::VirtualClock clock;
  co::Executor executor{"test", clock};
  RangeLock lock;
  Hold a{std::in_place, lock, Lba{0}, BlockCount{8}, shared};
  Hold b{std::in_place, lock, Lba{0}, BlockCount{8}, exclusive};
  co::Wait for_b{executor, "test"};
  b->wake_when_granted(for_b.waker());
  RangeLock::Hold c{lock, Lba{0}, BlockCount{8}, shared};
  co::Wait for_c{executor, "test"};
  c.wake_when_granted(for_c.waker());
  a.reset();
  assert_true(b->granted());
  assert_false(c.granted());
  b.reset();
  assert_true(c.granted());
}

void neighbours_do_not_wait(void**) {
  RangeLock lock;
  const RangeLock::Hold a{lock, Lba{8}, BlockCount{8}, exclusive};
  const RangeLock::Hold before{lock, Lba{0}, BlockCount{8}, exclusive};
  const RangeLock::Hold after{lock, Lba{16}, BlockCount{8}, shared};
  assert_true(a.granted() && before.granted() && after.granted());
}

void one_that_gives_up_lets_the_next_through(void**) {
  const co::VirtualClock clock;
  co::Executor executor{"test", clock};
  RangeLock lock;
  const RangeLock::Hold a{lock, Lba{0}, BlockCount{4}, shared};
  Hold b{std::in_place, lock, Lba{0}, BlockCount{8}, exclusive};
  RangeLock::Hold c{lock, Lba{4}, BlockCount{4}, shared};
  co::Wait wait{executor, "test"};
  c.wake_when_granted(wait.waker());
  assert_false(b->granted());
  assert_false(c.granted());
  b.reset();
  assert_true(c.granted());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(changes_share_their_blocks),
      cmocka_unit_test(an_exclusive_one_waits_for_all_before_it),
      cmocka_unit_test(those_behind_an_exclusive_one_do_not_overtake_it),
      cmocka_unit_test(neighbours_do_not_wait),
      cmocka_unit_test(one_that_gives_up_lets_the_next_through),
  };
  return cmocka_run_group_tests_name("range_lock", tests, nullptr, nullptr);
}
