// SPDX-License-Identifier: Apache-2.0
// Baton: decides which of a LUN's threads drives, and how that thread gives it back without losing
// a wake.
//
// Only the thread that holds the baton (the holder) touches the executor, the ring and everything
// above. The command thread and others take it for a turn. The reactor thread sleeps in poll() on
// the mailbox's descriptor, and drives when it is woken and no other thread drives. Taking the
// baton never blocks, except in take().
//
// THE SLEEPER. At any time messages, completions and timers wake one thread. Normally that is the
// reactor thread. While a thread lingers it is that thread: it keeps the baton and polls
// descriptors of its own, so the reactor thread sleeps on undisturbed. No handshake passes this
// role on. The role depends only on the descriptor that a wake is written to:
//
//   holding the baton, at work   The holder counts as awake: messages and completions write to no
//                                descriptor.
//   giving the baton back        1. The holder points messages and completions to the reactor.
//   (give_back)                  2. It looks at both, and at the ready tasks, again. If there is
//                                   work, it counts as awake again and goes on driving.
//                                3. It notes when the reactor must be awake (due_).
//                                4. It frees the baton.
//                                5. If the reactor sleeps longer than that, the holder kicks it:
//                                   one write. If the reactor found the baton taken meanwhile, the
//                                   holder begins again with 1.
//   lingering                    As 1 and 2, but the holder points messages to its own descriptor.
//                                It polls the ring's descriptor itself (readable while completions
//                                wait), until the next timer at the latest.
//
// Why no wake is lost.
// - A message: SleepFlag (lib/co/sleep_flag.h).
// - A completion: the kernel publishes it before it looks at the notification flag, with a full
//   barrier between. (In Linux 6.1 on x86 the barrier is the completion lock that
//   io_eventfd_flush_signal takes first; in newer kernels it is in io_cqring_wake, before the
//   flush, for rings without IORING_SETUP_DEFER_TASKRUN.) The holder sets the flag before it looks
//   for completions, with a full barrier between. So either the kernel writes or the holder finds
//   the completion. Where a kernel has no such barrier, a window of a few nanoseconds is left;
//   Loop's `longest_sleep` bounds what it costs.
// - A wake that finds the baton taken, between 2 and 4: the reactor marks the baton "wanted" in the
//   same atomic step that finds it taken. The holder sees the mark as it frees the baton, and looks
//   again itself. It does not kick. Under load the next turn has begun by the time the reactor is
//   awake, so the reactor would find the baton taken again and again, with one wake per command.
// - A timer: the reactor notes until when it will sleep before it asks for the baton. The holder
//   compares this with due_ after it has freed the baton. So either the holder sees the note, or
//   the reactor finds the baton free.
//
// MEMORY ORDERS. `state_` publishes what the holders write: taking it acquires, freeing it
// releases. Marking it releases as well, and freeing it acquires: so when the holder looks again,
// it sees the reactor's note and the work that the reactor was woken for. This covers due_ and
// sleeps_until_ too, because every access that matters has a read-modify-write of `state_` before
// or behind it. They are seq_cst all the same, so that the argument above can be read as it stands.
// take() and free_it() each write one variable and then read the other's (takers_, state_). One of
// the two must see the other's write, so all four accesses need seq_cst.
//
// `Atomic` is std::atomic, except in tests/unit/io/baton_test.cpp, which enumerates the orders in
// which the threads can act. ThreadSanitizer checks the memory orders in loop_stress_test.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>

#include "lib/base/assert.h"
#include "lib/base/units.h"

namespace ballast::io {

// The thread that gives the baton back passes a Holder (the Loop), with these members:
//   bool wake_reactor_for_messages()     points messages to the reactor; false: some wait already
//   void wake_reactor_for_completions()
//   void count_as_awake()                undoes both
//   bool has_work()                      whether messages, completions or ready tasks wait
//   void drive_rounds(unsigned& rounds)  runs them: one round or more; `rounds` is what is left
//   TimePoint reactor_due()              when the reactor must be awake, on account of timers
//   void end_turn()
//   void kick_reactor()
template <template <class> class Atomic>
class BasicBaton {
 public:
  static constexpr TimePoint past{Nanoseconds::min()};

  bool is_free() const { return state_.load(std::memory_order_relaxed) == free; }

  bool try_take() {
    std::uint32_t expected = free;
    return state_.compare_exchange_strong(expected, held, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }

  // Waits for the baton. wake_lingerer() makes a holder that lingers look at is_asked_for().
  template <class Wake>
  void take(Wake wake_lingerer) {
    takers_.fetch_add(1, std::memory_order_seq_cst);
    wake_lingerer();
    while (!try_take()) {
      const std::uint32_t state = state_.load(std::memory_order_seq_cst);
      if (state != free) {
        state_.wait(state, std::memory_order_seq_cst);
      }
    }
    takers_.fetch_sub(1, std::memory_order_seq_cst);
  }
  bool is_asked_for() const { return takers_.load(std::memory_order_seq_cst) > 0; }

  // For every holder but the reactor: steps 1 to 5. The holder may still drive `rounds` rounds; the
  // reactor drives the rest.
  template <class Holder>
  void give_back(Holder& holder, unsigned rounds) {
    do {
      const TimePoint due = settle(holder, rounds);
      due_.store(due, std::memory_order_seq_cst);
      holder.end_turn();
      const bool was_wanted = free_it();
      if (due < sleeps_until_.load(std::memory_order_seq_cst)) {
        reactor_is_awake();
        holder.kick_reactor();
        return;  // the reactor looks itself
      }
      if (!was_wanted) {
        return;
      }
    } while (try_take());
  }

  // Called by the reactor. Returns nothing if it got the baton; it then drives. Otherwise another
  // thread has the baton, and the reactor sleeps until the returned time, at most until `limit`.
  std::optional<TimePoint> take_or_sleep(TimePoint now, TimePoint limit) {
    const TimePoint known = due_.load(std::memory_order_seq_cst);
    const TimePoint until = known > now ? std::min(known, limit) : limit;
    sleeps_until_.store(until, std::memory_order_seq_cst);
    if (try_take_or_want()) {
      return std::nullopt;
    }
    return until;
  }
  // Called by the reactor after take_or_sleep() and driving. Returns until when it may sleep,
  // `limit` at the latest. Returns `past` if work is left: the reactor comes again at once, so that
  // other threads get a chance to take the baton in between.
  template <class Holder>
  TimePoint give_back_and_sleep(Holder& holder, unsigned rounds, TimePoint limit) {
    const TimePoint due = std::min(settle(holder, rounds), limit);
    due_.store(due, std::memory_order_seq_cst);
    sleeps_until_.store(due, std::memory_order_seq_cst);
    holder.end_turn();
    (void)free_it();  // only the reactor marks it
    return due;
  }
  // The reactor was kicked, or has ended: no more kicks until it notes again that it sleeps.
  void reactor_is_awake() { sleeps_until_.store(past, std::memory_order_seq_cst); }

 private:
  enum State : std::uint32_t { free = 0, held = 1, wanted = 2 };  // wanted: held, look again

  bool try_take_or_want() {
    std::uint32_t state = state_.load(std::memory_order_relaxed);
    for (;;) {
      const std::uint32_t next = state == free ? held : wanted;
      if (state_.compare_exchange_weak(state, next, std::memory_order_acq_rel,
                                       std::memory_order_relaxed)) {
        return state == free;
      }
    }
  }

  // Returns whether the reactor has found the baton taken.
  bool free_it() {
    const std::uint32_t state = state_.exchange(free, std::memory_order_seq_cst);
    BALLAST_ASSERT(state != free);
    if (is_asked_for()) {
      state_.notify_all();
    }
    return state == wanted;
  }

  // Steps 1 and 2. Returns false if there is work.
  template <class Holder>
  static bool point_wakes_to_reactor(Holder& holder) {
    if (!holder.wake_reactor_for_messages()) {
      return false;
    }
    holder.wake_reactor_for_completions();
    return !holder.has_work();
  }

  // Repeats steps 1 and 2 until there is no work, or no rounds are left. Returns when the reactor
  // must be awake.
  template <class Holder>
  static TimePoint settle(Holder& holder, unsigned& rounds) {
    bool quiet = point_wakes_to_reactor(holder);
    while (!quiet && rounds > 0) {
      holder.count_as_awake();
      holder.drive_rounds(rounds);
      quiet = point_wakes_to_reactor(holder);
    }
    if (!quiet) {
      holder.count_as_awake();
      return past;
    }
    return holder.reactor_due();
  }

  Atomic<std::uint32_t> state_{free};
  Atomic<std::uint32_t> takers_{0};       // threads in take()
  Atomic<TimePoint> due_{};               // when the reactor must be awake (step 3)
  Atomic<TimePoint> sleeps_until_{past};  // the reactor's note; `past`: it is awake or was kicked
};

using Baton = BasicBaton<std::atomic>;

}  // namespace ballast::io
