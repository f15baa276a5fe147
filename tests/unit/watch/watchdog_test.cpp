// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/watchdog.h"

#include <atomic>
#include <chrono>
#include <semaphore>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "lib/co/sleep.h"
#include "lib/co/task_group.h"
#include "tests/unit/watch/captured_log.h"
#include "tests/unit/watch/unkillable.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace std::chrono_literals;

namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

struct SharedClock final : co::Clock {
  TimePoint now() const noexcept override { return TimePoint{Nanoseconds{at}}; }
  void pass(Nanoseconds time) { at += time.count(); }
  std::atomic<std::int64_t> at{1'000'000'000};
};

// A LUN whose driver is stuck in a coroutine that does not give its thread back, until it is let
// go.
class House {
 public:
  House() {
    group_.spawn("stubborn task", hold(executor_, this));
    driver_ = std::thread{[this] {
      (void)::pthread_setname_np(::pthread_self(), "the driver");
      thread_ = this_thread_id();
      executor_.begin_turn();
      while (!executor_.idle()) {
        (void)executor_.tick();
      }
      entered_.release();
      end_.acquire();
      executor_.end_turn();
    }};
    entered_.acquire();
  }
  ~House() { end_turn(); }

  void let_go() {
    let_go_.release();
    entered_.acquire();  // the driver has run all, and is still within its turn
  }
  void end_turn() {
    if (driver_.joinable()) {
      let_go_.release();
      end_.release();
      driver_.join();
    }
  }

  SharedClock clock;
  test::CapturedLog log;
  watch::Watchdog watchdog{clock};
  pid_t thread() const { return thread_; }

 private:
  static co::Task<void> hold(co::Executor& executor, House* house) {
    co_await co::yield(executor);
    house->entered_.release();
    house->let_go_.acquire();
  }

  const std::string name_ = "vol0";
  co::Executor executor_{name_.c_str(), clock};
  co::TaskGroup group_{executor_};

 public:
  watch::Watchdog::Lun lun{watchdog, name_, executor_};

 private:
  std::counting_semaphore<4> entered_{0}, let_go_{0}, end_{0};
  std::atomic<pid_t> thread_{0};
  std::thread driver_;
};

void a_stuck_driver_is_logged_once_with_what_it_does(void**) {
  House house;
  house.clock.pass(4999ms);
  house.watchdog.look();
  assert_string_equal(house.log.take().c_str(), "");
  house.clock.pass(1ms);
  house.watchdog.look();
  const std::string line = house.log.take();
  assert_true(has(line, "vol0: stuck: thread " + std::to_string(house.thread()) + " (the driver"));
  assert_true(has(line, "for 5.0 s in the coroutine \"stubborn task\""));
  assert_true(has(line, "whose last wait was at watchdog_test.cpp:"));
  assert_int_equal(house.lun.times_stuck(), 1);
  house.clock.pass(10s);
  house.watchdog.look();
  assert_string_equal(house.log.take().c_str(), "");
  assert_int_equal(house.lun.times_stuck(), 1);
}

void that_it_goes_on_is_logged_with_the_time_it_took(void**) {
  House house;
  house.clock.pass(6s);
  house.watchdog.look();
  (void)house.log.take();
  house.clock.pass(6500ms);
  house.end_turn();
  house.watchdog.look();
  const std::string line = house.log.take();
  assert_true(has(line, "vol0: thread " + std::to_string(house.thread()) +
                            " goes on: it was stuck for 12.5 s"));
  house.watchdog.look();
  assert_string_equal(house.log.take().c_str(), "");
}

void a_stuck_lun_is_described_at_any_time(void**) {
  House house;
  house.clock.pass(1500ms);
  assert_false(house.lun.stuck(2s).has_value());
  const std::optional<watch::StuckThread> stuck = house.lun.stuck(1s);
  assert_true(stuck.has_value());
  assert_string_equal(stuck->lun.c_str(), "vol0");
  assert_true(stuck->for_how_long == 1500ms);
  assert_int_equal(stuck->thread, house.thread());
  assert_string_equal(stuck->thread_name.c_str(), "the driver");
  assert_string_equal(stuck->task.c_str(), "stubborn task");
  assert_true(has(stuck->where, "watchdog_test.cpp:"));
  assert_true(stuck->drives);
  house.end_turn();
  assert_false(house.lun.stuck(1s).has_value());
}

void without_a_task_it_is_not_blamed_on_the_last_one(void**) {
  House house;
  house.let_go();
  house.clock.pass(10s);
  const std::optional<watch::StuckThread> stuck = house.lun.stuck(1s);
  assert_true(stuck.has_value());
  assert_string_equal(stuck->task.c_str(), "");
  assert_true(has(stuck->what, "messages"));
}

// A thread that lingers, or that drives to the end of a LUN, stays in one turn for long.
void a_turn_that_continues_after_a_sleep_is_not_stuck(void**) {
  SharedClock clock;
  test::CapturedLog log;
  watch::Watchdog watchdog{clock};
  const std::string name = "vol0";
  co::Executor executor{name.c_str(), clock};
  const watch::Watchdog::Lun lun{watchdog, name, executor};
  for (int i = 0; i < 10; ++i) {
    executor.begin_turn();
    clock.pass(3s);
    watchdog.look();
  }
  executor.end_turn();
  clock.pass(1h);
  watchdog.look();
  assert_string_equal(log.take().c_str(), "");
}

void a_command_thread_in_an_unkillable_sleep_is_logged(void**) {
  SharedClock clock;
  test::CapturedLog log;
  watch::Watchdog watchdog{clock};
  const std::string name = "vol0";
  const co::Executor executor{name.c_str(), clock};
  watch::Watchdog::Lun lun{watchdog, name, executor};
  test::UnkillableThread thread;
  assert_true(thread.is_unkillable());
  lun.command_thread_is(thread.id());
  watchdog.look();
  clock.pass(4s);
  watchdog.look();
  assert_string_equal(log.take().c_str(), "");
  assert_false(lun.stuck({}).has_value());
  clock.pass(1s);
  watchdog.look();
  const std::string line = log.take();
  assert_true(has(line, "vol0: stuck: thread " + std::to_string(thread.id())));
  assert_true(has(line, "state D"));
  assert_true(has(line, "the command thread"));
  assert_true(lun.stuck({}).has_value());
  assert_int_equal(lun.times_stuck(), 1);
  clock.pass(2s);
  thread.wake();
  watchdog.look();
  assert_true(has(log.take(), "goes on: it was stuck for 7.0 s"));
  assert_false(lun.stuck({}).has_value());
}

void a_command_thread_that_waits_for_commands_is_not_stuck(void**) {
  SharedClock clock;
  test::CapturedLog log;
  watch::Watchdog watchdog{clock};
  const std::string name = "vol0";
  const co::Executor executor{name.c_str(), clock};
  watch::Watchdog::Lun lun{watchdog, name, executor};
  std::binary_semaphore ready{0}, end{0};
  std::thread thread{[&] {
    lun.command_thread_is(this_thread_id());
    ready.release();
    end.acquire();
  }};
  ready.acquire();
  for (int i = 0; i < 5; ++i) {
    watchdog.look();
    clock.pass(10s);
  }
  end.release();
  thread.join();
  assert_string_equal(log.take().c_str(), "");
}

// The service manager may start the daemon anew only if that helps.

void a_daemon_whose_drivers_turn_is_well(void**) {
  House house;
  house.clock.pass(4s);
  house.watchdog.look();
  assert_true(house.watchdog.may_feed());
}

void a_daemon_with_a_stuck_driver_is_not_well(void**) {
  House house;
  house.clock.pass(5s);
  house.watchdog.look();
  assert_true(has(house.log.take(), "stuck"));
  // The first look at the threads cannot tell a long sleep from a short one.
  (void)house.watchdog.may_feed();
  assert_false(house.watchdog.may_feed());
  assert_true(has(house.log.take(), "will start it anew"));
  assert_false(house.watchdog.may_feed());
  assert_string_equal(house.log.take().c_str(), "");
  house.end_turn();
  house.watchdog.look();
  assert_true(house.watchdog.may_feed());
}

void a_daemon_that_could_not_end_is_left_alone(void**) {
  House house;
  test::UnkillableThread thread;
  assert_true(thread.is_unkillable());
  house.clock.pass(5s);
  house.watchdog.look();
  (void)house.log.take();
  for (int i = 0; i < 3; ++i) {
    assert_true(house.watchdog.may_feed());
  }
  const std::string line = house.log.take();
  assert_true(has(line, "thread " + std::to_string(thread.id()) + " sleeps in the kernel"));
  thread.wake();
  assert_false(house.watchdog.may_feed());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_stuck_driver_is_logged_once_with_what_it_does),
      cmocka_unit_test(that_it_goes_on_is_logged_with_the_time_it_took),
      cmocka_unit_test(a_stuck_lun_is_described_at_any_time),
      cmocka_unit_test(without_a_task_it_is_not_blamed_on_the_last_one),
      cmocka_unit_test(a_turn_that_continues_after_a_sleep_is_not_stuck),
      cmocka_unit_test(a_command_thread_in_an_unkillable_sleep_is_logged),
      cmocka_unit_test(a_command_thread_that_waits_for_commands_is_not_stuck),
      cmocka_unit_test(a_daemon_whose_drivers_turn_is_well),
      cmocka_unit_test(a_daemon_with_a_stuck_driver_is_not_well),
      cmocka_unit_test(a_daemon_that_could_not_end_is_left_alone),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
