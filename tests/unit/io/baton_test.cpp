// SPDX-License-Identifier: Apache-2.0
// The baton's protocol, in every order of its threads' steps (interleavings.h). Then each part of
// the protocol is taken out in turn, and the test must find that.
//
// In every interleaving one thread at a time drives. When all threads have ended or sleep, no
// message, completion, timer or ready task is left (baton_model.h).
#include "lib/io/baton.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "tests/cmocka.h"
#include "tests/sanitizers.h"
#include "tests/unit/io/baton_model.h"

// AddressSanitizer's stack of returned frames is searched after each exception: minutes here.
extern "C" const char* __asan_default_options() {
  return "detect_stack_use_after_return=0";
}

using namespace ballast;
using test::Atomic;
using test::Bug;
using test::Does;
using test::Interleavings;
using test::Model;

namespace {

#ifdef BALLAST_TSAN
constexpr bool under_tsan = true;
#else
constexpr bool under_tsan = false;
#endif

// --- each order
template <template <class> class AtomicOf>
void enumerate(Model<AtomicOf>& model) {
  const Interleavings::Result result = model.world.enumerate();
  std::printf("%zu states, %.3g interleavings\n", result.states, result.interleavings);
  if (!result.broken.empty()) {
    std::printf("%s after: %s\n", result.broken.c_str(), result.schedule.c_str());
  }
  assert_true(result.broken.empty());
}

void posted_messages_are_run(void**) {
  Model<Atomic> model;
  model.add_reactor();
  model.add_poster(0, Does::nothing, 2);
  enumerate(model);
}

void two_threads_post(void**) {
  Model<Atomic> model{Bug::none, 1};
  model.add_reactor();
  model.add_poster(0, Does::nothing);
  model.add_poster(1, Does::nothing);
  enumerate(model);
}

void two_threads_drive_and_the_reactor(void**) {
  Model<Atomic> model{Bug::none, 1};
  model.add_reactor();
  model.add_driver(0, Does::nothing);
  model.add_driver(1, Does::nothing);
  enumerate(model);
}

void a_thread_drives_and_another_posts(void**) {
  Model<Atomic> model;
  model.add_reactor();
  model.add_driver(0, Does::nothing);
  model.add_poster(1, Does::nothing);
  enumerate(model);
}

void a_completion_comes_when_nobody_drives(void**) {
  Model<Atomic> model;
  model.add_reactor();
  model.add_driver(0, Does::operation);
  model.add_kernel();
  enumerate(model);
}

void a_timer_is_armed_while_the_reactor_sleeps(void**) {
  Model<Atomic> model;
  model.add_reactor();
  model.add_driver(0, Does::timer);
  model.add_clock();
  enumerate(model);
}

void a_turn_leaves_work_to_the_reactor(void**) {
  Model<Atomic> model{Bug::none, 1};
  model.add_reactor();
  model.add_driver(0, Does::two_rounds);
  model.add_poster(1, Does::nothing);
  enumerate(model);
}

void a_thread_lingers_until_its_operation_ends_or_its_time_is_over(void**) {
  Model<Atomic> model;
  model.add_reactor();
  model.add_lingerer(0, Does::operation);
  model.add_kernel();
  model.add_clock();
  enumerate(model);
}

void a_thread_lingers_until_a_message_comes(void**) {
  Model<Atomic> model;
  model.add_reactor();
  model.add_lingerer(0, Does::operation);
  model.add_poster(1, Does::end_of_operation);
  enumerate(model);
}

void a_thread_waits_for_the_baton_of_the_reactor(void**) {
  Model<Atomic> model;
  model.add_reactor();
  model.add_poster(0, Does::nothing);
  model.add_taker();
  enumerate(model);
}

void a_thread_waits_for_the_baton_of_one_that_lingers(void**) {
  Model<Atomic> model;
  model.add_lingerer(0, Does::operation);
  model.add_taker(true);
  enumerate(model);
}

// --- bugs
template <template <class> class AtomicOf>
void must_find(Model<AtomicOf>& model, const char* what) {
  const Interleavings::Result result = model.world.enumerate();
  std::printf("after %zu states: %s, by %s\n", result.states, result.broken.c_str(),
              result.schedule.c_str());
  assert_string_equal(result.broken.c_str(), what);
}

void the_enumeration_finds_a_look_before_the_flag(void**) {
  Model<Atomic> model{Bug::looks_before_it_says_that_it_sleeps};
  model.add_reactor();
  model.add_poster(0, Does::nothing);
  must_find(model, "a message is left");
}

void the_enumeration_finds_a_notification_after_the_look(void**) {
  Model<Atomic> model{Bug::notifies_after_it_looked};
  model.add_reactor();
  model.add_driver(0, Does::operation);
  model.add_kernel();
  must_find(model, "a completion is left");
}

void the_enumeration_finds_a_kick_left_out(void**) {
  Model<Atomic> model{Bug::does_not_kick};
  model.add_reactor();
  model.add_driver(0, Does::timer);
  model.add_clock();
  must_find(model, "a timer is left");
}

void the_enumeration_finds_a_message_published_without_seq_cst(void**) {
  Model<Atomic> model{Bug::publishes_late};
  model.add_reactor();
  model.add_poster(0, Does::nothing);
  must_find(model, "a message is left");
}

// Bugs in the templates themselves are put into what they stand on.
template <class T>
struct WithoutMark : Atomic<T> {
  using Atomic<T>::Atomic;
  bool compare_exchange_weak(T& expected, T desired, std::memory_order one, std::memory_order two) {
    constexpr int wanted = 2;
    return test::to_value(desired) == wanted ||
           Atomic<T>::compare_exchange_weak(expected, desired, one, two);
  }
};

void the_enumeration_finds_a_baton_given_back_without_a_second_look(void**) {
  Model<WithoutMark> model;
  model.add_reactor();
  model.add_driver(0, Does::nothing);
  model.add_poster(1, Does::nothing);
  must_find(model, "a message is left");
}

template <class T>
struct WithoutNote : Atomic<T> {
  using Atomic<T>::Atomic;
  void store(T value, std::memory_order order) {
    if constexpr (!std::same_as<T, TimePoint>) {
      Atomic<T>::store(value, order);
    }
  }
};

void the_enumeration_finds_a_reactor_that_does_not_note_its_sleep(void**) {
  Model<WithoutNote> model;
  model.add_reactor();
  model.add_driver(0, Does::timer);
  model.add_clock();
  must_find(model, "a timer is left");
}

template <class T>
struct WithoutNotify : Atomic<T> {
  using Atomic<T>::Atomic;
  void notify_all() {}
};

void the_enumeration_finds_a_taker_that_nobody_notifies(void**) {
  Model<WithoutNotify> model;
  model.add_reactor();
  model.add_taker();
  must_find(model, "taker waits for ever");
}

template <class T>
struct WithReleaseStores : Atomic<T> {
  using Atomic<T>::Atomic;
  void store(T value, std::memory_order) { Atomic<T>::store(value, std::memory_order_release); }
};

void the_enumeration_finds_a_sleep_flag_without_seq_cst(void**) {
  Model<WithReleaseStores> model;
  model.add_reactor();
  model.add_poster(0, Does::nothing);
  must_find(model, "a message is left");
}

template <class T>
struct Torn : Atomic<T> {
  using Atomic<T>::Atomic;
  bool compare_exchange_strong(T& expected, T desired, std::memory_order, std::memory_order) {
    const T was = Atomic<T>::load(std::memory_order_seq_cst);
    if (was == expected) {
      Atomic<T>::store(desired, std::memory_order_seq_cst);
    }
    return std::exchange(expected, was) == was;
  }
  // Never free, so that the baton's own assertion is not the first to find it.
  T exchange(T value, std::memory_order order) {
    return std::max(T{1}, Atomic<T>::exchange(value, order));
  }
};

void the_enumeration_finds_a_baton_taken_in_two_steps(void**) {
  Model<Torn> model;
  model.add_reactor();
  model.add_driver(0, Does::nothing);
  model.add_driver(1, Does::nothing);
  must_find(model, "two threads drive");
}

}  // namespace

int main() {
  if (under_tsan) {
    std::printf("one thread runs all: nothing here for ThreadSanitizer\n");
    return 77;
  }
  const CMUnitTest tests[] = {
      cmocka_unit_test(posted_messages_are_run),
      cmocka_unit_test(two_threads_post),
      cmocka_unit_test(two_threads_drive_and_the_reactor),
      cmocka_unit_test(a_thread_drives_and_another_posts),
      cmocka_unit_test(a_completion_comes_when_nobody_drives),
      cmocka_unit_test(a_timer_is_armed_while_the_reactor_sleeps),
      cmocka_unit_test(a_turn_leaves_work_to_the_reactor),
      cmocka_unit_test(a_thread_lingers_until_its_operation_ends_or_its_time_is_over),
      cmocka_unit_test(a_thread_lingers_until_a_message_comes),
      cmocka_unit_test(a_thread_waits_for_the_baton_of_the_reactor),
      cmocka_unit_test(a_thread_waits_for_the_baton_of_one_that_lingers),
      cmocka_unit_test(the_enumeration_finds_a_look_before_the_flag),
      cmocka_unit_test(the_enumeration_finds_a_notification_after_the_look),
      cmocka_unit_test(the_enumeration_finds_a_kick_left_out),
      cmocka_unit_test(the_enumeration_finds_a_message_published_without_seq_cst),
      cmocka_unit_test(the_enumeration_finds_a_baton_given_back_without_a_second_look),
      cmocka_unit_test(the_enumeration_finds_a_reactor_that_does_not_note_its_sleep),
      cmocka_unit_test(the_enumeration_finds_a_taker_that_nobody_notifies),
      cmocka_unit_test(the_enumeration_finds_a_sleep_flag_without_seq_cst),
      cmocka_unit_test(the_enumeration_finds_a_baton_taken_in_two_steps),
  };
  return cmocka_run_group_tests_name("baton", tests, nullptr, nullptr);
}
