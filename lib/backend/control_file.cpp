// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/control_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "lib/base/assert.h"

namespace ballast::backend {
namespace {

constexpr int interval_ms = 100;
constexpr int settle_ms = 10;

std::string contents(const std::string& path, std::size_t longest) {
  // O_NONBLOCK: opening a named pipe that stands at the path must not block.
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
  if (!file) {
    return {};
  }
  std::string text(longest + 1, '\0');
  std::size_t length = 0;
  while (length < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + length, text.size() - length);
    if (got <= 0) {
      break;
    }
    length += static_cast<std::size_t>(got);
  }
  text.resize(length);
  return text;
}

}  // namespace

ControlFile::ControlFile(std::string path, std::size_t longest,
                         std::function<void(std::string)> changed)
    : path_{std::move(path)}, longest_{longest}, changed_{std::move(changed)} {}

std::string ControlFile::read() {
  BALLAST_ASSERT(!started_);
  last_ = contents(path_, longest_);
  return last_;
}

Result<void> ControlFile::start() {
  BALLAST_ASSERT(!started_);
  stop_ = UniqueFd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  // The thread blocks all signals: the daemon handles them on its own threads.
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const int why = stop_ ? ::pthread_create(&thread_, nullptr, &entry, this) : errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (why != 0) {
    return Error{why, fmt::format("{} cannot be watched: {}", path_, std::strerror(why))};
  }
  started_ = true;
  return {};
}

void ControlFile::request_stop() {
  if (started_) {
    const std::uint64_t one = 1;
    BALLAST_ASSERT(::write(stop_.get(), &one, sizeof one) == sizeof one);
  }
}

void ControlFile::stop() {
  if (started_) {
    request_stop();
    ::pthread_join(thread_, nullptr);
    started_ = false;
  }
}

void* ControlFile::entry(void* self) {
  auto* const file = static_cast<ControlFile*>(self);
  file->watch();
  file->ended_.store(true, std::memory_order_release);
  return nullptr;
}

bool ControlFile::stopping_within(int milliseconds) const {
  pollfd stop{.fd = stop_.get(), .events = POLLIN, .revents = 0};
  return ::poll(&stop, 1, milliseconds) > 0;
}

void ControlFile::watch() {
  while (!stopping_within(interval_ms)) {
    try {
      std::string text = contents(path_, longest_);
      while (text != last_) {
        if (stopping_within(settle_ms)) {
          return;
        }
        std::string again = contents(path_, longest_);
        if (again == text) {
          changed_(again);
          last_ = std::move(again);
        }
        text = contents(path_, longest_);
      }
    } catch (const std::bad_alloc&) {
      continue;  // the next round sees the change again
    }
  }
}

}  // namespace ballast::backend
