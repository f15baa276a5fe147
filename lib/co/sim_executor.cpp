// SPDX-License-Identifier: Apache-2.0
#include "lib/co/sim_executor.h"

#include <cstdio>
#include <cstdlib>
#include <random>

namespace ballast::co {

std::uint64_t Random::next() {
  state_ += 0x9e3779b97f4a7c15U;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

std::uint64_t seed_from_environment(const char* test_name, std::optional<std::uint64_t> usual) {
  const char* const given = std::getenv("BALLAST_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 0)
                             : usual          ? *usual
                                              : std::random_device{}();
  std::fprintf(stderr, "%s: BALLAST_SEED=%llu\n", test_name, static_cast<unsigned long long>(seed));
  return seed;
}

std::chrono::seconds time_from_environment(std::chrono::seconds usual) {
  const char* const given = std::getenv("SIM_SECONDS");
  return given == nullptr ? usual : std::chrono::seconds{std::strtoll(given, nullptr, 0)};
}

SimExecutor::SimExecutor(std::uint64_t seed, const char* name)
    : order_{seed}, executor_{name, clock_} {
  executor_.set_ready_order(&order_);
}

void SimExecutor::run_ready() {
  std::uint64_t ticks = 0;
  do {
    (void)executor_.tick();
    BALLAST_ASSERT(++ticks <= max_ticks);
  } while (!executor_.idle());
}

bool SimExecutor::advance() {
  const TimePoint next = executor_.next_timer();
  if (next == Timers::never) {
    return false;
  }
  if (next > clock_.now()) {
    clock_.advance_to(next);
  }
  run_ready();
  return true;
}

void SimExecutor::run_until_idle() {
  std::uint64_t steps = 0;
  run_ready();
  while (advance()) {
    BALLAST_ASSERT(++steps <= max_ticks);
  }
}

void SimExecutor::run_until(TimePoint at) {
  std::uint64_t steps = 0;
  run_ready();
  while (executor_.next_timer() <= at) {
    BALLAST_ASSERT(++steps <= max_ticks);
    (void)advance();
  }
  clock_.advance_to(at);
  run_ready();
}

}  // namespace ballast::co
