// SPDX-License-Identifier: Apache-2.0
#include "lib/io/loop.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <semaphore>
#include <thread>

#include "lib/co/sleep.h"
#include "tests/cmocka.h"
#include "tests/unit/io/support.h"

using namespace ballast;
using namespace std::chrono_literals;

namespace {

// Counts its readings: each is a system call where the TSC is of no use.
struct CountingClock final : co::Clock {
  TimePoint now() const noexcept override {
    ++readings;
    return steady.now();
  }
  co::SteadyClock steady;
  mutable std::atomic<int> readings{0};
};

// An executor with a ring and a loop. The loop has no safety net: a lost wake hangs the test.
struct House {
  // Before what the tasks use goes away.
  void finish() {
    loop.run_until([](void* self) { return static_cast<House*>(self)->group.live() == 0; }, this);
    loop.stop();
  }
  ~House() { finish(); }
  CountingClock clock;
  co::Executor executor{"test", clock};
  co::TaskGroup group{executor};
  std::unique_ptr<io::Uring> ring = std::move(io::Uring::open(executor)).value();
  io::Loop loop{executor, clock, ring.get(), Nanoseconds::max()};
};

struct Note {
  std::binary_semaphore done{0};
  std::thread::id by;
  static void write(void* self, std::int64_t) {
    Note& note = *static_cast<Note*>(self);
    note.by = std::this_thread::get_id();
    note.done.release();
  }
  co::Message message() { return co::Message{.run = &write, .context = this}; }
};

void drive_runs_the_message_on_the_callers_thread(void**) {
  House house;
  Note note;
  const co::Message message = note.message();
  assert_true(house.loop.drive(&message));
  assert_true(note.done.try_acquire());
  assert_true(note.by == std::this_thread::get_id());
  house.finish();
}

void the_reactor_runs_what_is_posted(void**) {
  House house;
  assert_true(house.loop.start().ok());
  Note note;
  house.executor.post(note.message());
  note.done.acquire();
  assert_true(note.by != std::this_thread::get_id());
  house.finish();
}

void what_is_posted_after_stop_runs_with_the_next_drive(void**) {
  House house;
  assert_true(house.loop.start().ok());
  house.loop.stop();
  Note note;
  house.executor.post(note.message());
  assert_true(house.loop.drive());
  assert_true(note.done.try_acquire());
  house.finish();
}

// Holds the baton on another thread until it is let go.
struct Holder {
  explicit Holder(House& h)
      : house{h}, thread{[this] {
          const co::Message message{.run = &hold, .context = this};
          house.loop.drive(&message);
        }} {
    holding.acquire();
  }
  ~Holder() {
    let_go.release();
    thread.join();
  }
  static void hold(void* self, std::int64_t) {
    static_cast<Holder*>(self)->holding.release();
    static_cast<Holder*>(self)->let_go.acquire();
  }
  House& house;
  std::binary_semaphore holding{0};
  std::binary_semaphore let_go{0};
  std::thread thread;
};

void a_message_that_finds_the_baton_taken_runs_by_its_holder(void**) {
  House house;
  Note note;
  const co::Message message = note.message();
  std::thread::id holder_id;
  {
    Holder holder{house};
    holder_id = holder.thread.get_id();
    assert_false(house.loop.drive(&message));
    assert_false(note.done.try_acquire());
    assert_true(house.loop.linger({}, 1ms) == io::LingerEnd::busy);
  }
  assert_true(note.done.try_acquire());
  assert_true(note.by == holder_id);
  house.finish();
}

void run_until_gets_the_baton_once_it_is_free(void**) {
  House house;
  std::thread waiter;
  std::atomic<bool> ran{false};
  {
    Holder holder{house};
    waiter = std::thread{[&] {
      house.loop.run_until(
          [](void* flag) { return static_cast<std::atomic<bool>*>(flag)->exchange(true) || true; },
          &ran);
    }};
    std::this_thread::sleep_for(5ms);
    assert_false(ran);
  }
  waiter.join();
  assert_true(ran);
  house.finish();
}

co::Task<void> sleep_then_note(co::Executor& executor, Nanoseconds time, Note* note) {
  co_await co::sleep_for(executor, time);
  Note::write(note, 0);
}

struct Spawner {
  House& house;
  Note note;
  static void sleeper(void* self, std::int64_t) {
    Spawner& s = *static_cast<Spawner*>(self);
    s.house.group.spawn("sleeper", sleep_then_note(s.house.executor, 2ms, &s.note));
  }
};

void a_timer_armed_while_the_reactor_sleeps_for_ever_fires(void**) {
  House house;
  assert_true(house.loop.start().ok());
  std::this_thread::sleep_for(2ms);  // the reactor is asleep by now, or will take the timer in
  Spawner spawner{house, {}};
  const co::Message message{.run = &Spawner::sleeper, .context = &spawner};
  (void)house.loop.drive(&message);
  spawner.note.done.acquire();
  house.finish();
}

co::Task<void> read_then_note(io::Uring& ring, int fd, Note* note) {
  std::byte byte{};
  const int got = co_await ring.read(io::UringFile{fd, -1}, Bytes{0}, std::span{&byte, 1});
  BALLAST_ASSERT(got == 1);
  Note::write(note, 0);
}

struct Reader {
  House& house;
  int fd;
  Note note;
  static void start(void* self, std::int64_t) {
    Reader& r = *static_cast<Reader*>(self);
    r.house.group.spawn("reader", read_then_note(*r.house.ring, r.fd, &r.note));
  }
};

void a_lingering_thread_completes_what_it_started(void**) {
  House house;
  assert_true(house.loop.start().ok());
  const test::Pipe pipe;
  Reader reader{house, pipe.out, {}};
  const co::Message message{.run = &Reader::start, .context = &reader};
  std::thread writer{[&] {
    std::this_thread::sleep_for(5ms);
    pipe.put("x", 1);
  }};
  io::LingerEnd end = house.loop.linger({}, 1h, &message);
  if (end == io::LingerEnd::busy) {  // the reactor was just falling asleep
    reader.note.done.acquire();
  } else {
    assert_true(end == io::LingerEnd::idle);
    assert_true(reader.note.done.try_acquire());
    assert_true(reader.note.by == std::this_thread::get_id());
  }
  writer.join();
  house.finish();
}

void lingering_ends_when_commands_come_and_leaves_them(void**) {
  House house;
  const test::Pipe never;
  const test::Pipe commands;
  Reader reader{house, never.out, {}};
  const co::Message message{.run = &Reader::start, .context = &reader};
  std::thread writer{[&] {
    std::this_thread::sleep_for(5ms);
    commands.put("c", 1);
  }};
  assert_true(house.loop.linger({.fd = commands.out}, 1h, &message) == io::LingerEnd::commands);
  writer.join();
  char got = 0;
  assert_int_equal(::read(commands.out, &got, 1), 1);
  never.put("x", 1);
  house.finish();
}

void lingering_ends_at_its_limit_and_the_reactor_takes_over(void**) {
  House house;
  assert_true(house.loop.start().ok());
  const test::Pipe pipe;
  Reader reader{house, pipe.out, {}};
  const co::Message message{.run = &Reader::start, .context = &reader};
  const io::LingerEnd end = house.loop.linger({}, 3ms, &message);
  assert_true(end == io::LingerEnd::limit || end == io::LingerEnd::busy);
  pipe.put("x", 1);
  reader.note.done.acquire();
  assert_true(reader.note.by != std::this_thread::get_id());
  house.finish();
}

void lingering_with_nothing_under_way_ends_at_once(void**) {
  House house;
  assert_true(house.loop.linger({}, 1h) == io::LingerEnd::idle);
  assert_int_equal(house.loop.stats().linger_sleeps, 0);
  house.finish();
}

void a_turn_reads_the_clock_once_and_once_more_after_a_sleep(void**) {
  House house;
  const test::Pipe pipe;
  const co::Message nothing{.run = [](void*, std::int64_t) {}};
  house.clock.readings = 0;
  (void)house.loop.drive(&nothing);
  assert_int_equal(house.clock.readings, 1);
  (void)house.loop.linger({}, 1h, &nothing);
  assert_int_equal(house.clock.readings, 2);
  Reader reader{house, pipe.out, {}};
  const co::Message read{.run = &Reader::start, .context = &reader};
  std::thread writer{[&] {
    std::this_thread::sleep_for(5ms);
    pipe.put("x", 1);
  }};
  assert_true(house.loop.linger({}, 1h, &read) == io::LingerEnd::idle);
  writer.join();
  assert_true(reader.note.done.try_acquire());
  // On a slow machine the byte may be there before it sleeps; then another turn finds it.
  const std::uint64_t sleeps = house.loop.stats().linger_sleeps;
  assert_int_equal(house.clock.readings, 3 + std::max<std::uint64_t>(sleeps, 1));
  house.finish();
}

void polling_is_tried_now_and_then_and_kept_while_it_pays(void**) {
  io::PollWorth worth;
  const auto asked_until_yes = [&] {
    unsigned times = 1;
    while (!worth.worth_it()) {
      ++times;
    }
    return times;
  };
  assert_int_equal(asked_until_yes(), io::PollWorth::probe_every);
  worth.was(false);
  assert_int_equal(asked_until_yes(), io::PollWorth::probe_every);
  for (int i = 0; i < 100; ++i) {
    worth.was(true);
    assert_true(worth.worth_it());
  }
  int misses = 0;
  for (; worth.worth_it(); ++misses) {
    worth.was(false);
  }
  assert_int_equal(misses, io::PollWorth::most_credit / io::PollWorth::miss_costs);
}

void lingering_runs_what_other_threads_post(void**) {
  House house;
  const test::Pipe pipe;
  Reader reader{house, pipe.out, {}};
  const co::Message message{.run = &Reader::start, .context = &reader};
  Note note;
  std::thread poster{[&] {
    std::this_thread::sleep_for(5ms);
    house.executor.post(note.message());
    note.done.acquire();
    pipe.put("x", 1);
  }};
  const auto self = std::this_thread::get_id();
  assert_true(house.loop.linger({}, 1h, &message) == io::LingerEnd::idle);
  poster.join();
  assert_true(note.by == self);
  house.finish();
}

void a_lingerer_makes_room_for_run_until(void**) {
  House house;
  const test::Pipe pipe;
  Reader reader{house, pipe.out, {}};
  const co::Message message{.run = &Reader::start, .context = &reader};
  std::thread closer{[&] {
    std::this_thread::sleep_for(5ms);
    house.loop.run_until([](void*) { return true; }, nullptr);
    pipe.put("x", 1);
  }};
  const io::LingerEnd end = house.loop.linger({}, 1h, &message);
  assert_true(end == io::LingerEnd::limit || end == io::LingerEnd::idle);
  closer.join();
  house.finish();
}

void library_requests_count_as_under_way(void**) {
  House house;
  static std::atomic<bool> busy;
  busy = true;
  house.loop.set_under_way([](void*) { return busy.load(); }, nullptr);
  Note note;
  std::thread library{[&] {
    std::this_thread::sleep_for(5ms);
    busy = false;
    house.executor.post(note.message());
  }};
  assert_true(house.loop.linger({}, 1h) == io::LingerEnd::idle);
  assert_true(note.done.try_acquire());
  library.join();
  house.finish();
}

co::Task<void> sleep_often(co::Executor& executor, int times) {
  for (int i = 0; i < times; ++i) {
    co_await co::sleep_for(executor, 200us);
  }
}

// Found once: the reactor woke for a timer, found the baton taken, was kicked when it was given
// back, found it taken by the next command, and so on, one wake for every command.
void commands_in_a_row_do_not_wake_the_reactor_each_time(void**) {
  House house;
  house.group.spawn("ticker", sleep_often(house.executor, 50));
  assert_true(house.loop.start().ok());
  const co::Message command{.run = [](void*, std::int64_t) {
    const auto until = std::chrono::steady_clock::now() + 100us;
    while (std::chrono::steady_clock::now() < until) {
    }
  }};
  std::uint64_t drives = 0;
  const auto end = std::chrono::steady_clock::now() + 100ms;
  while (std::chrono::steady_clock::now() < end || drives < 1000) {
    (void)house.loop.drive(&command);
    ++drives;
  }
  const io::LoopStats stats = house.loop.stats();
  house.finish();
  assert_true(stats.reactor_wakes < drives / 4);
}

void no_wake_is_lost_while_two_threads_drive(void**) {
  House house;
  house.group.spawn("ticker", sleep_often(house.executor, 50));
  assert_true(house.loop.start().ok());
  std::atomic<bool> posting{true};
  std::thread poster{[&] {
    for (int i = 0; i < 3000; ++i) {
      Note note;
      house.executor.post(note.message());
      note.done.acquire();
    }
    posting = false;
  }};
  while (posting) {
    (void)house.loop.drive();
    std::this_thread::yield();
  }
  poster.join();
  house.finish();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(drive_runs_the_message_on_the_callers_thread),
      cmocka_unit_test(the_reactor_runs_what_is_posted),
      cmocka_unit_test(what_is_posted_after_stop_runs_with_the_next_drive),
      cmocka_unit_test(a_message_that_finds_the_baton_taken_runs_by_its_holder),
      cmocka_unit_test(run_until_gets_the_baton_once_it_is_free),
      cmocka_unit_test(a_timer_armed_while_the_reactor_sleeps_for_ever_fires),
      cmocka_unit_test(a_lingering_thread_completes_what_it_started),
      cmocka_unit_test(lingering_ends_when_commands_come_and_leaves_them),
      cmocka_unit_test(lingering_ends_at_its_limit_and_the_reactor_takes_over),
      cmocka_unit_test(lingering_with_nothing_under_way_ends_at_once),
      cmocka_unit_test(a_turn_reads_the_clock_once_and_once_more_after_a_sleep),
      cmocka_unit_test(polling_is_tried_now_and_then_and_kept_while_it_pays),
      cmocka_unit_test(lingering_runs_what_other_threads_post),
      cmocka_unit_test(a_lingerer_makes_room_for_run_until),
      cmocka_unit_test(library_requests_count_as_under_way),
      cmocka_unit_test(commands_in_a_row_do_not_wake_the_reactor_each_time),
      cmocka_unit_test(no_wake_is_lost_while_two_threads_drive),
  };
  return cmocka_run_group_tests_name("loop", tests, nullptr, nullptr);
}
