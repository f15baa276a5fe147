// SPDX-License-Identifier: Apache-2.0
#include "handler/ring_watch.h"

#include <algorithm>
#include <list>
#include <thread>
#include <vector>

#include "lib/lun/config.h"
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::handler;
using namespace std::chrono_literals;

namespace {

constexpr Nanoseconds gap = 5us;  // between an answer and the next command

// A session with one command at a time, which is twice as fast when the ring is watched.
struct Session {
  explicit Session(std::uint32_t poll) : watch{poll} {}

  // One command. Returns whether the thread watched.
  bool command() {
    bool watched = false;
    {
      const RingWatch::Turn turn = watch.begin(1, now);
      watched = turn.watches();
      (void)watch.window(now);
    }
    now = now + (watched ? gap : 2 * gap);
    return watched;
  }
  // Returns in how many of a thousand commands the thread watched.
  int run() {
    int watched = 0;
    for (int i = 0; i < 1000; ++i) {
      watched += command() ? 1 : 0;
    }
    return watched;
  }

  RingWatch watch;
  TimePoint now{1h};
};

Session& learned(std::list<Session>& sessions) {
  Session& session = sessions.emplace_back(lun::poll_auto);
  for (int i = 0; i < 100; ++i) {
    (void)session.run();
  }
  return session;
}

void a_ring_that_is_worth_it_is_watched(void**) {
  std::list<Session> sessions;
  assert_true(learned(sessions).run() > 900);
}

void switched_off_it_is_never_watched(void**) {
  Session session{lun::poll_off};
  for (int i = 0; i < 100; ++i) {
    assert_int_equal(session.run(), 0);
  }
}

void it_can_be_switched_off_while_it_watches(void**) {
  std::list<Session> sessions;
  Session& session = learned(sessions);
  session.watch.set_poll(lun::poll_off);
  assert_int_equal(session.run(), 0);
}

void the_window_follows_the_gap(void**) {
  std::list<Session> sessions;
  Session& session = learned(sessions);
  const Nanoseconds window = session.watch.window(session.now);
  assert_true(window > gap && window < 10 * gap);
}

void nobody_watches_for_what_comes_late(void**) {
  Session session{lun::poll_auto};
  for (int i = 0; i < 100; ++i) {
    const RingWatch::Turn turn = session.watch.begin(1, session.now);
    (void)session.watch.window(session.now);
    session.now = session.now + 5ms;
  }
  session.watch.came(1, session.now);
  assert_true(session.watch.window(session.now) == Nanoseconds{});
}

void what_is_watched_in_vain_has_a_limit(void**) {
  std::list<Session> sessions;
  Session& session = learned(sessions);
  session.watch.in_vain(1s, session.now);
  assert_int_equal(session.run(), 0);
}

struct Turn {
  explicit Turn(Session& session) : turn{session.watch.begin(1, session.now)} {}
  RingWatch::Turn turn;
};

void half_of_the_processors_watch_at_most(void**) {
  const unsigned most = std::max(1U, std::thread::hardware_concurrency() / 2);
  std::list<Session> sessions;
  std::list<Turn> turns;
  for (unsigned i = 0; i < most + 2; ++i) {
    Session& session = learned(sessions);
    // The budget that all share may be spent by an earlier test.
    session.watch.set_poll(100);
    session.now = session.now + 1h;
    const bool watches = turns.emplace_back(session).turn.watches();
    assert_true(watches == (i < most));
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_ring_that_is_worth_it_is_watched),
      cmocka_unit_test(switched_off_it_is_never_watched),
      cmocka_unit_test(it_can_be_switched_off_while_it_watches),
      cmocka_unit_test(the_window_follows_the_gap),
      cmocka_unit_test(nobody_watches_for_what_comes_late),
      cmocka_unit_test(half_of_the_processors_watch_at_most),
      cmocka_unit_test(what_is_watched_in_vain_has_a_limit),
  };
  return cmocka_run_group_tests_name("ring_watch", tests, nullptr, nullptr);
}
