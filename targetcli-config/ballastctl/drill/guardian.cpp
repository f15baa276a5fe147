// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/drill/guardian.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "targetcli-config/ballastctl/drill/rig.h"

namespace ballast::ctl::drill {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

// How long a drill may take for what is no freeze: to make everything, or to end.
constexpr Nanoseconds most_between = 5min;
// How much later than the drill the guardian thaws.
constexpr Nanoseconds grace = 10s;

// Returns when the pipe closes, or when the drill has hung for too long.
void wait_for_the_end(const Files& files, int alive, Nanoseconds freeze) {
  Clock::time_point end = Clock::now() + most_between;
  bool may_be_frozen = false;
  for (;;) {
    pollfd polled{alive, POLLIN, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    const int ready = left <= 0 ? 0 : ::poll(&polled, 1, static_cast<int>(left));
    if (ready == 0) {
      if (!may_be_frozen) {
        return;
      }
      (void)thaw(files);  // again at the end, which says what went wrong
      may_be_frozen = false;
      end = Clock::now() + most_between;
      continue;
    }
    char word = 0;
    if (ready > 0 && ::read(alive, &word, 1) <= 0) {
      return;
    }
    if (ready > 0) {
      may_be_frozen = true;
      end = Clock::now() + freeze + grace;
    }
  }
}

// A program that the drill has started may outlive it, and make something when all seems removed:
// so it looks once more a second later.
std::vector<std::string> remove_for_good(const Files& files) {
  constexpr int most_rounds = 5;
  std::vector<std::string> problems;
  for (int round = 0; round < most_rounds; ++round) {
    problems = remove_all(files);
    std::this_thread::sleep_for(1s);
    if (leftovers(files).empty()) {
      return {};
    }
  }
  return problems.empty() ? leftovers(files) : problems;
}

[[noreturn]] void guard(const Files& files, UniqueFd alive, UniqueFd said, Nanoseconds freeze) {
  ::setsid();
  for (const int ignored : {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGPIPE}) {
    ::signal(ignored, SIG_IGN);
  }
  ::prctl(PR_SET_NAME, "drill-guard");
  (void)files.write_value("/proc/self/oom_score_adj", "-1000");
  // Whoever reads the drill's output must not wait for the guardian.
  if (const UniqueFd nothing{::open("/dev/null", O_RDWR | O_CLOEXEC)}; nothing) {
    ::dup2(nothing.get(), STDIN_FILENO);
    ::dup2(nothing.get(), STDOUT_FILENO);
    ::dup2(nothing.get(), STDERR_FILENO);
  }
  wait_for_the_end(files, alive.get(), freeze);
  for (const std::string& problem : remove_for_good(files)) {
    const std::string line = problem + "\n";
    (void)!::write(said.get(), line.data(), line.size());
  }
  ::_exit(0);
}

}  // namespace

Result<Guardian> Guardian::post(const Files& files, Nanoseconds freeze) {
  std::array<int, 2> alive{}, said{};
  if (::pipe2(alive.data(), O_CLOEXEC) != 0) {
    return Error{errno, fmt::format("no pipe can be made: {}", std::strerror(errno))};
  }
  UniqueFd alive_read{alive[0]}, alive_write{alive[1]};
  if (::pipe2(said.data(), O_CLOEXEC) != 0) {
    return Error{errno, fmt::format("no pipe can be made: {}", std::strerror(errno))};
  }
  UniqueFd said_read{said[0]}, said_write{said[1]};
  const pid_t child = ::fork();
  if (child < 0) {
    return Error{errno, fmt::format("the guardian cannot be forked: {}", std::strerror(errno))};
  }
  if (child == 0) {
    alive_write.reset();
    said_read.reset();
    guard(files, std::move(alive_read), std::move(said_write), freeze);
  }
  return Guardian{child, std::move(alive_write), std::move(said_read)};
}

Result<void> Guardian::watch_the_freeze() {
  if (::write(alive_.get(), "f", 1) != 1) {
    return Error{errno, "the drill's guardian has ended: nothing is frozen"};
  }
  return {};
}

std::vector<std::string> Guardian::dismiss() {
  alive_.reset();
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t count = ::read(said_.get(), buffer.data(), buffer.size());
    if (count == 0 || (count < 0 && errno != EINTR)) {
      break;
    }
    text.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  }
  while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
  }
  std::vector<std::string> problems;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    problems.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return problems;
}

}  // namespace ballast::ctl::drill
