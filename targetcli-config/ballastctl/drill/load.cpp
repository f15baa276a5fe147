// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/drill/load.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "lib/base/crc32c.h"

namespace ballast::ctl::drill {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t workers = 8;
constexpr Nanoseconds pause = 50ms;                  // of each, between two operations
constexpr std::uint64_t magic = 0x42414c4452494c4c;  // "BALDRILL"

struct Head {
  std::uint64_t magic, number, writing;
};
constexpr std::size_t sum_at = load_block - sizeof(std::uint32_t);

void raise(std::atomic<std::uint64_t>& most, std::uint64_t to) {
  most.store(std::max(most.load(), to));  // one process writes it
}

}  // namespace

struct Load::Worker {
  std::atomic<std::uint64_t> writes, reads, errors, wrong, first_error, longest_ns;
  std::atomic<std::uint64_t> ended;  // operations, well or not
};

struct Load::Shared {
  std::array<Worker, workers> of;
  std::atomic<bool> finish;
};

void stamp(std::span<std::byte> block, std::uint64_t number, std::uint64_t writing) {
  const Head head{magic, number, writing};
  std::ranges::fill(block, std::byte{});
  std::memcpy(block.data(), &head, sizeof(head));
  std::uint64_t filling = number * 0x9e3779b97f4a7c15 + writing + 1;
  for (std::size_t at = sizeof(head); at + sizeof(filling) <= sum_at; at += sizeof(filling)) {
    filling ^= filling << 13;
    filling ^= filling >> 7;
    filling ^= filling << 17;
    std::memcpy(block.data() + at, &filling, sizeof(filling));
  }
  const std::uint32_t sum = crc32c(block.first(sum_at));
  std::memcpy(block.data() + sum_at, &sum, sizeof(sum));
}

bool has_stamp(std::span<const std::byte> block, std::uint64_t number, std::uint64_t writing) {
  Head head{};
  std::uint32_t sum = 0;
  std::memcpy(&head, block.data(), sizeof(head));
  std::memcpy(&sum, block.data() + sum_at, sizeof(sum));
  return head.magic == magic && head.number == number && head.writing == writing &&
         sum == crc32c(block.first(sum_at));
}

void Load::Unmap::operator()(Shared* shared) const noexcept {
  ::munmap(shared, sizeof(Shared));
}

// One process. Its blocks are those whose number leaves `index` when divided by `workers`.
void Load::work(Shared& shared, std::size_t index, const char* disk, std::uint64_t blocks) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NAME, "drill-load");
  // Above all the guardian's pipe: a process that waits for the frozen disk must not keep it open.
  ::close_range(STDERR_FILENO + 1, ~0U, 0);
  Worker& mine = shared.of.at(index);
  const auto failed = [&](int reason) {
    if (mine.errors++ == 0) {
      mine.first_error = static_cast<std::uint64_t>(reason);
    }
  };
  const int file = ::open(disk, O_RDWR | O_DIRECT | O_CLOEXEC);
  auto* const memory = static_cast<std::byte*>(std::aligned_alloc(load_block, load_block));
  if (file < 0 || memory == nullptr) {
    failed(errno);
    ::_exit(1);
  }
  const std::span<std::byte> block{memory, load_block};
  const std::uint64_t own = std::min<std::uint64_t>(blocks / workers, 4096);
  std::vector<std::uint64_t> writings(own);  // 0: not known, because a write has failed
  const auto timed = [&](auto operation, std::uint64_t number, std::atomic<std::uint64_t>& good) {
    const Clock::time_point begin = Clock::now();
    const auto offset = static_cast<off_t>((number * workers + index) * load_block);
    const bool done =
        operation(file, memory, load_block, offset) == static_cast<ssize_t>(load_block);
    const int reason = errno;
    raise(mine.longest_ns, static_cast<std::uint64_t>((Clock::now() - begin) / 1ns));
    if (done) {
      ++good;
    } else {
      failed(reason);
    }
    ++mine.ended;
    return done;
  };
  const auto check = [&](std::uint64_t number) {
    if (writings[number] != 0 && timed(::pread, number, mine.reads) &&
        !has_stamp(block, number, writings[number])) {
      ++mine.wrong;
    }
  };
  std::uint64_t round = 0;
  for (; !shared.finish; ++round) {
    const std::uint64_t number = round % own;
    stamp(block, number, round + 1);
    writings[number] = timed(::pwrite, number, mine.writes) ? round + 1 : 0;
    std::this_thread::sleep_for(pause);
    check(round % 2 == 0 ? number : (round * 7919) % std::min(round + 1, own));
    std::this_thread::sleep_for(pause);
  }
  for (std::uint64_t number = 0; number < std::min(round, own); ++number) {
    check(number);
  }
  ::_exit(0);
}

Result<Load> Load::start(const std::string& disk, Bytes size) {
  void* const memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return Error{errno, fmt::format("no memory for the load: {}", std::strerror(errno))};
  }
  Load load{std::unique_ptr<Shared, Unmap>{new (memory) Shared{}}};
  const std::uint64_t blocks = size.value() / load_block;
  for (std::size_t i = 0; i < workers; ++i) {
    const pid_t child = ::fork();
    if (child < 0) {
      return Error{errno, fmt::format("the load cannot be forked: {}", std::strerror(errno))};
    }
    if (child == 0) {
      work(*load.shared_, i, disk.c_str(), blocks);
    }
    load.running_.push_back(child);
  }
  load.mark();
  return load;
}

Load::~Load() {
  for (const pid_t child : running_) {
    ::kill(child, SIGKILL);
    (void)::waitpid(child, nullptr, WNOHANG);
  }
}

LoadSeen Load::seen() const {
  LoadSeen all;
  for (const Worker& each : shared_->of) {
    all.writes += each.writes;
    all.reads += each.reads;
    all.errors += each.errors;
    all.wrong_blocks += each.wrong;
    all.first_error = all.first_error != 0 ? all.first_error : static_cast<int>(each.first_error);
    all.longest = std::max(all.longest, Nanoseconds{each.longest_ns});
  }
  return all;
}

void Load::mark() {
  marks_.clear();
  for (const Worker& each : shared_->of) {
    marks_.push_back(each.ended);
  }
}

std::size_t Load::behind() const {
  std::size_t count = 0;
  for (std::size_t i = 0; i < marks_.size(); ++i) {
    count += shared_->of.at(i).ended == marks_[i] ? 1U : 0U;
  }
  return count;
}

bool Load::finish(Nanoseconds patience) {
  shared_->finish = true;
  const Clock::time_point end = Clock::now() + patience;
  while (!running_.empty() && Clock::now() < end) {
    std::erase_if(running_,
                  [](pid_t child) { return ::waitpid(child, nullptr, WNOHANG) == child; });
    std::this_thread::sleep_for(20ms);
  }
  return running_.empty();
}

}  // namespace ballast::ctl::drill
