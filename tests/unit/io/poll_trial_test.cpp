// SPDX-License-Identifier: Apache-2.0
#include "lib/io/poll_trial.h"

#include <cstdint>

#include "tests/cmocka.h"

using namespace ballast;
using namespace std::chrono_literals;

namespace {

// One command after the other, each of which takes as long as the way of waiting makes it take.
class Session {
 public:
  Nanoseconds when_polling = 10us;
  Nanoseconds when_sleeping = 20us;
  // Every so many commands, a thread that polls has to wait for a processor.
  std::uint64_t interrupted_every = 0;
  Nanoseconds interruption = 8ms;

  // The share of the time that is spent with polling on, in percent.
  double run(Nanoseconds time) {
    const TimePoint end = now_ + time;
    Nanoseconds polled{};
    while (now_ < end) {
      trial.came(1, now_);
      const bool polls = trial.polls();
      Nanoseconds takes = polls ? when_polling : when_sleeping;
      if (polls && interrupted_every > 0 && ++commands_ % interrupted_every == 0) {
        takes += interruption;
      }
      polled += polls ? takes : Nanoseconds{};
      now_ = now_ + takes;
    }
    return 100.0 * static_cast<double>(polled.count()) / static_cast<double>(time.count());
  }
  void pause(Nanoseconds time) { now_ = now_ + time; }

  io::PollTrial trial;

 private:
  TimePoint now_{1h};
  std::uint64_t commands_ = 0;
};

void nobody_polls_before_it_has_been_tried(void**) {
  const io::PollTrial trial;
  assert_false(trial.polls());
}

void polling_that_is_faster_is_chosen(void**) {
  Session session;
  (void)session.run(500ms);
  assert_true(session.run(5s) > 95);
}

void polling_that_is_slower_is_hardly_tried(void**) {
  Session session;
  session.when_polling = 22us;
  (void)session.run(1s);
  assert_true(session.run(20s) < 2);
}

void a_gain_of_less_than_a_twentieth_is_not_worth_it(void**) {
  Session session;
  session.when_polling = 19500ns;
  (void)session.run(1s);
  assert_true(session.run(20s) < 2);
}

void polling_stops_when_it_is_not_faster_any_more(void**) {
  Session session;
  (void)session.run(1s);
  session.when_polling = session.when_sleeping;
  (void)session.run(5s);
  assert_true(session.run(20s) < 3);
}

void other_commands_are_tried_soon(void**) {
  Session session;
  session.when_polling = 30us;
  (void)session.run(20s);
  session.when_sleeping = 400us;
  session.when_polling = 200us;
  (void)session.run(1s);
  assert_true(session.run(5s) > 95);
}

// A thread that polls is fast for some milliseconds, and then has to wait for its turn.
void interruptions_count(void**) {
  Session session;
  session.interrupted_every = 500;
  (void)session.run(2s);
  assert_true(session.run(20s) < 25);
}

void a_pause_of_the_initiator_is_no_time_of_a_command(void**) {
  Session session;
  double polled = 0;
  for (int i = 0; i < 1000; ++i) {
    const double share = session.run(25ms);
    polled += i >= 500 ? share / 500 : 0;
    session.pause(100ms);
  }
  assert_true(polled > 90);
}

void what_was_given_up_is_not_tried_for_long(void**) {
  Session session;
  (void)session.run(1s);
  assert_true(session.trial.polls());
  session.trial.give_up();
  assert_true(session.run(1s) == 0);
}

void giving_up_lasts_though_the_last_measurement_was_unusual(void**) {
  Session session;
  (void)session.run(1s);
  session.when_polling = 100us;
  (void)session.run(15ms);
  session.trial.give_up();
  assert_true(session.run(1s) == 0);
}

void slow_commands_are_measured_too(void**) {
  Session session;
  session.when_polling = 1500us;
  session.when_sleeping = 2ms;
  (void)session.run(5s);
  assert_true(session.run(60s) > 90);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(nobody_polls_before_it_has_been_tried),
      cmocka_unit_test(polling_that_is_faster_is_chosen),
      cmocka_unit_test(polling_that_is_slower_is_hardly_tried),
      cmocka_unit_test(a_gain_of_less_than_a_twentieth_is_not_worth_it),
      cmocka_unit_test(polling_stops_when_it_is_not_faster_any_more),
      cmocka_unit_test(other_commands_are_tried_soon),
      cmocka_unit_test(interruptions_count),
      cmocka_unit_test(a_pause_of_the_initiator_is_no_time_of_a_command),
      cmocka_unit_test(what_was_given_up_is_not_tried_for_long),
      cmocka_unit_test(giving_up_lasts_though_the_last_measurement_was_unusual),
      cmocka_unit_test(slow_commands_are_measured_too),
  };
  return cmocka_run_group_tests_name("poll_trial", tests, nullptr, nullptr);
}
