// SPDX-License-Identifier: Apache-2.0
// The surroundings of the product's baton and sleep flag, for tests/unit/io/baton_test.cpp: a model
// of Loop. It has the reactor thread, threads that drive, linger, post or wait for the baton, the
// kernel that completes an operation, and a clock that moves once.
#pragma once

#include <chrono>
#include <deque>
#include <optional>

#include "lib/co/sleep_flag.h"
#include "lib/io/baton.h"
#include "tests/unit/io/interleaved.h"

namespace ballast::test {

enum class Bug {
  none,
  looks_before_it_says_that_it_sleeps,
  notifies_after_it_looked,
  does_not_kick,
  publishes_late,
};

// The action of a message.
enum class Does { nothing, operation, end_of_operation, timer, two_rounds };

template <template <class> class AtomicOf>
class Model {
 public:
  using Baton = io::BasicBaton<AtomicOf>;
  static constexpr int writers = 2;
  static constexpr TimePoint later{Nanoseconds{1}};  // the timer is due, and lingering ends
  static constexpr TimePoint never{Nanoseconds::max()};

  explicit Model(Bug bug = Bug::none, unsigned rounds_per_turn = 2)
      : bug_{bug}, rounds_per_turn_{rounds_per_turn} {
    world.at_end([this] { check_end(); });
  }

  // --- threads
  void add_reactor() {
    const auto body = [this] {
      reactor();
      return Next::again;
    };
    world.add_thread("reactor", body, true);
  }
  void add_driver(int writer, Does does, int times = 1) {
    add("driver", times, [this, writer] { drive(writer); });
    does_[writer] = does;
  }
  void add_lingerer(int writer, Does does) {
    add("lingerer", 1, [this, writer] { linger(writer); });
    does_[writer] = does;
  }
  void add_poster(int writer, Does does, int times = 1) {
    add("poster", times, [this, writer] { post(writer); });
    does_[writer] = does;
  }
  void add_taker(bool once_an_operation_is_under_way = false) {
    add("taker", 1, [this, once_an_operation_is_under_way] {
      if (once_an_operation_is_under_way) {
        poll({started_.cell(), -1}, Interleavings::never);
      }
      baton_.take([this] { linger_fd_.write(); });
      turn([] {});
    });
  }
  void add_kernel() {
    has_ring_ = true;
    add("kernel", 1, [this] { complete(); });
  }
  void add_clock() {
    has_clock_ = true;
    world.set_clock(clock_.cell());
    add("clock", 1, [this] { clock_.store(1, std::memory_order_seq_cst); });
  }

  // --- what the baton asks of its holder; as Loop
  bool wake_reactor_for_messages() {
    be_the_driver();
    return sleep_on(reactor_fd_);
  }
  void wake_reactor_for_completions() {
    if (has_ring_ && bug_ != Bug::notifies_after_it_looked) {
      notify_.store(1, std::memory_order_seq_cst);
    }
  }
  void count_as_awake() {
    be_the_driver();
    sleep_flag_.end();
    if (has_ring_) {
      notify_.store(0, std::memory_order_relaxed);
    }
  }
  bool has_work() {
    if (bug_ == Bug::looks_before_it_says_that_it_sleeps) {
      return ready_.get() > 0 || completions_wait();
    }
    return ready_.get() > 0 || messages_wait() || completions_wait();
  }
  void drive_rounds(unsigned& rounds) {
    do {
      round();
      --rounds;
    } while (rounds > 0 && has_work());
  }
  TimePoint reactor_due() { return timer_armed_.get() != 0 ? later : never; }
  void end_turn() {
    if (bug_ == Bug::notifies_after_it_looked) {
      notify_.store(1, std::memory_order_seq_cst);
    }
    be_the_driver();
    driver_.set(0);
  }
  void kick_reactor() {
    if (bug_ != Bug::does_not_kick) {
      reactor_fd_.write();
    }
  }

  Interleavings world;

 private:
  using Next = Interleavings::Next;

  template <class Body>
  void add(const char* name, int times, Body body) {
    Shared& left = left_.emplace_back(times);
    world.add_thread(name, [&left, body] {
      body();
      left.set(left.get() - 1);
      return left.get() > 0 ? Next::again : Next::done;
    });
  }
  static void check(bool holds, const char* what) {
    if (!holds) {
      throw Interleavings::Broken{what};
    }
  }
  void be_the_driver() {
    const auto self = static_cast<Interleavings::Value>(world.running()) + 1;
    const auto driver = driver_.get();
    check(driver == 0 || driver == self, "two threads drive");
    driver_.set(self);
  }

  bool sleep_on(const Descriptor& fd) {
    if (bug_ == Bug::looks_before_it_says_that_it_sleeps) {
      const bool none = !messages_wait();
      return sleep_flag_.prepare(fd.cell(), [none] { return none; });
    }
    return sleep_flag_.prepare(fd.cell(), [this] { return !messages_wait(); });
  }
  bool messages_wait() {
    for (int i = 0; i < writers; ++i) {
      if (is_written(i) && posted_[i].load(std::memory_order_seq_cst) > taken_[i].get()) {
        return true;
      }
    }
    return false;
  }
  bool is_written(int writer) const { return does_[writer].has_value(); }
  bool completions_wait() { return has_ring_ && completions_.load(std::memory_order_seq_cst) > 0; }
  TimePoint now() {
    return TimePoint{Nanoseconds{has_clock_ ? clock_.load(std::memory_order_seq_cst) : 0}};
  }

  void post(int writer) {
    const auto number = static_cast<int>(written_[writer].get()) + 1;
    written_[writer].set(number);
    posted_[writer].store(number, bug_ == Bug::publishes_late ? std::memory_order_release
                                                              : std::memory_order_seq_cst);
    if (const int fd = sleep_flag_.descriptor_to_wake(); fd >= 0) {
      (fd == reactor_fd_.cell() ? reactor_fd_ : linger_fd_).write();
    }
  }
  void complete() {
    poll({started_.cell(), -1}, Interleavings::never);
    (void)completions_.fetch_add(1, std::memory_order_seq_cst);
    if (notify_.load(std::memory_order_seq_cst) != 0) {
      reactor_fd_.write();
    }
  }

  void run_message(Does does) {
    be_the_driver();
    if (does == Does::operation) {
      started_.set(1);
    } else if (does == Does::end_of_operation) {
      reaped_.set(1);
    } else if (does == Does::timer) {
      timer_armed_.set(1);
    } else if (does == Does::two_rounds) {
      ready_.set(ready_.get() + 2);
    }
  }
  void round() {
    be_the_driver();
    if (completions_wait()) {
      reaped_.set(reaped_.get() + completions_.exchange(0, std::memory_order_seq_cst));
    }
    for (int i = 0; i < writers; ++i) {
      const int posted = is_written(i) ? posted_[i].load(std::memory_order_acquire) : 0;
      for (; taken_[i].get() < posted; taken_[i].set(taken_[i].get() + 1)) {
        run_message(*does_[i]);
      }
    }
    if (timer_armed_.get() != 0 && now() >= later) {
      timer_armed_.set(0);
    }
    if (ready_.get() > 0) {
      ready_.set(ready_.get() - 1);
    }
  }
  // One turn of a thread that has taken the baton.
  template <class First>
  void turn(First first) {
    count_as_awake();
    first();
    unsigned rounds = rounds_per_turn_;
    drive_rounds(rounds);
    baton_.give_back(*this, rounds);
  }
  void drive(int writer) {
    if (!baton_.try_take()) {
      post(writer);
      return;
    }
    turn([&] { run_message(*does_[writer]); });
  }
  void linger(int writer) {
    if (!baton_.try_take()) {
      post(writer);
      return;
    }
    count_as_awake();
    run_message(*does_[writer]);
    unsigned rounds = rounds_per_turn_;
    drive_rounds(rounds);
    while (!baton_.is_asked_for()) {
      const bool under_way = started_.get() > reaped_.get();
      if ((!under_way && !has_work()) || (has_clock_ && now() >= later)) {
        break;
      }
      const bool quiet = sleep_on(linger_fd_) && ready_.get() == 0;
      const TimePoint until = has_clock_ ? later : never;
      poll({linger_fd_.cell(), completions_.cell()}, to_value(quiet ? until : Baton::past));
      sleep_flag_.end();
      linger_fd_.drain();
      rounds = rounds_per_turn_;
      drive_rounds(rounds);
    }
    baton_.give_back(*this, rounds);
  }

  TimePoint reactor_turn() {
    if (const std::optional<TimePoint> until = baton_.take_or_sleep(now(), never)) {
      return *until;
    }
    count_as_awake();
    unsigned rounds = rounds_per_turn_;
    drive_rounds(rounds);
    return baton_.give_back_and_sleep(*this, rounds, never);
  }
  void reactor() {
    const TimePoint until = reactor_turn();
    if (until != Baton::past) {
      poll({reactor_fd_.cell(), -1}, to_value(until));
      reactor_fd_.drain();
    }
  }

  void check_end() {
    check(driver_.at_end() == 0, "a thread sleeps with the baton");
    for (int i = 0; i < writers; ++i) {
      check(written_[i].at_end() == taken_[i].at_end(), "a message is left");
    }
    check(world.memory(completions_.cell()) == 0, "a completion is left");
    check(timer_armed_.at_end() == 0, "a timer is left");
    check(ready_.at_end() == 0, "a ready task is left");
  }

  const Bug bug_;
  const unsigned rounds_per_turn_;
  bool has_ring_ = false;
  bool has_clock_ = false;
  std::optional<Does> does_[writers];
  std::deque<Shared> left_;  // how often each thread still does its part
  Shared written_[writers];  // messages, by their writer
  Baton baton_;
  co::SleepFlag<AtomicOf> sleep_flag_;
  Descriptor reactor_fd_;
  Descriptor linger_fd_;
  Atomic<int> posted_[writers];
  Atomic<int> completions_;  // published and not reaped
  Atomic<int> notify_;
  Atomic<int> clock_;
  // These belong to the holder of the baton.
  Shared driver_;
  Shared taken_[writers];
  Shared started_;
  Shared reaped_;
  Shared timer_armed_;
  Shared ready_;
};

}  // namespace ballast::test
