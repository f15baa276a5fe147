// SPDX-License-Identifier: Apache-2.0
#include "lib/co/gate.h"

#include <memory>

#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using namespace std::chrono_literals;

namespace {

struct Fixture {
  co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::TaskGroup group{executor};
  co::Gate gate{executor, "the last to leave"};
  int drained = 0;
  int in_vain = 0;

  void drain() { group.spawn("drainer", drain_it(executor, this)); }
  void drain_until(TimePoint deadline) {
    group.spawn("drainer", drain_it_until(executor, this, deadline));
  }
  void run() { test::run(executor); }

 private:
  static co::Task<void> drain_it(co::Executor&, Fixture* fixture) {
    co_await fixture->gate.drain();
    ++fixture->drained;
  }
  static co::Task<void> drain_it_until(co::Executor&, Fixture* fixture, TimePoint deadline) {
    const bool drained = co_await fixture->gate.drain_until(deadline);
    ++(drained ? fixture->drained : fixture->in_vain);
  }
};

void it_counts_who_is_inside(void**) {
  Fixture f;
  assert_false(f.gate.used());
  {
    const co::Gate::Guard one{f.gate};
    const co::Gate::Guard another{f.gate};
    assert_int_equal(f.gate.count(), 2);
  }
  assert_int_equal(f.gate.count(), 0);
  assert_true(f.gate.used());
}

void a_drain_waits_for_the_last_one(void**) {
  Fixture f;
  assert_true(f.gate.enter());
  assert_true(f.gate.enter());
  f.gate.close();
  f.drain();
  f.run();
  f.gate.leave();
  f.run();
  assert_int_equal(f.drained, 0);
  f.gate.leave();
  assert_int_equal(f.drained, 0);  // it is woken, and runs in its turn
  f.run();
  assert_int_equal(f.drained, 1);
}

void a_drain_of_an_empty_gate_does_not_wait(void**) {
  Fixture f;
  f.gate.close();
  f.drain();
  f.drain_until(f.executor.now());
  f.run();
  assert_int_equal(f.drained, 2);
}

void a_closed_gate_lets_nobody_in_and_everybody_out(void**) {
  Fixture f;
  assert_true(f.gate.enter());
  f.gate.close();
  assert_true(f.gate.closed());
  assert_false(f.gate.enter());
  assert_int_equal(f.gate.count(), 1);
  f.gate.leave();
  assert_false(f.gate.enter());
  assert_int_equal(f.gate.count(), 0);
}

void all_drainers_go_when_the_last_one_leaves(void**) {
  Fixture f;
  assert_true(f.gate.enter());
  f.drain();
  f.drain();
  f.drain_until(f.executor.now() + 1s);
  f.run();
  assert_int_equal(f.drained, 0);
  f.gate.leave();
  f.run();
  assert_int_equal(f.drained, 3);
  assert_int_equal(f.in_vain, 0);
}

void a_drainer_of_an_open_gate_goes_though_another_enters_meanwhile(void**) {
  Fixture f;
  assert_true(f.gate.enter());
  f.drain();
  f.run();
  f.gate.leave();
  assert_true(f.gate.enter());
  f.run();
  assert_int_equal(f.drained, 1);
  f.gate.leave();
}

void a_drain_ends_at_its_deadline(void**) {
  Fixture f;
  assert_true(f.gate.enter());
  f.drain_until(f.executor.now() + 1s);
  f.drain();
  f.run();
  f.clock.advance_to(f.executor.now() + 1s);
  f.run();
  assert_int_equal(f.in_vain, 1);
  assert_int_equal(f.drained, 0);
  f.gate.leave();  // wakes the other one, and nobody twice
  f.run();
  assert_int_equal(f.drained, 1);
  assert_int_equal(f.executor.stats().refused_wakes, 0);
}

void a_deadline_that_is_past_does_not_wait(void**) {
  Fixture f;
  assert_true(f.gate.enter());
  f.drain_until(f.executor.now());
  f.run();
  assert_int_equal(f.in_vain, 1);
  f.gate.leave();
}

co::Task<void> close_and_destroy(co::Executor&, std::unique_ptr<co::Gate>* gate) {
  (*gate)->close();
  co_await (*gate)->drain();
  gate->reset();
}

// AddressSanitizer would see a touch.
void the_last_one_does_not_touch_a_gate_that_goes_at_once(void**) {
  Fixture f;
  auto gate = std::make_unique<co::Gate>(f.executor, "the last to leave");
  assert_true(gate->enter());
  f.group.spawn("closer", close_and_destroy(f.executor, &gate));
  f.run();
  gate->leave();
  f.run();
  assert_null(gate.get());
}

void what_its_users_must_not_do_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    f.gate.close();
    const co::Gate::Guard late{f.gate};
  }));
  assert_true(test::aborts([] {
    Fixture f;
    f.gate.leave();
  }));
  assert_true(test::aborts([] {
    Fixture f;
    (void)f.gate.enter();
  }));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(it_counts_who_is_inside),
      cmocka_unit_test(a_drain_waits_for_the_last_one),
      cmocka_unit_test(a_drain_of_an_empty_gate_does_not_wait),
      cmocka_unit_test(a_closed_gate_lets_nobody_in_and_everybody_out),
      cmocka_unit_test(all_drainers_go_when_the_last_one_leaves),
      cmocka_unit_test(a_drainer_of_an_open_gate_goes_though_another_enters_meanwhile),
      cmocka_unit_test(a_drain_ends_at_its_deadline),
      cmocka_unit_test(a_deadline_that_is_past_does_not_wait),
      cmocka_unit_test(the_last_one_does_not_touch_a_gate_that_goes_at_once),
      cmocka_unit_test(what_its_users_must_not_do_asserts),
  };
  return cmocka_run_group_tests_name("gate", tests, nullptr, nullptr);
}
