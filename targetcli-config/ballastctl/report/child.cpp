// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

#include "lib/base/unique_fd.h"
#include "targetcli-config/ballastctl/report/report.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl::report {
namespace {

using Clock = std::chrono::steady_clock;

// One of the streams that a child writes to.
struct Stream {
  UniqueFd from;
  std::string text;
  std::size_t most;
  bool keep_last;
  bool is_cut = false;

  // Returns false at the end of the stream.
  bool take() {
    std::array<char, 65536> buffer;
    const ssize_t count = ::read(from.get(), buffer.data(), buffer.size());
    if (count <= 0) {
      return count < 0 && errno == EINTR;
    }
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > most && keep_last) {
      text.erase(0, text.find('\n', text.size() - most) + 1);
      is_cut = true;
    } else if (text.size() > most) {
      text.resize(most);
      is_cut = true;
    }
    return true;
  }
};

// Reads until both have ended. Returns false if `deadline` comes first.
bool take_all(Stream& out, Stream& err, Clock::time_point deadline) {
  std::array<pollfd, 2> polled{{{out.from.get(), POLLIN, 0}, {err.from.get(), POLLIN, 0}}};
  const std::array streams{&out, &err};
  while (polled[0].fd >= 0 || polled[1].fd >= 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      return false;
    }
    (void)::poll(polled.data(), polled.size(), static_cast<int>(left));
    for (std::size_t i = 0; i < polled.size(); ++i) {
      if (polled[i].revents != 0 && !streams[i]->take()) {
        polled[i].fd = -1;
      }
    }
  }
  return true;
}

// The status of waitpid(2), or nothing if the child has not ended by then.
std::optional<int> end_of(GPid child, Clock::time_point deadline) {
  int status = 0;
  for (;;) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR)) {
      return status;
    }
    if (Clock::now() >= deadline) {
      return std::nullopt;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
}

std::string first_line(const std::string& text) {
  return printable(std::string_view{text}.substr(0, std::min(text.find('\n'), std::size_t{300})));
}

}  // namespace

Output run_bounded(const std::vector<std::string>& program, Nanoseconds patience, std::size_t most,
                   bool keep_last) {
  std::vector<std::string> owned = program;
  if (owned.front() == "ballastctl") {
    owned.front() = "/proc/self/exe";
  }
  std::vector<char*> words;
  for (std::string& word : owned) {
    words.push_back(word.data());
  }
  words.push_back(nullptr);
  GPid child = 0;
  gint out_fd = -1;
  gint err_fd = -1;
  g_autoptr(GError) error = nullptr;
  constexpr int flags = G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD;
  if (g_spawn_async_with_pipes(nullptr, words.data(), nullptr, static_cast<GSpawnFlags>(flags),
                               nullptr, nullptr, &child, nullptr, &out_fd, &err_fd,
                               &error) == FALSE) {
    return {"", error->message};
  }
  constexpr std::size_t most_said = 4096;
  Stream out{UniqueFd{out_fd}, "", most, keep_last};
  Stream err{UniqueFd{err_fd}, "", most_said, false};
  const Clock::time_point deadline = Clock::now() + patience;
  const bool all = take_all(out, err, deadline);
  std::optional<int> status = all ? end_of(child, deadline) : std::nullopt;
  Output output{std::move(out.text), ""};
  if (!status) {
    ::kill(child, SIGKILL);
    // One that sleeps in the kernel stays until that lets it go; init reaps it then.
    (void)end_of(child, Clock::now() + std::chrono::milliseconds{200});
    output.problem = fmt::format("not done within {}",
                                 duration_text(static_cast<std::uint64_t>(patience.count())));
  } else if (!WIFEXITED(*status) || WEXITSTATUS(*status) != 0) {
    output.problem = WIFEXITED(*status) ? fmt::format("exit status {}", WEXITSTATUS(*status))
                                        : fmt::format("ended by signal {}", WTERMSIG(*status));
    if (!err.text.empty()) {
      output.problem += ": " + first_line(err.text);
    }
  }
  if (out.is_cut) {
    output.problem +=
        fmt::format("{}cut to {}", output.problem.empty() ? "" : "; ", bytes_text(most));
  }
  return output;
}

}  // namespace ballast::ctl::report
