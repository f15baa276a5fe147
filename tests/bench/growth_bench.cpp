// SPDX-License-Identifier: Apache-2.0
// Measures how the cost of a fence and of a timer grows with the number of others. It prints the
// nanoseconds to make one and remove it again, at random places, for several numbers of others that
// are there. Each result is the median of many rounds, in which the numbers alternate.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "lib/co/executor.h"
#include "lib/volume/fences.h"

using namespace ballast;
using volume::Fences;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::array<std::size_t, 5> sizes{1, 10, 100, 1000, 10000};
constexpr int rounds = 31;
constexpr int operations = 2000;  // in a round
constexpr std::uint64_t places = 1U << 26;

using Times = std::map<std::size_t, std::vector<double>>;

template <class Operation>
double nanoseconds_of(Operation operation) {
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < operations; ++i) {
    operation();
  }
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count() / operations;
}

double fence(std::size_t size, std::minstd_rand& random) {
  Fences fences;
  std::vector<std::unique_ptr<Fences::Hold>> others;
  for (std::size_t i = 0; i < size; ++i) {
    others.push_back(std::make_unique<Fences::Hold>(fences, Lba{random() % places * 8},
                                                    BlockCount{8}, Fences::Kind::change));
  }
  const double took = nanoseconds_of([&] {
    const Fences::Hold hold{fences, Lba{random() % places * 8}, BlockCount{8},
                            Fences::Kind::change};
  });
  return took;
}

double timer(std::size_t size, std::minstd_rand& random) {
  const co::SteadyClock clock;
  co::Executor executor{"bench", clock};
  const auto later = [&] { return TimePoint{std::chrono::hours{1 << 20} + Nanoseconds{random()}}; };
  std::vector<std::unique_ptr<co::Timer>> others;
  for (std::size_t i = 0; i < size; ++i) {
    others.push_back(std::make_unique<co::Timer>(executor.timers()));
    others.back()->arm(later(), co::Waker{});
  }
  const double took = nanoseconds_of([&] {
    co::Timer one{executor.timers()};
    one.arm(later(), co::Waker{});
  });
  others.clear();
  return took;
}

void print(const char* name, Times& times) {
  std::printf("| %s |", name);
  for (const std::size_t size : sizes) {
    std::vector<double>& all = times[size];
    std::nth_element(all.begin(), all.begin() + rounds / 2, all.end());
    std::printf(" %.0f |", all[rounds / 2]);
  }
  std::printf("\n");
}

}  // namespace

int main() {
  std::minstd_rand random{1};
  Times fences;
  Times timers;
  for (int round = 0; round < rounds; ++round) {
    for (const std::size_t size : sizes) {
      fences[size].push_back(fence(size, random));
      timers[size].push_back(timer(size, random));
    }
  }
  std::printf("\nns to make one and take it away, beside so many others\n\n| |");
  for (const std::size_t size : sizes) {
    std::printf(" %zu |", size);
  }
  std::printf("\n| --- | ---: | ---: | ---: | ---: | ---: |\n");
  print("fence", fences);
  print("timer", timers);
  return 0;
}
