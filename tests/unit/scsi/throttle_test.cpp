// SPDX-License-Identifier: Apache-2.0
#include "lib/scsi/throttle.h"

#include <vector>

#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Rig {
 public:
  explicit Rig(const config::Limits& limits) : throttle{executor, limits} {}

  void come(Bytes bytes, co::CancelToken cancel = {}) {
    group_.spawn("command", run(executor, bytes, cancel));
    test::run(executor);
  }
  // Passes time, and returns how many went through in it.
  std::size_t pass(Nanoseconds time) {
    const TimePoint until = clock.now() + time;
    const std::size_t before = went;
    test::run(executor);
    while (executor.next_timer() <= until) {
      clock.advance_to(executor.next_timer());
      test::run(executor);
    }
    clock.advance_to(until);
    test::run(executor);
    return went - before;
  }

  co::VirtualClock clock;
  co::Executor executor{"test", clock};
  scsi::Throttle throttle;
  std::size_t went = 0;

 private:
  co::Task<void> run(co::Executor&, Bytes bytes, co::CancelToken cancel) {
    co_await throttle.pass(bytes, cancel);
    went += cancel.requested() ? 0U : 1U;
  }
  co::TaskGroup group_{executor};
};

void without_limits_it_is_off(void**) {
  const Rig rig{config::Limits{}};
  assert_false(rig.throttle.is_on());
}

void commands_go_at_the_rate(void**) {
  Rig rig{{.max_iops = 100, .burst = milliseconds{1}}};
  for (int i = 0; i < 1000; ++i) {
    rig.come(Bytes{4096});
  }
  assert_in_range(rig.pass(seconds{5}), 499, 501);
  (void)rig.pass(seconds{10});
  assert_int_equal(rig.went, 1000);
}

void bytes_go_at_the_rate(void**) {
  Rig rig{{.max_bandwidth = Bytes{1 << 20}, .burst = milliseconds{1}}};
  for (int i = 0; i < 100; ++i) {
    rig.come(Bytes{64 << 10});
  }
  assert_in_range(rig.pass(seconds{2}), 31, 33);
  (void)rig.pass(seconds{10});
}

void the_stricter_limit_counts(void**) {
  Rig rig{{.max_iops = 10, .max_bandwidth = Bytes{1 << 20}, .burst = milliseconds{1}}};
  for (int i = 0; i < 100; ++i) {
    rig.come(Bytes{4096});
  }
  assert_in_range(rig.pass(seconds{2}), 19, 21);
  (void)rig.pass(seconds{10});
}

void an_idle_time_brings_one_burst_at_most(void**) {
  Rig rig{{.max_iops = 1000, .burst = milliseconds{100}}};
  (void)rig.pass(seconds{60});
  for (int i = 0; i < 500; ++i) {
    rig.come(Bytes{512});
  }
  assert_in_range(rig.went, 100, 101);
  (void)rig.pass(seconds{1});
}

void one_larger_than_a_burst_goes_and_the_next_wait_for_it(void**) {
  Rig rig{{.max_bandwidth = Bytes{1 << 20}, .burst = milliseconds{1}}};
  rig.come(Bytes{4 << 20});
  assert_int_equal(rig.went, 1);
  rig.come(Bytes{512});
  assert_int_equal(rig.pass(milliseconds{3900}), 0);
  assert_int_equal(rig.pass(milliseconds{200}), 1);
}

void one_that_is_cancelled_counts_for_nothing(void**) {
  Rig rig{{.max_iops = 1, .burst = milliseconds{1}}};
  co::CancelSource first;
  co::CancelSource second;
  rig.come(Bytes{512});
  rig.come(Bytes{512}, first.token());
  rig.come(Bytes{512}, second.token());
  rig.come(Bytes{512});
  second.request();
  first.request();
  assert_int_equal(rig.pass(milliseconds{1001}), 1);
  assert_int_equal(rig.went, 2);
}

void those_that_wait_go_by_new_limits(void**) {
  Rig rig{{.max_iops = 1, .burst = milliseconds{1}}};
  for (int i = 0; i < 10; ++i) {
    rig.come(Bytes{512});
  }
  rig.throttle.set_limits({.max_iops = 1000, .burst = milliseconds{1}});
  assert_int_equal(rig.pass(milliseconds{20}), 9);
  rig.throttle.set_limits({.max_iops = 1, .burst = milliseconds{1}});
  rig.come(Bytes{512});
  rig.come(Bytes{512});
  rig.throttle.set_limits({});
  assert_int_equal(rig.pass(milliseconds{1}), 1);
  assert_int_equal(rig.went, 12);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(without_limits_it_is_off),
      cmocka_unit_test(commands_go_at_the_rate),
      cmocka_unit_test(bytes_go_at_the_rate),
      cmocka_unit_test(the_stricter_limit_counts),
      cmocka_unit_test(an_idle_time_brings_one_burst_at_most),
      cmocka_unit_test(one_larger_than_a_burst_goes_and_the_next_wait_for_it),
      cmocka_unit_test(one_that_is_cancelled_counts_for_nothing),
      cmocka_unit_test(those_that_wait_go_by_new_limits),
  };
  return cmocka_run_group_tests_name("throttle", tests, nullptr, nullptr);
}
