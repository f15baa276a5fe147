// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/elevator.h"

#include <memory>
#include <string>
#include <vector>

#include "lib/co/cancel.h"
#include "lib/co/event.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using backend::Elevator;
using Kind = Elevator::Kind;

namespace {

constexpr Bytes block{4096};

// A store whose operations end when the test says so.
class Rig {
 public:
  explicit Rig(std::size_t places = 64, backend::ElevatorRules rules = {})
      : elevator{executor, rules, places} {}

  // An operation that comes now. `name` is added to the trace when it goes to the store.
  void come(Kind kind, std::uint64_t at, std::string name) {
    operations_.push_back(std::make_unique<Operation>(executor, kind, at, std::move(name)));
    group_.spawn("operation", run(executor, *operations_.back()));
    test::run(executor);
  }
  void cancel(const std::string& name) {
    find(name).cancel.request();
    test::run(executor);
  }
  void end(const std::string& name) {
    find(name).end.set();
    test::run(executor);
  }
  void end_all() {
    for (const auto& operation : operations_) {
      operation->end.set();
    }
    test::run(executor);
  }
  void pass(Nanoseconds time) {
    clock.advance_to(clock.now() + time);
    test::run(executor);
  }
  std::string take_trace() { return std::exchange(trace_, {}); }

  co::VirtualClock clock;
  co::Executor executor{"test", clock};
  Elevator elevator;

 private:
  struct Operation {
    Operation(co::Executor& executor, Kind which, std::uint64_t where, std::string called)
        : kind{which}, at{where}, name{std::move(called)}, end{executor} {}
    Kind kind;
    std::uint64_t at;
    std::string name;
    co::Event end;
    co::CancelSource cancel;
  };
  Operation& find(const std::string& name) {
    std::size_t i = 0;
    while (operations_.at(i)->name != name) {
      ++i;
    }
    return *operations_[i];
  }
  co::Task<void> run(co::Executor&, Operation& operation) {
    Elevator::Seat seat;
    co_await elevator.take(seat, operation.kind, Bytes{operation.at}, block,
                           operation.cancel.token());
    if (seat) {
      trace_ += operation.name;
      co_await operation.end.wait();
    }
  }

  std::string trace_;
  std::vector<std::unique_ptr<Operation>> operations_;
  co::TaskGroup group_{executor};
};

constexpr Nanoseconds ms(std::int64_t count) {
  return std::chrono::milliseconds{count};
}

void what_finds_a_place_goes_at_once(void**) {
  Rig rig;
  rig.come(Kind::change, 0, "w");
  rig.come(Kind::read, 0, "r");
  rig.come(Kind::flush, 0, "f");
  assert_string_equal(rig.take_trace().c_str(), "wrf");
  assert_int_equal(rig.elevator.at_store(), 3);
  rig.end_all();
  assert_int_equal(rig.elevator.at_store(), 0);
}

void no_more_go_than_there_are_places(void**) {
  Rig rig{2};
  rig.come(Kind::read, 0, "a");
  rig.come(Kind::read, 0, "b");
  rig.come(Kind::read, 0, "c");
  assert_string_equal(rig.take_trace().c_str(), "ab");
  rig.end("a");
  assert_string_equal(rig.take_trace().c_str(), "c");
  rig.end_all();
}

void flushes_go_first_then_reads_and_changes(void**) {
  Rig rig{1};
  rig.come(Kind::change, 0, "x");
  rig.come(Kind::change, 0, "w");
  rig.come(Kind::read, 0, "r");
  rig.come(Kind::flush, 0, "f");
  for (const char* const name : {"x", "f", "r"}) {
    rig.end(name);
  }
  assert_string_equal(rig.take_trace().c_str(), "xfrw");
  rig.end_all();
}

void a_kind_goes_in_the_order_of_addresses_round_and_round(void**) {
  Rig rig{1};
  rig.come(Kind::read, 500000, "x");
  rig.come(Kind::read, 100000, "a");
  rig.come(Kind::read, 900000, "c");
  rig.come(Kind::read, 300000, "b");
  rig.come(Kind::read, 600000, "d");
  for (const char* const name : {"x", "d", "c", "a"}) {
    rig.end(name);
  }
  assert_string_equal(rig.take_trace().c_str(), "xdcab");
  rig.end_all();
}

void the_oldest_of_a_new_batch_goes_first_when_it_has_expired(void**) {
  Rig rig{1};
  rig.come(Kind::change, 500000, "x");
  rig.come(Kind::read, 100000, "a");
  rig.pass(ms(501));
  rig.come(Kind::read, 600000, "b");
  rig.end("x");
  assert_string_equal(rig.take_trace().c_str(), "xa");
  rig.end_all();
}

void changes_wait_while_a_read_at_the_store_is_late(void**) {
  Rig rig;
  rig.come(Kind::read, 0, "r");
  rig.pass(ms(16));
  rig.come(Kind::change, 0, "w");
  rig.come(Kind::read, 0, "s");
  assert_string_equal(rig.take_trace().c_str(), "rs");
  rig.end("r");
  assert_string_equal(rig.take_trace().c_str(), "w");
  rig.end_all();
}

void a_change_that_has_expired_does_not_wait_for_a_late_read(void**) {
  Rig rig;
  rig.come(Kind::read, 0, "r");
  rig.pass(ms(16));
  rig.come(Kind::change, 0, "w");
  rig.pass(ms(5001));
  rig.come(Kind::read, 0, "s");
  assert_string_equal(rig.take_trace().c_str(), "rsw");
  rig.end_all();
}

void only_the_change_that_has_expired_passes_a_late_read(void**) {
  Rig rig;
  rig.come(Kind::read, 0, "r");
  rig.pass(ms(16));
  rig.come(Kind::change, 8, "w");
  rig.pass(ms(4000));
  rig.come(Kind::change, 0, "young ");
  rig.pass(ms(1001));
  rig.come(Kind::read, 0, "s");
  assert_string_equal(rig.take_trace().c_str(), "rsw");
  rig.end_all();
}

// Comes with `count` reads, one after the other, while the one before is at the store.
std::string read_on(Rig& rig, int count, Nanoseconds each) {
  std::string before;
  for (int i = 0; i < count; ++i) {
    std::string name{"r"};
    name += std::to_string(rig.clock.now().since_start.count()) + "." + std::to_string(i) + " ";
    rig.come(Kind::read, 0, name);
    if (!before.empty()) {
      rig.end(before);
    }
    before = name;
    rig.pass(each);
  }
  rig.end(before);
  return rig.take_trace();
}

void reads_pass_changes_over_for_two_batches_at_most(void**) {
  Rig rig{1};
  rig.come(Kind::read, 0, "x");
  for (int i = 0; i < 20; ++i) {
    rig.come(Kind::change, 0, std::string{"w"} + static_cast<char>('0' + i));
  }
  for (int i = 0; i < 40; ++i) {
    rig.come(Kind::read, 0, std::string{"r"} + static_cast<char>('A' + i));
  }
  assert_string_equal(rig.take_trace().c_str(), "x");
  rig.end_all();
  const std::string trace = rig.take_trace();
  // 32 reads, a batch of changes, and then the rest of the reads before the rest of the changes.
  assert_int_equal(trace.find('w'), 64);
  assert_int_equal(trace.substr(0, 96).rfind("r"), 62);
  assert_int_equal(trace.find('r', 64), 96);
  assert_int_equal(trace.rfind("r"), 110);
}

void a_late_read_holds_owed_changes_no_longer_than_a_read_may_wait(void**) {
  Rig rig;
  rig.come(Kind::read, 0, "late");
  rig.pass(ms(20));
  rig.come(Kind::change, 0, "change");
  assert_true(read_on(rig, 40, ms(10)).find("change") == std::string::npos);
  assert_true(read_on(rig, 20, ms(10)).find("change") != std::string::npos);
  rig.end_all();
}

void one_that_is_cancelled_while_it_waits_takes_no_place(void**) {
  Rig rig{1};
  rig.come(Kind::read, 0, "x");
  rig.come(Kind::read, 0, "y");
  rig.come(Kind::read, 0, "z");
  rig.cancel("y");
  assert_int_equal(rig.elevator.waiting(), 1);
  rig.end("x");
  assert_string_equal(rig.take_trace().c_str(), "xz");
  rig.end_all();
}

void changes_at_the_store_are_few_while_reads_are_slow(void**) {
  Rig rig{8};
  for (int i = 0; i < 4; ++i) {
    rig.come(Kind::read, 0, "r" + std::to_string(i));
    rig.pass(ms(110));
    rig.end("r" + std::to_string(i));
  }
  assert_int_equal(rig.elevator.write_depth(), 1);
  rig.take_trace();
  rig.come(Kind::change, 0, "v");
  rig.come(Kind::change, 0, "w");
  assert_string_equal(rig.take_trace().c_str(), "v");
  rig.end("v");
  assert_string_equal(rig.take_trace().c_str(), "w");
  rig.end_all();
}

void new_rules_count_for_what_waits(void**) {
  Rig rig;
  rig.come(Kind::read, 0, "r");
  rig.pass(ms(20));
  rig.come(Kind::change, 0, "w");
  assert_string_equal(rig.take_trace().c_str(), "r");
  rig.elevator.set_rules({.target_latency = ms(1000)});
  test::run(rig.executor);
  assert_string_equal(rig.take_trace().c_str(), "w");
  rig.end_all();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_finds_a_place_goes_at_once),
      cmocka_unit_test(no_more_go_than_there_are_places),
      cmocka_unit_test(flushes_go_first_then_reads_and_changes),
      cmocka_unit_test(a_kind_goes_in_the_order_of_addresses_round_and_round),
      cmocka_unit_test(the_oldest_of_a_new_batch_goes_first_when_it_has_expired),
      cmocka_unit_test(changes_wait_while_a_read_at_the_store_is_late),
      cmocka_unit_test(a_change_that_has_expired_does_not_wait_for_a_late_read),
      cmocka_unit_test(only_the_change_that_has_expired_passes_a_late_read),
      cmocka_unit_test(reads_pass_changes_over_for_two_batches_at_most),
      cmocka_unit_test(a_late_read_holds_owed_changes_no_longer_than_a_read_may_wait),
      cmocka_unit_test(one_that_is_cancelled_while_it_waits_takes_no_place),
      cmocka_unit_test(changes_at_the_store_are_few_while_reads_are_slow),
      cmocka_unit_test(new_rules_count_for_what_waits),
  };
  return cmocka_run_group_tests_name("elevator", tests, nullptr, nullptr);
}
