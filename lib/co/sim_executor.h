// SPDX-License-Identifier: Apache-2.0
// The simulated driver. It drives the same Executor, and the same code above it, on a clock that
// moves only when nothing is left to do. It chooses at random which of the ready coroutines runs
// next.
//
// A run depends only on its seed and on the test: the same seed gives the same order and the same
// times. So a failing seed fails again. One thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/co/executor.h"

namespace ballast::co {

// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). We have
// our own, because the standard library's distributions differ between implementations.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_{seed} {}
  std::uint64_t next();
  // In [0, bound), bound > 0. The bias of the remainder is below bound / 2^64.
  std::uint64_t below(std::uint64_t bound) {
    BALLAST_ASSERT(bound > 0);
    return next() % bound;
  }
  // True `numerator` times out of `denominator`.
  bool chance(std::uint64_t numerator, std::uint64_t denominator) {
    return below(denominator) < numerator;
  }

 private:
  std::uint64_t state_;
};

// Returns the seed for a random test: BALLAST_SEED from the environment, or else `usual`, or else
// one from the system. Prints it to standard error, so that a failure names it.
std::uint64_t seed_from_environment(const char* test_name, std::optional<std::uint64_t> usual = {});
// Returns how long a random test goes on: SIM_SECONDS from the environment, or `usual`.
std::chrono::seconds time_from_environment(std::chrono::seconds usual);

class SeededOrder final : public ReadyOrder {
 public:
  explicit SeededOrder(std::uint64_t seed) : random_{seed} {}
  std::size_t pick(std::size_t ready_count) override {
    return static_cast<std::size_t>(random_.below(ready_count));
  }

 private:
  Random random_;
};

class SimExecutor {
 public:
  explicit SimExecutor(std::uint64_t seed, const char* name = "simulated");
  ~SimExecutor() { executor_.set_ready_order(nullptr); }
  SimExecutor(const SimExecutor&) = delete;
  SimExecutor& operator=(const SimExecutor&) = delete;

  Executor& executor() { return executor_; }
  VirtualClock& clock() { return clock_; }
  TimePoint now() const { return clock_.now(); }

  // Ticks until nothing is ready; time stands still. This and the functions below run at least one
  // tick, so that tick hooks see the work queued outside. They assert that no more than max_ticks
  // pass: a test that needs more is in an endless loop.
  void run_ready();
  // Moves the clock to the next timer, fires it and runs the coroutines that it made ready. Returns
  // false, and does nothing, if no timer is armed.
  bool advance();
  // Runs until nothing is ready and no timer is armed. A task that still lives waits for something
  // that will not come.
  void run_until_idle();
  // Runs everything due up to and including `at`; the clock then shows `at`.
  void run_until(TimePoint at);
  void run_for(Nanoseconds time) { run_until(now() + time); }

  static constexpr std::uint64_t max_ticks = 10'000'000;

 private:
  VirtualClock clock_;
  SeededOrder order_;
  Executor executor_;
};

}  // namespace ballast::co
