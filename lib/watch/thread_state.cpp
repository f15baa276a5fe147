// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/thread_state.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "lib/base/unique_fd.h"

namespace ballast::watch {
namespace {

constexpr const char* all_threads = "/proc/self/task";

// The file's text, as far as one read(2) gives it; empty if it cannot be read.
std::string text_of(pid_t thread, const char* file) {
  const std::string path = fmt::format("{}/{}/{}", all_threads, thread, file);
  const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (fd.get() < 0) {
    return {};
  }
  char text[4096];
  const ssize_t got = ::read(fd.get(), text, sizeof text);
  return got > 0 ? std::string(text, static_cast<std::size_t>(got)) : std::string{};
}

// What stands behind "key:" in /proc/…/status, without blanks in front.
std::string_view value_of(std::string_view status, std::string_view key) {
  const std::size_t at = status.find(key);
  if (at == std::string_view::npos) {
    return {};
  }
  status.remove_prefix(at + key.size());
  status = status.substr(0, status.find('\n'));
  status.remove_prefix(std::min(status.find_first_not_of(" \t"), status.size()));
  return status;
}

std::uint64_t number_of(std::string_view status, std::string_view key) {
  const std::string_view digits = value_of(status, key);
  std::uint64_t number = 0;
  (void)std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

std::string without_newline(std::string text) {
  text.resize(std::min(text.find('\n'), text.size()));
  return text;
}

// "[<0>] io_schedule+0x12/0x40\n[<0>] …" becomes "io_schedule < …".
std::string functions_of(std::string_view stack) {
  std::string functions;
  while (!stack.empty()) {
    std::string_view line = stack.substr(0, stack.find('\n'));
    stack.remove_prefix(std::min(line.size() + 1, stack.size()));
    line.remove_prefix(std::min(line.find("] ") + 2, line.size()));
    line = line.substr(0, line.find('+'));
    if (!line.empty()) {
      functions += functions.empty() ? "" : " < ";
      functions += line;
    }
  }
  return functions;
}

}  // namespace

std::optional<ThreadState> thread_state(pid_t thread) {
  const std::string status = text_of(thread, "status");
  const std::string_view state = value_of(status, "\nState:");
  if (state.empty()) {
    return std::nullopt;
  }
  return ThreadState{.name = std::string{value_of(status, "Name:")},
                     .state = state.front(),
                     .switches = number_of(status, "\nvoluntary_ctxt_switches:") +
                                 number_of(status, "\nnonvoluntary_ctxt_switches:")};
}

std::string kernel_place(pid_t thread) {
  std::string place;
  const auto add = [&place](std::string_view what, const std::string& text) {
    if (!text.empty()) {
      place += fmt::format("{}{} {}", place.empty() ? "" : "; ", what, text);
    }
  };
  const std::string function = without_newline(text_of(thread, "wchan"));
  add("in", function == "0" ? "" : function);
  add("system call", without_newline(text_of(thread, "syscall")));
  add("kernel stack", functions_of(text_of(thread, "stack")));
  return place;
}

pid_t UnkillableThreads::look() {
  struct Close {
    void operator()(DIR* folder) const noexcept { (void)::closedir(folder); }
  };
  const std::unique_ptr<DIR, Close> folder{::opendir(all_threads)};
  std::map<pid_t, std::uint64_t> now;
  pid_t found = 0;
  while (const dirent* const entry = folder ? ::readdir(folder.get()) : nullptr) {
    const auto thread = static_cast<pid_t>(std::atoi(entry->d_name));
    const std::optional<ThreadState> state = thread > 0 ? thread_state(thread) : std::nullopt;
    if (!state.has_value() || state->state != 'D') {
      continue;
    }
    now[thread] = state->switches;
    const auto before = seen_.has_value() ? seen_->find(thread) : now.end();
    if (!seen_.has_value() || (before != seen_->end() && before->second == state->switches)) {
      found = thread;
    }
  }
  seen_ = std::move(now);
  return found;
}

}  // namespace ballast::watch
