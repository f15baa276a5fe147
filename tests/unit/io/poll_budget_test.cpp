// SPDX-License-Identifier: Apache-2.0
#include "lib/io/poll_budget.h"

#include <algorithm>
#include <deque>

#include "tests/cmocka.h"

using namespace ballast;
using namespace std::chrono_literals;

namespace {

constexpr Nanoseconds one_poll = 100us;

// Polls in vain whenever the budget allows it, and returns the most that was spent in any second.
Nanoseconds most_in_a_second(unsigned percent, Nanoseconds time) {
  io::PollBudget budget;
  std::deque<TimePoint> polls;
  std::size_t most = 0;
  const TimePoint begin{1h};
  for (TimePoint now = begin; now < begin + time; now = now + one_poll) {
    if (!budget.allows(percent, now)) {
      continue;
    }
    budget.spend(one_poll, percent, now);
    polls.push_back(now);
    while (now - polls.front() >= 1s) {
      polls.pop_front();
    }
    most = std::max(most, polls.size());
  }
  return one_poll * static_cast<std::int64_t>(most);
}

void no_second_has_more_than_the_share(void**) {
  for (const unsigned percent : {1U, 5U, 50U}) {
    const Nanoseconds most = most_in_a_second(percent, 10s);
    assert_true(most <= 10ms * percent + one_poll);
    assert_true(most >= 9ms * percent);
  }
}

void a_share_of_nothing_allows_nothing(void**) {
  const io::PollBudget budget;
  assert_false(budget.allows(0, TimePoint{1h}));
}

void what_was_not_spent_for_an_hour_is_not_there_at_once(void**) {
  io::PollBudget budget;
  TimePoint now{2h};
  Nanoseconds spent{};
  while (budget.allows(5, now)) {
    budget.spend(one_poll, 5, now);
    spent += one_poll;
  }
  assert_true(spent <= 25ms + one_poll);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(no_second_has_more_than_the_share),
      cmocka_unit_test(a_share_of_nothing_allows_nothing),
      cmocka_unit_test(what_was_not_spent_for_an_hour_is_not_there_at_once),
  };
  return cmocka_run_group_tests_name("poll_budget", tests, nullptr, nullptr);
}
