// SPDX-License-Identifier: Apache-2.0
// Shared by the tests of lib/io: a clock, an executor, a ring, files.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "lib/base/assert.h"
#include "lib/co/task.h"
#include "lib/co/task_group.h"
#include "lib/io/uring.h"

namespace ballast::test {

// Random numbers. BALLAST_SEED repeats a run.
inline std::uint64_t seed() {
  static const std::uint64_t value = [] {
    const char* const given = std::getenv("BALLAST_SEED");
    const std::uint64_t chosen =
        given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
    std::printf("BALLAST_SEED=%llu\n", static_cast<unsigned long long>(chosen));
    std::fflush(stdout);
    return chosen;
  }();
  return value;
}

class Fd {
 public:
  explicit Fd(int fd) : fd_{fd} { BALLAST_ASSERT(fd >= 0); }
  ~Fd() { ::close(fd_); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  io::UringFile file() const { return io::UringFile{fd_, -1}; }

 private:
  int fd_;
};

inline int memory_file(std::size_t size) {
  const int fd = ::memfd_create("test", MFD_CLOEXEC);
  BALLAST_ASSERT(fd >= 0 && ::ftruncate(fd, static_cast<off_t>(size)) == 0);
  return fd;
}

struct Pipe {
  Pipe() {
    int fds[2];
    BALLAST_ASSERT(::pipe2(fds, O_CLOEXEC) == 0);
    out = fds[0];
    in = fds[1];
  }
  ~Pipe() {
    ::close(out);
    ::close(in);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void put(const char* text, std::size_t length) const {
    BALLAST_ASSERT(::write(in, text, length) == static_cast<ssize_t>(length));
  }
  io::UringFile file() const { return io::UringFile{out, -1}; }
  int out;
  int in;
};

inline std::vector<std::byte> random_bytes(std::size_t size, std::uint64_t with = 1) {
  std::mt19937_64 random{with};
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) {
    byte = static_cast<std::byte>(random());
  }
  return bytes;
}

// An executor with a ring, driven by the test itself.
struct Bench {
  explicit Bench(io::UringOptions options = {})
      : ring{std::move(io::Uring::open(executor, options)).value()} {}

  // Runs until all tasks have ended.
  void run() {
    while (group.live() > 0) {
      turn();
    }
  }
  // One tick; sleeps first if there is nothing to do.
  void turn() {
    if (executor.idle() && !ring->completions_waiting() && ring->queued() == 0) {
      pollfd fd{.fd = ring->fd(), .events = POLLIN, .revents = 0};
      (void)::poll(&fd, 1, 1000);
    }
    step();
  }
  void step() {
    (void)ring->reap();
    (void)executor.tick();
  }

  co::SteadyClock clock;
  co::Executor executor{"test", clock};
  co::TaskGroup group{executor};
  std::unique_ptr<io::Uring> ring;
};

}  // namespace ballast::test
