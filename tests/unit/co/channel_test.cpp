// SPDX-License-Identifier: Apache-2.0
#include "lib/co/channel.h"

#include <memory>
#include <vector>

#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

using Value = std::unique_ptr<int>;  // only moves: a copy would not compile, a loss would leak

struct Fixture {
  const co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::Channel<Value> channel{executor, 2};
  co::TaskGroup group{executor};
  std::vector<int> got;
  std::vector<bool> taken;
  bool ended = false;
};

co::Task<void> push_all(co::Executor&, Fixture* f, int first, int count) {
  for (int i = first; i < first + count; ++i) {
    auto value = std::make_unique<int>(i);
    const bool taken = co_await f->channel.push(std::move(value));
    f->taken.push_back(taken);
  }
}

co::Task<void> pop_all(co::Executor&, Fixture* f) {
  for (;;) {
    const std::optional<Value> value = co_await f->channel.pop();
    if (!value.has_value()) {
      break;
    }
    f->got.push_back(**value);
  }
  f->ended = true;
}

void values_come_out_in_the_order_they_went_in(void**) {
  Fixture f;
  f.group.spawn("pusher", push_all(f.executor, &f, 0, 10));
  f.group.spawn("popper", pop_all(f.executor, &f));
  test::run(f.executor);
  f.channel.close();
  test::run(f.executor);
  const std::vector<int> expected{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  assert_true(f.got == expected);
  assert_true(f.ended);
}

void a_pusher_waits_while_it_is_full(void**) {
  Fixture f;
  f.group.spawn("pusher", push_all(f.executor, &f, 0, 3));
  test::run(f.executor);
  assert_int_equal(f.taken.size(), 2);
  assert_int_equal(f.channel.size(), 2);
  const std::optional<Value> first = f.channel.try_pop();
  assert_int_equal(**first, 0);
  assert_int_equal(f.channel.size(), 2);  // the waiting value went in at once
  test::run(f.executor);
  assert_int_equal(f.taken.size(), 3);
}

void pushers_that_wait_are_served_in_order(void**) {
  Fixture f;
  for (int first = 0; first < 50; first += 10) {
    f.group.spawn("pusher", push_all(f.executor, &f, first, 1));
  }
  test::run(f.executor);
  f.group.spawn("popper", pop_all(f.executor, &f));
  test::run(f.executor);
  f.channel.close();
  test::run(f.executor);
  const std::vector<int> expected{0, 10, 20, 30, 40};
  assert_true(f.got == expected);
}

void a_waiting_popper_gets_the_value_before_it_runs(void**) {
  Fixture f;
  f.group.spawn("popper", pop_all(f.executor, &f));
  test::run(f.executor);
  auto value = std::make_unique<int>(7);
  assert_true(f.channel.try_push(value));
  assert_null(value.get());
  assert_int_equal(f.channel.size(), 0);
  assert_false(f.channel.try_pop().has_value());  // nobody can take it away
  f.channel.close();
  test::run(f.executor);
  assert_int_equal(f.got.at(0), 7);
}

void try_push_leaves_the_value_when_full(void**) {
  Fixture f;
  for (int i = 0; i < 2; ++i) {
    assert_true(f.channel.try_push(std::make_unique<int>(i)));
  }
  auto value = std::make_unique<int>(2);
  assert_false(f.channel.try_push(value));
  assert_non_null(value.get());
}

void close_lets_poppers_drain(void**) {
  Fixture f;
  (void)f.channel.try_push(std::make_unique<int>(1));
  f.channel.close();
  f.group.spawn("popper", pop_all(f.executor, &f));
  test::run(f.executor);
  assert_int_equal(f.got.size(), 1);
  assert_true(f.ended);
}

void close_turns_waiting_and_later_pushers_away(void**) {
  Fixture f;
  f.group.spawn("pusher", push_all(f.executor, &f, 0, 4));
  test::run(f.executor);
  f.channel.close();
  f.channel.close();
  test::run(f.executor);
  const std::vector<bool> expected{true, true, false, false};
  assert_true(f.taken == expected);
  auto value = std::make_unique<int>(9);
  assert_false(f.channel.try_push(value));
}

void a_channel_that_goes_while_waited_for_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    f.group.spawn("popper", pop_all(f.executor, &f));
    test::run(f.executor);
    f.channel.~Channel();
  }));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(values_come_out_in_the_order_they_went_in),
      cmocka_unit_test(a_pusher_waits_while_it_is_full),
      cmocka_unit_test(pushers_that_wait_are_served_in_order),
      cmocka_unit_test(a_waiting_popper_gets_the_value_before_it_runs),
      cmocka_unit_test(try_push_leaves_the_value_when_full),
      cmocka_unit_test(close_lets_poppers_drain),
      cmocka_unit_test(close_turns_waiting_and_later_pushers_away),
      cmocka_unit_test(a_channel_that_goes_while_waited_for_asserts),
  };
  return cmocka_run_group_tests_name("channel", tests, nullptr, nullptr);
}
