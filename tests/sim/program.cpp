// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/program.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "lib/base/log.h"
#include "tests/sim/shrink.h"

namespace ballast::sim {
namespace {

std::atomic<std::uint64_t> seed_of_run{0};

void write_out(std::string_view text) {
  const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
  static_cast<void>(written);
}

// In a signal handler: nothing that allocates.
extern "C" void say_seed(int signal) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), seed_of_run.load());
  write_out("the run that aborted: BALLAST_SEED=");
  write_out({digits.data(), static_cast<std::size_t>(end.ptr - digits.data())});
  write_out("\n");
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void to_nowhere(LogLevel, std::string_view) {}

void tell(const RunResult& result) {
  for (const std::string& complaint : result.complaints) {
    std::fprintf(stderr, "  %s\n", complaint.c_str());
  }
}

}  // namespace

void prepare_program() {
  std::signal(SIGABRT, say_seed);
  if (!trace_wanted()) {
    set_log_sink(to_nowhere);
  }
}

bool trace_wanted() {
  return std::getenv("SIM_TRACE") != nullptr;
}

RunResult run_quietly(const RunOptions& options) {
  seed_of_run = options.seed;
  RunOptions traced = options;
  traced.trace = trace_wanted();
  return run(traced);
}

RunResult run_and_tell(const RunOptions& options) {
  const char* const given = std::getenv("SIM_BOUNDS");
  RunOptions bounded = options;
  bounded.bounds = given != nullptr ? bounds_from(given) : options.bounds;
  RunResult result = run_quietly(bounded);
  if (result.complaints.empty()) {
    return result;
  }
  const auto seed = static_cast<unsigned long long>(options.seed);
  std::fprintf(stderr, "failed with BALLAST_SEED=%llu\n", seed);
  tell(result);
  if (given == nullptr) {
    bounded.bounds = shrink(options, result);
    std::fprintf(stderr, "a smaller one: BALLAST_SEED=%llu SIM_BOUNDS=%s\n", seed,
                 to_string(bounded.bounds).c_str());
    bounded.trace = true;
    (void)run(bounded);
  }
  return result;
}

}  // namespace ballast::sim
