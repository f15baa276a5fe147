// SPDX-License-Identifier: Apache-2.0
#include "lib/co/watermark.h"

#include <string>
#include <vector>

#include "lib/co/sim_executor.h"
#include "lib/co/sleep.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

struct Fixture {
  co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::Watermark mark{executor, "the mark"};
  co::CancelSource cancel;
  co::TaskGroup group{executor};
  std::string trace;
  void run() { test::run(executor); }
};

char letter_of(IoStatus status) {
  switch (status) {
    case IoStatus::ok:
      return 'y';
    case IoStatus::cancelled:
      return 'c';
    case IoStatus::medium_error:
      return 'm';
    default:
      return '?';
  }
}

co::Task<void> wait(co::Executor&, Fixture* f, std::uint64_t number, char name,
                    co::CancelToken token = {}) {
  const IoStatus status = co_await f->mark.reached(number, token);
  f->trace.push_back(name);
  f->trace.push_back(letter_of(status));
}

void those_whose_number_is_reached_go_on_in_the_order_they_came(void**) {
  Fixture f;
  f.group.spawn("waiter", wait(f.executor, &f, 3, 'a'));
  f.group.spawn("waiter", wait(f.executor, &f, 5, 'b'));
  f.group.spawn("waiter", wait(f.executor, &f, 2, 'c'));
  f.run();
  assert_int_equal(f.mark.waiting(), 3);
  f.mark.advance(1);
  f.run();
  assert_string_equal(f.trace.c_str(), "");
  f.mark.advance(3);
  f.run();
  assert_string_equal(f.trace.c_str(), "aycy");
  f.mark.advance(5);
  f.run();
  assert_string_equal(f.trace.c_str(), "aycyby");
}

void a_number_that_is_reached_does_not_suspend(void**) {
  Fixture f;
  f.mark.advance(7);
  f.group.spawn("waiter", wait(f.executor, &f, 7, 'a'));
  f.run();
  assert_string_equal(f.trace.c_str(), "ay");
  assert_int_equal(f.executor.stats().live_waits_peak, 1);  // the spawn's own
}

void a_failure_ends_every_wait_above_the_mark(void**) {
  Fixture f;
  f.group.spawn("waiter", wait(f.executor, &f, 1, 'a'));
  f.group.spawn("waiter", wait(f.executor, &f, 2, 'b'));
  f.run();
  f.mark.advance(1);
  f.mark.fail(IoStatus::medium_error);  // before the first has run
  f.group.spawn("waiter", wait(f.executor, &f, 1, 'c'));
  f.group.spawn("waiter", wait(f.executor, &f, 2, 'd'));
  f.run();
  assert_string_equal(f.trace.c_str(), "aybmcydm");
}

void the_first_failure_counts(void**) {
  Fixture f;
  f.mark.fail(IoStatus::medium_error);
  f.mark.fail(IoStatus::no_space);
  f.group.spawn("waiter", wait(f.executor, &f, 1, 'a'));
  f.run();
  assert_string_equal(f.trace.c_str(), "am");
}

void a_cancelled_wait_leaves_and_the_others_stay(void**) {
  Fixture f;
  f.group.spawn("waiter", wait(f.executor, &f, 1, 'a', f.cancel.token()));
  f.group.spawn("waiter", wait(f.executor, &f, 1, 'b'));
  f.run();
  f.cancel.request();
  f.run();
  assert_string_equal(f.trace.c_str(), "ac");
  assert_int_equal(f.mark.waiting(), 1);
  f.group.spawn("waiter", wait(f.executor, &f, 1, 'd', f.cancel.token()));
  f.run();
  assert_string_equal(f.trace.c_str(), "acdc");
  f.mark.advance(1);
  f.run();
  assert_string_equal(f.trace.c_str(), "acdcby");
}

void of_the_mark_and_cancellation_the_first_wins_and_neither_is_refused(void**) {
  Fixture f;
  f.group.spawn("waiter", wait(f.executor, &f, 1, 'a', f.cancel.token()));
  f.group.spawn("waiter", wait(f.executor, &f, 2, 'b', f.cancel.token()));
  f.run();
  f.mark.advance(1);
  f.cancel.request();
  f.mark.advance(2);
  f.run();
  assert_string_equal(f.trace.c_str(), "aybc");
  assert_int_equal(f.executor.stats().refused_wakes, 0);
}

void what_is_reached_or_failed_wins_over_a_token_that_was_requested_before(void**) {
  Fixture f;
  f.cancel.request();
  f.mark.advance(1);
  f.group.spawn("waiter", wait(f.executor, &f, 1, 'a', f.cancel.token()));
  f.run();
  f.mark.fail(IoStatus::medium_error);
  f.group.spawn("waiter", wait(f.executor, &f, 2, 'b', f.cancel.token()));
  f.run();
  assert_string_equal(f.trace.c_str(), "aybm");
}

// Many waiters, in random order, while the mark advances, waiters are cancelled, and at the end the
// work fails. Each ends once, with what was true when it was let through.
struct Crowd {
  explicit Crowd(std::uint64_t seed) : sim{seed}, random{seed}, mark{sim.executor(), "the mark"} {}
  co::SimExecutor sim;
  co::Random random;
  co::Watermark mark;
  co::TaskGroup group{sim.executor()};
  std::vector<unsigned> ends;
  bool wrong = false;
};

co::Task<void> one_of(co::Executor& executor, Crowd* crowd, std::size_t index, std::uint64_t number,
                      co::CancelSource* cancel) {
  const IoStatus status = co_await crowd->mark.reached(number, cancel->token());
  ++crowd->ends[index];
  crowd->wrong |= status == IoStatus::ok && crowd->mark.mark() < number;
  crowd->wrong |= status == IoStatus::cancelled && !cancel->requested();
  crowd->wrong |= status == IoStatus::medium_error && !crowd->mark.failed();
  // A second entry would come while it waits for something else.
  co_await co::sleep_for(executor, Nanoseconds{5});
  ++crowd->ends[index];
}

void no_waiter_is_entered_twice(void**) {
  const std::uint64_t seed = co::seed_from_environment("watermark");
  for (std::uint64_t round = 0; round < 300; ++round) {
    Crowd crowd{seed + round};
    constexpr std::size_t count = 40;
    crowd.ends.resize(count);
    std::vector<co::CancelSource> cancels(count);
    std::size_t begun = 0;
    while (begun < count || crowd.random.chance(3, 4)) {
      if (begun < count && crowd.random.chance(2, 3)) {
        const std::uint64_t number = crowd.mark.mark() + crowd.random.below(8);
        crowd.group.spawn("one",
                          one_of(crowd.sim.executor(), &crowd, begun, number, &cancels[begun]));
        ++begun;
      }
      if (crowd.random.chance(1, 3)) {
        crowd.mark.advance(crowd.mark.mark() + crowd.random.below(4));
      }
      if (begun > 0 && crowd.random.chance(1, 4)) {
        cancels[crowd.random.below(begun)].request();
      }
      if (crowd.random.chance(1, 2)) {
        crowd.sim.run_for(Nanoseconds{static_cast<std::int64_t>(crowd.random.below(4))});
      }
    }
    crowd.mark.fail(IoStatus::medium_error);
    crowd.sim.run_until_idle();
    assert_false(crowd.wrong);
    for (const unsigned ends : crowd.ends) {
      assert_int_equal(ends, 2);
    }
    assert_int_equal(crowd.mark.waiting(), 0);
    assert_int_equal(crowd.sim.executor().stats().refused_wakes, 0);
  }
}

void a_mark_that_falls_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    f.mark.advance(2);
    f.mark.advance(1);
  }));
}

void an_advance_after_a_failure_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    f.mark.fail(IoStatus::medium_error);
    f.mark.advance(1);
  }));
}

void a_watermark_that_goes_while_waited_for_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    f.group.spawn("waiter", wait(f.executor, &f, 1, 'a'));
    f.run();
    f.mark.~Watermark();
  }));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(those_whose_number_is_reached_go_on_in_the_order_they_came),
      cmocka_unit_test(a_number_that_is_reached_does_not_suspend),
      cmocka_unit_test(a_failure_ends_every_wait_above_the_mark),
      cmocka_unit_test(the_first_failure_counts),
      cmocka_unit_test(a_cancelled_wait_leaves_and_the_others_stay),
      cmocka_unit_test(of_the_mark_and_cancellation_the_first_wins_and_neither_is_refused),
      cmocka_unit_test(what_is_reached_or_failed_wins_over_a_token_that_was_requested_before),
      cmocka_unit_test(no_waiter_is_entered_twice),
      cmocka_unit_test(a_mark_that_falls_asserts),
      cmocka_unit_test(an_advance_after_a_failure_asserts),
      cmocka_unit_test(a_watermark_that_goes_while_waited_for_asserts),
  };
  return cmocka_run_group_tests_name("watermark", tests, nullptr, nullptr);
}
