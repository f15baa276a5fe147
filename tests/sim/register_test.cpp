// SPDX-License-Identifier: Apache-2.0
// The judge of one block's history (register.h), on histories written by hand.
#include <algorithm>
#include <tuple>
#include <vector>

#include "lib/co/sim_executor.h"
#include "tests/sim/register.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using sim::Access;
using sim::Content;
using sim::Judgement;

namespace {

using History = std::vector<Access>;

constexpr Content zeros{};
constexpr Content a{1, 0, 0};
constexpr Content b{2, 0, 0};
constexpr Content c{3, 0, 0};

Access put(Content content, std::uint64_t began, std::uint64_t ended) {
  return Access{.content = content, .began = began, .ended = ended, .name = "WRITE"};
}
Access perhaps(Content content, std::uint64_t began, std::uint64_t ended) {
  Access access = put(content, began, ended);
  access.certain = false;
  return access;
}
Access get(Content content, std::uint64_t began, std::uint64_t ended) {
  Access access = put(content, began, ended);
  access.kind = Access::Kind::get;
  return access;
}
Access differs(Content expected, std::uint64_t began, std::uint64_t ended) {
  Access access = put(zeros, began, ended);
  access.kind = Access::Kind::differs;
  access.expected = expected;
  return access;
}
Access swap(Content expected, Content content, std::uint64_t began, std::uint64_t ended) {
  Access access = put(content, began, ended);
  access.kind = Access::Kind::swap;
  access.expected = expected;
  return access;
}

Access lose(Content expected, Content content, std::uint64_t began) {
  Access access = put(content, began, began + 1);
  access.kind = Access::Kind::lose;
  access.expected = expected;
  return access;
}

bool right(const History& history) {
  return judge(history, zeros).judgement == Judgement::right;
}

void reads_show_what_was_written_last(void**) {
  assert_true(right({}));
  assert_true(right({get(zeros, 1, 2)}));
  assert_false(right({get(a, 1, 2)}));
  assert_true(right({put(a, 1, 2), get(a, 3, 4)}));
  assert_false(right({put(a, 1, 2), get(zeros, 3, 4)}));
  assert_true(right({put(a, 1, 2), put(b, 3, 4), get(b, 5, 6)}));
  assert_false(right({put(a, 1, 2), put(b, 3, 4), get(a, 5, 6)}));
}

void commands_outstanding_together_come_in_any_order(void**) {
  assert_true(right({put(a, 1, 3), get(zeros, 2, 4)}));
  assert_true(right({put(a, 1, 3), get(a, 2, 4)}));
  assert_true(right({put(a, 1, 3), put(b, 2, 4), get(a, 5, 6)}));
  assert_true(right({put(a, 1, 3), put(b, 2, 4), get(b, 5, 6)}));
  // Two reads, one after the other, under two writes: any order, but one order.
  assert_true(right({put(a, 1, 20), put(b, 2, 21), get(a, 3, 4), get(b, 5, 6)}));
  assert_false(right({put(a, 1, 20), put(b, 2, 21), get(a, 3, 4), get(b, 5, 6), get(a, 7, 8)}));
  assert_false(right({put(a, 1, 20), get(a, 3, 4), get(zeros, 5, 6)}));
  assert_false(right({put(a, 1, 9), put(b, 2, 10), get(a, 3, 4), get(b, 11, 12), get(a, 13, 14)}));
}

void a_change_that_was_not_acknowledged_comes_once_or_never(void**) {
  assert_true(right({perhaps(a, 1, 2), get(zeros, 3, 4)}));
  assert_true(right({perhaps(a, 1, 2), get(a, 3, 4)}));
  assert_true(right({perhaps(a, 1, 2), put(b, 3, 4), get(b, 5, 6)}));
  assert_false(right({perhaps(a, 1, 2), get(a, 3, 4), get(zeros, 5, 6)}));
  // Once: shown, overwritten, and there again.
  assert_false(right({perhaps(a, 1, 20), get(a, 3, 4), put(b, 5, 6), get(b, 7, 8), get(a, 9, 10)}));
}

void it_does_not_come_over_what_was_acknowledged_since(void**) {
  assert_false(right({perhaps(a, 1, 2), put(b, 3, 4), get(a, 5, 6)}));
  assert_true(right({perhaps(a, 1, 4), put(b, 3, 5), get(a, 6, 7)}));  // were outstanding together
}

void it_does_not_come_over_what_was_shown_since(void**) {
  assert_false(right({perhaps(a, 1, 2), get(zeros, 3, 4), get(a, 5, 6)}));
  // The read came before the answer: nobody can say that it was not the first.
  assert_true(right({perhaps(a, 1, 3), get(zeros, 2, 4), get(a, 5, 6)}));
}

void it_does_not_come_over_another_that_came_later(void**) {
  assert_false(right({perhaps(a, 1, 2), perhaps(b, 3, 4), get(b, 5, 6), get(a, 7, 8)}));
  assert_true(right({perhaps(a, 1, 2), perhaps(b, 3, 4), get(a, 5, 6)}));
}

void a_retry_may_bring_the_content_again(void**) {
  assert_true(right({perhaps(a, 1, 2), put(b, 3, 4), put(a, 5, 6), get(a, 7, 8)}));
  assert_true(right(
      {perhaps(a, 1, 4), put(b, 2, 5), get(a, 3, 6), get(b, 7, 8), put(a, 9, 10), get(a, 11, 12)}));
  // Adopted by the retry, which came after b had been acknowledged: b must not be there.
  assert_false(right({perhaps(a, 1, 3), put(b, 2, 4), put(a, 5, 6), get(b, 7, 8)}));
}

void compare_and_write_is_one_access(void**) {
  assert_true(right({swap(zeros, a, 1, 2), get(a, 3, 4)}));
  assert_false(right({swap(b, a, 1, 2)}));
  assert_true(right({put(b, 1, 5), swap(b, a, 2, 4), get(a, 6, 7)}));
  assert_false(right({put(b, 1, 5), swap(b, a, 2, 4), get(b, 6, 7)}));
  // Only one of two can have found the zeros.
  assert_false(right({swap(zeros, a, 1, 5), swap(zeros, b, 2, 6)}));
  assert_true(right({swap(zeros, a, 1, 5), swap(a, b, 2, 6), get(b, 7, 8)}));
}

void a_miscompare_found_something_else(void**) {
  assert_true(right({differs(a, 1, 2)}));
  assert_false(right({differs(zeros, 1, 2)}));
  assert_true(right({put(a, 1, 4), differs(zeros, 2, 3)}));
  assert_false(right({put(a, 1, 2), differs(a, 3, 4)}));
  // Only by a change that nobody acknowledged, and that was gone when somebody looked.
  assert_true(right({perhaps(a, 1, 2), differs(zeros, 3, 4), put(b, 5, 6), get(b, 7, 8)}));
  assert_false(right({perhaps(a, 1, 2), differs(zeros, 3, 4), get(zeros, 5, 6)}));
}

void zeros_come_from_many(void**) {
  assert_true(right({put(a, 1, 2), put(zeros, 3, 4), get(zeros, 5, 6)}));
  assert_true(right({put(a, 1, 2), perhaps(zeros, 3, 4), perhaps(zeros, 5, 6), get(a, 7, 8)}));
  assert_false(right({put(a, 1, 2), perhaps(zeros, 3, 4), get(zeros, 5, 6), get(a, 7, 8)}));
}

void what_a_store_loses_shows_older_data(void**) {
  assert_true(right({put(a, 1, 2), put(b, 3, 4), lose(b, a, 5), get(a, 7, 8)}));
  assert_false(right({put(a, 1, 2), put(b, 3, 4), lose(b, a, 5), get(b, 7, 8)}));
  assert_false(right({put(a, 1, 2), put(b, 3, 4), lose(b, a, 5), get(zeros, 7, 8)}));
  // Only what is there is lost, and only then.
  assert_true(right({put(a, 1, 2), put(b, 3, 4), lose(a, zeros, 5), get(b, 7, 8)}));
  assert_false(right({put(a, 1, 2), lose(a, zeros, 3), put(a, 5, 6), get(zeros, 7, 8)}));
  assert_false(right({lose(a, zeros, 1), put(a, 3, 4), get(zeros, 5, 6)}));
}

void a_command_under_way_comes_before_a_loss_or_after_it(void**) {
  assert_true(right({put(a, 1, 5), lose(a, zeros, 3), get(a, 6, 7)}));
  assert_true(right({put(a, 1, 5), lose(a, zeros, 3), get(zeros, 6, 7)}));
  // Compared before the loss, and written over what was lost.
  assert_true(right({put(a, 1, 2), swap(a, b, 3, 7), lose(a, zeros, 4), get(b, 8, 9)}));
  assert_false(right({put(a, 1, 2), lose(a, zeros, 3), swap(a, b, 5, 6)}));
  // Nobody knew of it, and it was lost.
  assert_true(right({put(a, 1, 2), perhaps(b, 3, 4), lose(b, zeros, 5), get(zeros, 7, 8)}));
}

// A plain search through all orders, for short histories.
bool right_by_trying(const History& history, std::uint64_t used, Content now) {
  bool all = true;
  for (std::size_t i = 0; i < history.size(); ++i) {
    if ((used >> i & 1) != 0) {
      continue;
    }
    const Access& access = history[i];
    all = all && !access.certain;
    const bool first = std::none_of(history.begin(), history.end(), [&](const Access& other) {
      const auto at = static_cast<std::size_t>(&other - history.data());
      return (used >> at & 1) == 0 && other.ended < access.began && other.certain;
    });
    const bool reads = access.kind == Access::Kind::get;
    const bool loses = access.kind == Access::Kind::lose;
    const bool possible = access.kind == Access::Kind::put || loses ||
                          (reads && access.content == now) ||
                          (access.kind == Access::Kind::differs && access.expected != now) ||
                          (access.kind == Access::Kind::swap && access.expected == now);
    if (!first || !possible) {
      continue;
    }
    // What is not certain and ended before this one began can not come any more.
    std::uint64_t gone = used | std::uint64_t{1} << i;
    for (std::size_t j = 0; j < history.size(); ++j) {
      gone |= history[j].ended < access.began ? std::uint64_t{1} << j : 0;
    }
    const bool changes = access.kind == Access::Kind::put || access.kind == Access::Kind::swap ||
                         (loses && access.expected == now);
    if (right_by_trying(history, gone, changes ? access.content : now)) {
      return true;
    }
  }
  return all;
}

History random_history(co::Random& random) {
  History history;
  const std::uint64_t count = 2 + random.below(6);
  std::vector<std::uint64_t> moments(2 * count);
  for (std::size_t i = 0; i < moments.size(); ++i) {
    moments[i] = i + 1;
    std::swap(moments[i], moments[static_cast<std::size_t>(random.below(i + 1))]);
  }
  const Content contents[] = {zeros, a, b, c};
  for (std::uint64_t i = 0; i < count; ++i) {
    Access access = put(contents[random.below(4)], 0, 0);
    std::tie(access.began, access.ended) = std::minmax(moments[2 * i], moments[2 * i + 1]);
    const std::uint64_t lot = random.below(11);
    access.kind = lot < 5    ? Access::Kind::put
                  : lot < 8  ? Access::Kind::get
                  : lot < 9  ? Access::Kind::differs
                  : lot < 10 ? Access::Kind::swap
                             : Access::Kind::lose;
    access.expected = contents[random.below(4)];
    const bool changes = access.kind == Access::Kind::put || access.kind == Access::Kind::swap;
    access.certain = !changes || random.chance(1, 2);
    history.push_back(access);
  }
  return history;
}

void agrees_with_trying_all_orders(void**) {
  const std::uint64_t seed = co::seed_from_environment("register_test");
  co::Random random{seed};
  std::size_t rights = 0;
  constexpr std::size_t histories = 100'000;
  for (std::size_t i = 0; i < histories; ++i) {
    const History history = random_history(random);
    const bool expected = right_by_trying(history, 0, zeros);
    if (right(history) != expected) {
      for (const Access& access : history) {
        print_error("%s\n", describe(access).c_str());
      }
      print_error("history %zu should be %s\n", i, expected ? "right" : "wrong");
    }
    assert_int_equal(right(history), expected);
    rights += expected ? 1 : 0;
  }
  assert_true(rights > histories / 20 && rights < histories - histories / 20);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(reads_show_what_was_written_last),
      cmocka_unit_test(commands_outstanding_together_come_in_any_order),
      cmocka_unit_test(a_change_that_was_not_acknowledged_comes_once_or_never),
      cmocka_unit_test(it_does_not_come_over_what_was_acknowledged_since),
      cmocka_unit_test(it_does_not_come_over_what_was_shown_since),
      cmocka_unit_test(it_does_not_come_over_another_that_came_later),
      cmocka_unit_test(a_retry_may_bring_the_content_again),
      cmocka_unit_test(compare_and_write_is_one_access),
      cmocka_unit_test(a_miscompare_found_something_else),
      cmocka_unit_test(zeros_come_from_many),
      cmocka_unit_test(what_a_store_loses_shows_older_data),
      cmocka_unit_test(a_command_under_way_comes_before_a_loss_or_after_it),
      cmocka_unit_test(agrees_with_trying_all_orders),
  };
  return cmocka_run_group_tests_name("register", tests, nullptr, nullptr);
}
