// SPDX-License-Identifier: Apache-2.0
#include "lib/volume/fences.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <vector>

#include "lib/co/clock.h"
#include "lib/co/executor.h"
#include "lib/co/sim_executor.h"
#include "lib/co/task_group.h"
#include "tests/cmocka.h"

using namespace ballast;
using volume::Fences;

namespace {

constexpr auto change = Fences::Kind::change;
constexpr auto read = Fences::Kind::read;
using Hold = std::optional<Fences::Hold>;

void changes_apart_do_not_wait(void**) {
  Fences fences;
  const Fences::Hold a{fences, Lba{0}, BlockCount{8}, change};
  const Fences::Hold b{fences, Lba{8}, BlockCount{8}, change};
  assert_true(a.granted() && b.granted());
  assert_int_equal(fences.holds(), 2);
}

void overlapping_changes_go_in_the_order_of_coming(void**) {
  Fences fences;
  Hold a{std::in_place, fences, Lba{0}, BlockCount{8}, change};
  Hold b{std::in_place, fences, Lba{4}, BlockCount{8}, change};
  Hold c{std::in_place, fences, Lba{0}, BlockCount{20}, change};
  assert_false(b->granted() || c->granted());
  a.reset();
  assert_true(b->granted());
  assert_false(c->granted());
  b.reset();
  assert_true(c->granted());
}

void one_that_gives_up_lets_those_behind_it_wait_on_for_the_rest(void**) {
  Fences fences;
  Hold a{std::in_place, fences, Lba{0}, BlockCount{8}, change};
  Hold b{std::in_place, fences, Lba{0}, BlockCount{8}, change};
  const Fences::Hold c{fences, Lba{0}, BlockCount{8}, change};
  b.reset();
  assert_false(c.granted());
  a.reset();
  assert_true(c.granted());
}

void reads_wait_for_fences_that_were_there_before_them_only(void**) {
  Fences fences;
  Hold a{std::in_place, fences, Lba{0}, BlockCount{8}, change};
  const Fences::Hold before{fences, Lba{0}, BlockCount{8}, read};
  assert_true(before.granted());
  a->fence_off();
  assert_int_equal(fences.fenced(), 1);
  assert_true(before.granted());
  const Fences::Hold after{fences, Lba{7}, BlockCount{1}, read};
  const Fences::Hold apart{fences, Lba{8}, BlockCount{1}, read};
  assert_false(after.granted());
  assert_true(apart.granted());
  a.reset();
  assert_true(after.granted());
  assert_int_equal(fences.fenced(), 0);
}

void a_read_that_waits_is_not_let_go_by_a_fence_it_does_not_wait_for(void**) {
  Fences fences;
  Hold a{std::in_place, fences, Lba{0}, BlockCount{4}, change};
  Hold b{std::in_place, fences, Lba{4}, BlockCount{4}, change};
  a->fence_off();
  const Fences::Hold reader{fences, Lba{0}, BlockCount{8}, read};
  b->fence_off();
  b.reset();
  assert_false(reader.granted());
  a.reset();
  assert_true(reader.granted());
}

void changes_do_not_wait_for_reads(void**) {
  Fences fences;
  const Fences::Hold reader{fences, Lba{0}, BlockCount{8}, read};
  const Fences::Hold a{fences, Lba{0}, BlockCount{8}, change};
  assert_true(a.granted());
}

void what_has_changed_since_is_remembered(void**) {
  Fences fences;
  const std::uint64_t mark = fences.mark();
  assert_false(fences.changed_since(mark, Lba{0}, BlockCount{100}));
  Hold a{std::in_place, fences, Lba{10}, BlockCount{2}, change};
  assert_true(fences.changed_since(mark, Lba{11}, BlockCount{1}));  // under way
  assert_false(fences.changed_since(mark, Lba{12}, BlockCount{1}));
  a.reset();
  assert_true(fences.changed_since(mark, Lba{0}, BlockCount{100}));
  assert_false(fences.changed_since(mark, Lba{12}, BlockCount{1}));
  assert_false(fences.changed_since(fences.mark(), Lba{0}, BlockCount{100}));
}

void what_is_too_long_ago_counts_as_changed(void**) {
  Fences fences;
  const std::uint64_t mark = fences.mark();
  for (int i = 0; i < 300; ++i) {
    const Fences::Hold elsewhere{fences, Lba{1000}, BlockCount{1}, change};
  }
  assert_true(fences.changed_since(mark, Lba{0}, BlockCount{1}));
}

void one_that_never_got_its_turn_changed_nothing(void**) {
  Fences fences;
  Hold a{std::in_place, fences, Lba{0}, BlockCount{4}, change};
  const std::uint64_t mark = fences.mark();
  Hold b{std::in_place, fences, Lba{2}, BlockCount{8}, change};
  assert_false(fences.changed_since(mark, Lba{6}, BlockCount{1}));
  b.reset();
  assert_false(fences.changed_since(mark, Lba{6}, BlockCount{1}));
}

struct Outcome {
  bool ended = false;
  bool granted = false;
};
co::Task<void> take(co::Executor& executor, Fences::Hold& hold, co::CancelToken cancel,
                    Outcome* outcome) {
  outcome->granted = co_await hold.wait(executor, cancel);
  outcome->ended = true;
}

void a_waiter_is_woken_by_its_turn_or_by_cancellation(void**) {
  const co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::TaskGroup group{executor};
  Fences fences;
  Hold a{std::in_place, fences, Lba{0}, BlockCount{8}, change};
  Fences::Hold b{fences, Lba{0}, BlockCount{4}, change};
  Fences::Hold c{fences, Lba{4}, BlockCount{4}, change};
  co::CancelSource stop;
  Outcome of_b;
  Outcome of_c;
  group.spawn("b", take(executor, b, {}, &of_b));
  group.spawn("c", take(executor, c, stop.token(), &of_c));
  executor.tick();
  assert_false(of_b.ended || of_c.ended);
  stop.request();
  executor.tick();
  assert_true(of_c.ended && !of_c.granted);
  a.reset();
  executor.tick();
  assert_true(of_b.ended && of_b.granted);
}

// The same by a list that is searched from end to end.
struct Model {
  struct Entry {
    Fences::Hold* hold;
    std::uint64_t first, end;
    bool is_change, fenced;
    std::uint64_t order, fenced_at;
  };
  std::vector<Entry> entries;
  static bool waits(const Entry& later, const Entry& earlier) {
    const bool overlap = later.first < earlier.end && earlier.first < later.end;
    if (!overlap || !earlier.is_change || &later == &earlier) {
      return false;
    }
    return later.is_change ? later.order > earlier.order
                           : earlier.fenced && later.order > earlier.fenced_at;
  }
  bool granted(const Entry& entry) const {
    return std::none_of(entries.begin(), entries.end(),
                        [&](const Entry& other) { return waits(entry, other); });
  }
};

void random_holds_agree_with_a_list(void**) {
  co::Random random{co::seed_from_environment("fences_test")};
  Fences fences;
  Model model;
  std::vector<std::unique_ptr<Fences::Hold>> holds;
  std::uint64_t order = 0;
  for (int step = 0; step < 20000; ++step) {
    const std::uint64_t lot = random.below(10);
    if (holds.empty() || (lot < 5 && holds.size() < 200)) {
      const std::uint64_t first = random.below(400);
      const std::uint64_t count = 1 + random.below(random.chance(1, 10) ? 300 : 20);
      const bool is_change = random.chance(2, 3);
      holds.push_back(std::make_unique<Fences::Hold>(fences, Lba{first}, BlockCount{count},
                                                     is_change ? change : read));
      model.entries.push_back(
          {holds.back().get(), first, first + count, is_change, false, order++, 0});
    } else if (lot < 9) {
      const std::size_t i = random.below(holds.size());
      model.entries.erase(model.entries.begin() + static_cast<std::ptrdiff_t>(i));
      holds.erase(holds.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      Model::Entry& entry = model.entries[random.below(holds.size())];
      if (entry.is_change && !entry.fenced && entry.hold->granted()) {
        entry.hold->fence_off();
        entry.fenced = true;
        entry.fenced_at = order++;
      }
    }
    if (step % 8 == 0) {
      for (const Model::Entry& entry : model.entries) {
        assert_int_equal(entry.hold->granted(), model.granted(entry));
      }
    }
  }
  // In any order: each destructor looks through what is left.
  while (!holds.empty()) {
    holds.erase(holds.begin() + static_cast<std::ptrdiff_t>(random.below(holds.size())));
  }
}

// Ranges whose order of coming makes a list of the treap: what somebody sends who knows the seed.
std::vector<Lba> worst_order(std::uint64_t seed, std::size_t count) {
  std::vector<std::uint32_t> priorities(count);
  for (std::uint32_t& priority : priorities) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    priority = static_cast<std::uint32_t>(seed >> 32);
  }
  std::vector<std::size_t> by_priority(count);
  std::iota(by_priority.begin(), by_priority.end(), std::size_t{0});
  std::sort(by_priority.begin(), by_priority.end(),
            [&](std::size_t a, std::size_t b) { return priorities[a] > priorities[b]; });
  std::vector<Lba> order(count);
  for (std::size_t i = 0; i < count; ++i) {
    order[by_priority[i]] = Lba{i * 8};
  }
  return order;
}

void no_order_of_coming_is_too_much(void**) {
  constexpr std::uint64_t seed = 42;
  constexpr std::size_t count = 3000;
  Fences fences{seed};
  std::vector<std::unique_ptr<Fences::Hold>> holds;
  for (const Lba lba : worst_order(seed, count)) {
    holds.push_back(std::make_unique<Fences::Hold>(fences, lba, BlockCount{8}, change));
  }
  const Fences::Hold over_all{fences, Lba{0}, BlockCount{count * 8}, change};
  while (!holds.empty()) {
    assert_false(over_all.granted());
    holds.pop_back();
  }
  assert_true(over_all.granted());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(changes_apart_do_not_wait),
      cmocka_unit_test(overlapping_changes_go_in_the_order_of_coming),
      cmocka_unit_test(one_that_gives_up_lets_those_behind_it_wait_on_for_the_rest),
      cmocka_unit_test(reads_wait_for_fences_that_were_there_before_them_only),
      cmocka_unit_test(a_read_that_waits_is_not_let_go_by_a_fence_it_does_not_wait_for),
      cmocka_unit_test(changes_do_not_wait_for_reads),
      cmocka_unit_test(what_has_changed_since_is_remembered),
      cmocka_unit_test(what_is_too_long_ago_counts_as_changed),
      cmocka_unit_test(one_that_never_got_its_turn_changed_nothing),
      cmocka_unit_test(a_waiter_is_woken_by_its_turn_or_by_cancellation),
      cmocka_unit_test(random_holds_agree_with_a_list),
      cmocka_unit_test(no_order_of_coming_is_too_much),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
