// SPDX-License-Identifier: Apache-2.0
// The elevator before a simulated disk with one arm, on a simulated clock: how long reads and
// changes wait beside each other.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "lib/backend/elevator.h"
#include "lib/co/event.h"
#include "lib/co/intrusive_list.h"
#include "lib/co/sleep.h"
#include "lib/co/task_group.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using backend::Elevator;
using Kind = Elevator::Kind;

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t disk_size = std::uint64_t{1} << 40;
constexpr Bytes block{4096};

// 7,200 turns a minute. It takes what it is given into a queue of its own, and does one after the
// other: in the order in which they came, or (NCQ) the nearest first, but for those that have
// waited for long.
class ArmDisk {
 public:
  ArmDisk(co::Executor& executor, bool ncq, std::uint64_t seed)
      : executor_{executor}, ncq_{ncq}, random_{seed}, came_{executor}, group_{executor} {
    group_.spawn("disk", turn(executor));
  }

  struct Operation : co::ListNode<Operation> {
    Operation(co::Executor& executor, Bytes where) : at{where}, done{executor} {}
    Bytes at;
    TimePoint since{};
    co::Event done;
  };

  void give(Operation& operation) {
    operation.since = executor_.now();
    queue_.push_back(operation);
    came_.set();
  }
  void stop() {
    stopped_ = true;
    came_.set();
  }

 private:
  static constexpr Nanoseconds old = milliseconds{800};

  co::Task<void> turn(co::Executor& executor) {
    while (!stopped_ || !queue_.empty()) {
      Operation* const next = choose();
      if (next == nullptr) {
        came_.reset();
        co_await came_.wait();
        continue;
      }
      queue_.remove(*next);
      co_await co::sleep_until(executor, executor.now() + time_to(next->at));
      arm_ = next->at;
      next->done.set();
    }
  }

  Operation* choose() {
    Operation* best = queue_.front();
    if (!ncq_ || best == nullptr || executor_.now() - best->since > old) {
      return best;
    }
    for (Operation* each = best; each != nullptr; each = queue_.after(*each)) {
      best = distance(each->at) < distance(best->at) ? each : best;
    }
    return best;
  }

  std::uint64_t distance(Bytes to) const {
    return std::max(to, arm_).value() - std::min(to, arm_).value();
  }

  Nanoseconds time_to(Bytes to) {
    const double part = static_cast<double>(distance(to)) / static_cast<double>(disk_size);
    const double seek = part == 0 ? 0 : 1 + 12 * std::sqrt(part);
    const double rotation = std::uniform_real_distribution<double>{0, 8.33}(random_);
    return std::chrono::duration_cast<Nanoseconds>(
        std::chrono::duration<double, std::milli>{seek + rotation});
  }

  co::Executor& executor_;
  const bool ncq_;
  std::mt19937_64 random_;
  co::IntrusiveList<Operation> queue_;
  Bytes arm_{};
  bool stopped_ = false;
  co::Event came_;
  co::TaskGroup group_;
};

struct Load {
  int readers = 1;
  int writers = 64;
  Nanoseconds think = milliseconds{50};  // of a reader, between its reads
  Nanoseconds length = seconds{60};
};

struct Figures {
  Nanoseconds read_p99{};
  Nanoseconds longest_read{};
  Nanoseconds longest_change{};
  double reads = 0;    // a second
  double changes = 0;  // a second
};

class Machine {
 public:
  Machine(bool ncq, bool with_elevator, Elevator::Sabotage sabotage = Elevator::Sabotage::none)
      : disk_{executor_, ncq, 7}, elevator_{executor_, {}, with_elevator ? 64U : 1024U} {
    elevator_.sabotage(sabotage);
    if (!with_elevator) {
      elevator_.set_rules({.target_latency = std::chrono::hours{1}});
    }
  }

  Figures run(const Load& load) {
    load_ = load;
    for (int i = 0; i < load.readers; ++i) {
      group_.spawn("reader", keep(executor_, Kind::read, load.think));
    }
    for (int i = 0; i < load.writers; ++i) {
      group_.spawn("writer", keep(executor_, Kind::change, Nanoseconds{}));
    }
    go_on_until(load.length);
    count_waiting();
    stopped_ = true;
    go_on_until(load.length + seconds{60});
    disk_.stop();
    go_on_until(load.length + seconds{61});
    return figures();
  }

 private:
  struct Waiting : co::ListNode<Waiting> {
    Kind kind = Kind::read;
    TimePoint since{};
  };

  co::Task<void> keep(co::Executor& executor, Kind kind, Nanoseconds think) {
    while (!stopped_) {
      const Bytes at{random_() % (disk_size / block.value()) * block.value()};
      const TimePoint began = executor.now();
      {
        Waiting waiting;
        waiting.kind = kind;
        waiting.since = began;
        waiting_.push_back(waiting);
        Elevator::Seat seat;
        co_await elevator_.take(seat, kind, at, block, {});
        ArmDisk::Operation operation{executor, at};
        disk_.give(operation);
        co_await operation.done.wait();
        waiting_.remove(waiting);
      }
      (kind == Kind::read ? reads_ : changes_).push_back(executor.now() - began);
      co_await co::sleep_until(executor, executor.now() + think);
    }
  }

  // Those that have not ended count with the time that they have waited.
  void count_waiting() {
    for (Waiting* each = waiting_.front(); each != nullptr; each = waiting_.after(*each)) {
      (each->kind == Kind::read ? reads_ : changes_).push_back(executor_.now() - each->since);
    }
  }

  void go_on_until(Nanoseconds end) {
    test::run(executor_);
    while (executor_.next_timer() <= TimePoint{end}) {
      clock_.advance_to(executor_.next_timer());
      test::run(executor_);
    }
    clock_.advance_to(TimePoint{end});
    test::run(executor_);
  }

  Figures figures() {
    const double seconds_long = std::chrono::duration<double>{load_.length}.count();
    Figures all;
    std::sort(reads_.begin(), reads_.end());
    if (!reads_.empty()) {
      all.read_p99 = reads_[reads_.size() * 99 / 100];
      all.longest_read = reads_.back();
    }
    if (!changes_.empty()) {
      all.longest_change = *std::max_element(changes_.begin(), changes_.end());
    }
    all.reads = static_cast<double>(reads_.size()) / seconds_long;
    all.changes = static_cast<double>(changes_.size()) / seconds_long;
    return all;
  }

  co::VirtualClock clock_;
  co::Executor executor_{"test", clock_};
  ArmDisk disk_;
  Elevator elevator_;
  std::mt19937_64 random_{11};
  Load load_;
  bool stopped_ = false;
  co::IntrusiveList<Waiting> waiting_;
  std::vector<Nanoseconds> reads_;
  std::vector<Nanoseconds> changes_;
  co::TaskGroup group_{executor_};
};

Figures measure(const char* what, Machine&& machine, const Load& load) {
  const Figures found = machine.run(load);
  const auto ms = [](Nanoseconds time) {
    return std::chrono::duration<double, std::milli>{time}.count();
  };
  print_message(
      "%-34s reads: p99 %6.1f ms, longest %6.1f ms, %5.1f/s; changes: longest %7.1f ms, %5.1f/s\n",
      what, ms(found.read_p99), ms(found.longest_read), found.reads, ms(found.longest_change),
      found.changes);
  return found;
}

constexpr Load one_reader{};
constexpr Load many_readers{.readers = 48, .writers = 48, .think = {}};
constexpr Load nobody_reads{.readers = 0};
// An operation of this disk takes 21.4 ms at most, and its own queue none that waits for longer
// than 0.8 s and those before it.
constexpr Nanoseconds slack = seconds{2};

void one_reader_beside_many_writers_is_answered_soon(void**) {
  for (const bool ncq : {false, true}) {
    const Figures without =
        measure(ncq ? "NCQ, no elevator" : "FIFO, no elevator", {ncq, false}, one_reader);
    const Figures with = measure(ncq ? "NCQ, elevator" : "FIFO, elevator", {ncq, true}, one_reader);
    assert_true(with.read_p99 * 4 < without.read_p99);
    assert_true(with.reads > 2 * without.reads);
    assert_true(with.changes > without.changes / 3);
  }
}

void many_readers_and_many_writers_wait_for_bounded_times(void**) {
  for (const bool ncq : {false, true}) {
    const Figures found =
        measure(ncq ? "NCQ, many readers" : "FIFO, many readers", {ncq, true}, many_readers);
    assert_true(found.longest_read < backend::ElevatorRules{}.read_expire + slack);
    assert_true(found.longest_change < backend::ElevatorRules{}.write_expire + slack);
    assert_true(found.changes > 10);
  }
}

void writers_alone_lose_nothing(void**) {
  for (const bool ncq : {false, true}) {
    const Figures without =
        measure(ncq ? "NCQ, writers alone" : "FIFO, writers alone", {ncq, false}, nobody_reads);
    const Figures with = measure("  with the elevator", {ncq, true}, nobody_reads);
    assert_true(with.changes > 0.97 * without.changes);
  }
}

void each_rule_is_needed(void**) {
  using Sabotage = Elevator::Sabotage;
  const Figures honest = measure("NCQ, elevator", {true, true}, one_reader);
  const Figures no_hold = measure("  no hold", {true, true, Sabotage::no_hold}, one_reader);
  assert_true(no_hold.read_p99 > honest.read_p99 * 3 / 2);
  const Figures deep = measure("  depth stays", {true, true, Sabotage::depth_stays}, one_reader);
  assert_true(deep.read_p99 > honest.read_p99 * 3 / 2);
  const Figures starved =
      measure("  changes starve", {true, true, Sabotage::changes_starve}, many_readers);
  assert_true(starved.longest_change > backend::ElevatorRules{}.write_expire + slack);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(one_reader_beside_many_writers_is_answered_soon),
      cmocka_unit_test(many_readers_and_many_writers_wait_for_bounded_times),
      cmocka_unit_test(writers_alone_lose_nothing),
      cmocka_unit_test(each_rule_is_needed),
  };
  return cmocka_run_group_tests_name("elevator_disk", tests, nullptr, nullptr);
}
