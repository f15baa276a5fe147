// SPDX-License-Identifier: Apache-2.0
#include "lib/co/task_group.h"

#include <memory>

#include "lib/co/sleep.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

struct Fixture {
  const co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::TaskGroup group{executor};
};

co::Task<void> yield_times(co::Executor& executor, int times, int* ended) {
  for (int i = 0; i < times; ++i) {
    co_await co::yield(executor);
  }
  ++*ended;
}

void spawn_never_runs_inline(void**) {
  Fixture f;
  int ended = 0;
  f.group.spawn("child", yield_times(f.executor, 0, &ended));
  assert_int_equal(ended, 0);
  assert_int_equal(f.group.live(), 1);
  test::run(f.executor);
  assert_int_equal(ended, 1);
  assert_int_equal(f.group.live(), 0);
}

co::Task<void> parent_of(co::Executor& executor, int children, int* ended, int* ended_at_join) {
  co::TaskGroup group{executor};
  for (int i = 0; i < children; ++i) {
    group.spawn("child", yield_times(executor, i, ended));
  }
  co_await group.join();
  *ended_at_join = *ended;
}

void join_ends_when_the_last_child_has(void**) {
  Fixture f;
  int ended = 0;
  int ended_at_join = -1;
  f.group.spawn("parent", parent_of(f.executor, 5, &ended, &ended_at_join));
  test::run(f.executor);
  assert_int_equal(ended_at_join, 5);
}

void joining_no_children_does_not_wait(void**) {
  Fixture f;
  int ended = 0;
  int ended_at_join = -1;
  f.group.spawn("parent", parent_of(f.executor, 0, &ended, &ended_at_join));
  test::run(f.executor);
  assert_int_equal(ended_at_join, 0);
}

// Wakes when its task's frame goes: the last thing that happens on account of a child.
class OnDestruction {
 public:
  explicit OnDestruction(int* counter) : counter_{counter} {}
  OnDestruction(OnDestruction&& other) noexcept
      : counter_{std::exchange(other.counter_, nullptr)} {}
  OnDestruction& operator=(OnDestruction&&) = delete;
  ~OnDestruction() {
    if (counter_ != nullptr) {
      ++*counter_;
    }
  }

 private:
  int* counter_;
};

co::Task<void> hold(co::Executor& executor, OnDestruction) {
  co_await co::yield(executor);
}

co::Task<void> parent_with_locals(co::Executor& executor, int* destroyed_at_join) {
  int destroyed = 0;  // children write here until their frames are gone
  co::TaskGroup group{executor};
  for (int i = 0; i < 3; ++i) {
    OnDestruction token{&destroyed};
    group.spawn("child", hold(executor, std::move(token)));
  }
  co_await group.join();
  *destroyed_at_join = destroyed;
}

void the_parent_outlives_the_frames_of_its_children(void**) {
  Fixture f;
  int destroyed = 0;
  f.group.spawn("parent", parent_with_locals(f.executor, &destroyed));
  test::run(f.executor);
  assert_int_equal(destroyed, 3);
}

void the_last_child_does_not_touch_a_group_that_goes_at_once(void**) {
  // The group is on the heap and goes in the same tick as its last child: AddressSanitizer would
  // see a touch.
  const co::VirtualClock clock;
  co::Executor executor{"test", clock};
  auto group = std::make_unique<co::TaskGroup>(executor);
  int ended = 0;
  group->spawn("child", yield_times(executor, 0, &ended));
  (void)executor.tick();
  group.reset();
  test::run(executor);
  assert_int_equal(ended, 1);
}

struct Late {
  co::TaskGroup* group;
  int ended = 0;
  int ended_at_join = -1;
};

co::Task<void> spawn_another(co::Executor& executor, Late* late) {
  late->group->spawn("late child", yield_times(executor, 3, &late->ended));
  co_return;
}

co::Task<void> join_it(co::Executor&, Late* late) {
  co_await late->group->join();
  late->ended_at_join = late->ended;
}

co::Task<void> wait_for_waker(co::Executor& executor, co::Waker* waker) {
  co::Wait wait{executor, "told to end"};
  *waker = wait.waker();
  co_await wait;
}

// In one tick: the only child ends and wakes the joiner; before the joiner runs, somebody spawns.
void a_child_spawned_after_the_last_one_ended_is_joined_too(void**) {
  Fixture f;
  co::TaskGroup group{f.executor};
  Late late{.group = &group};
  co::Waker waker;
  group.spawn("child", wait_for_waker(f.executor, &waker));
  f.group.spawn("joiner", join_it(f.executor, &late));
  test::run(f.executor);
  (void)waker.wake();
  f.group.spawn("spawner", spawn_another(f.executor, &late));
  test::run(f.executor);
  assert_int_equal(late.ended_at_join, 1);
  assert_int_equal(group.live(), 0);
}

void a_group_that_goes_before_its_children_asserts(void**) {
  assert_true(test::aborts([] {
    const co::VirtualClock clock;
    co::Executor executor{"test", clock};
    int ended = 0;
    co::TaskGroup group{executor};
    group.spawn("child", yield_times(executor, 1, &ended));
  }));
}

co::Task<void> join_group(co::Executor&, co::TaskGroup* group) {
  co_await group->join();
}

void two_joiners_assert(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    int ended = 0;
    co::TaskGroup group{f.executor};
    group.spawn("child", yield_times(f.executor, 5, &ended));
    f.group.spawn("joiner", join_group(f.executor, &group));
    f.group.spawn("joiner", join_group(f.executor, &group));
    test::run(f.executor);
  }));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(spawn_never_runs_inline),
      cmocka_unit_test(join_ends_when_the_last_child_has),
      cmocka_unit_test(joining_no_children_does_not_wait),
      cmocka_unit_test(the_parent_outlives_the_frames_of_its_children),
      cmocka_unit_test(the_last_child_does_not_touch_a_group_that_goes_at_once),
      cmocka_unit_test(a_child_spawned_after_the_last_one_ended_is_joined_too),
      cmocka_unit_test(a_group_that_goes_before_its_children_asserts),
      cmocka_unit_test(two_joiners_assert),
  };
  return cmocka_run_group_tests_name("task group", tests, nullptr, nullptr);
}
