// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/histogram.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <random>
#include <vector>

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::watch;
using namespace std::chrono_literals;

namespace {

void an_empty_one_has_no_latency(void**) {
  const Histogram histogram;
  assert_int_equal(histogram.count(), 0);
  assert_true(histogram.quantile(0.99) == 0ns);
  assert_true(histogram.longest() == 0ns);
  assert_true(histogram.sum() == 0ns);
}

void one_latency_is_every_quantile(void**) {
  Histogram histogram;
  histogram.add(1234567ns);
  for (const double fraction : {0.0001, 0.5, 0.99, 1.0}) {
    assert_true(histogram.quantile(fraction) == 1234567ns);  // never more than the longest
  }
  assert_true(histogram.sum() == 1234567ns);
}

void a_quantile_counts_from_below(void**) {
  Histogram histogram;
  for (int i = 0; i < 99; ++i) {
    histogram.add(1ms);
  }
  histogram.add(1s);
  assert_true(histogram.quantile(0.5) < 1200us);
  assert_true(histogram.quantile(0.99) < 1200us);
  assert_true(histogram.quantile(0.991) == 1s);
}

void each_bucket_ends_where_the_next_begins(void**) {
  for (std::size_t i = 0; i + 1 < Histogram::bucket_count; ++i) {
    Histogram histogram;
    histogram.add(Histogram::upper_bound(i));
    histogram.add(Histogram::upper_bound(i) + 1ns);
    assert_int_equal(histogram.count_in(i), 1);
    assert_int_equal(histogram.count_in(i + 1), 1);
  }
}

void bounds_grow_by_an_eighth_at_most(void**) {
  assert_true(Histogram::upper_bound(0) == 1024ns);
  for (std::size_t i = 1; i < Histogram::bucket_count; ++i) {
    const Nanoseconds below = Histogram::upper_bound(i - 1);
    const Nanoseconds bound = Histogram::upper_bound(i);
    assert_true(bound > below);
    assert_true((bound - below) * 8 <= below);
  }
  assert_true(Histogram::upper_bound(Histogram::bucket_count - 1) > 17min);
}

void what_is_longer_than_the_last_bound_is_not_made_shorter(void**) {
  Histogram histogram;
  histogram.add(5h);
  histogram.add(Nanoseconds::max());
  assert_int_equal(histogram.count_in(Histogram::bucket_count - 1), 2);
  assert_true(histogram.quantile(0.5) == Nanoseconds::max());
  assert_true(histogram.sum() == Nanoseconds::max());
}

void a_clock_that_went_back_counts_as_no_time(void**) {
  Histogram histogram;
  histogram.add(-5s);
  assert_int_equal(histogram.count_in(0), 1);
  assert_true(histogram.sum() == 0ns);
  assert_true(histogram.quantile(1) == 0ns);
}

// Against the sorted list of the same latencies, which spread over all the buckets.
void a_quantile_is_never_too_low_and_an_eighth_too_high_at_most(void**) {
  const char* const given = std::getenv("BALLAST_SEED");
  const unsigned long seed =
      given != nullptr ? std::strtoul(given, nullptr, 0) : std::random_device{}();
  print_message("seed %lu\n", seed);
  std::mt19937_64 random{seed};
  for (int round = 0; round < 300; ++round) {
    std::uniform_real_distribution<double> exponent{
        10, 10 + 30 * std::generate_canonical<double, 53>(random)};
    Histogram histogram;
    std::vector<Nanoseconds> sorted;
    for (std::uint64_t n = 1 + random() % 400; n > 0; --n) {
      const Nanoseconds latency{1 + static_cast<std::int64_t>(std::exp2(exponent(random)))};
      sorted.push_back(latency);
      histogram.add(latency);
    }
    std::ranges::sort(sorted);
    for (const double fraction : {0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      const auto rank =
          static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(sorted.size())));
      const Nanoseconds exact = sorted[rank - 1];
      const Nanoseconds told = histogram.quantile(fraction);
      if (told < exact || told - exact > exact / 8) {
        print_error("seed %lu round %d: quantile %g of %zu: %lld told, %lld exact\n", seed, round,
                    fraction, sorted.size(), static_cast<long long>(told.count()),
                    static_cast<long long>(exact.count()));
        assert_true(false);
      }
    }
    assert_int_equal(histogram.count(), sorted.size());
    assert_true(histogram.longest() == sorted.back());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_one_has_no_latency),
      cmocka_unit_test(one_latency_is_every_quantile),
      cmocka_unit_test(a_quantile_counts_from_below),
      cmocka_unit_test(each_bucket_ends_where_the_next_begins),
      cmocka_unit_test(bounds_grow_by_an_eighth_at_most),
      cmocka_unit_test(what_is_longer_than_the_last_bound_is_not_made_shorter),
      cmocka_unit_test(a_clock_that_went_back_counts_as_no_time),
      cmocka_unit_test(a_quantile_is_never_too_low_and_an_eighth_too_high_at_most),
  };
  return cmocka_run_group_tests_name("histogram", tests, nullptr, nullptr);
}
