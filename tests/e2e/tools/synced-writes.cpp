// SPDX-License-Identifier: Apache-2.0
// Writes to a disk in batches, each of which ends with a flush, and says what must be there after
// how many of them. The seed decides what a batch writes, so nothing has to be remembered.
//
//   synced-writes write DISK SEED BATCHES COMMAND
//   synced-writes check FILE SEED BATCH
//
// "write": four threads write a batch, or zero parts of it, then fsync(2). Then the shell carries
// out COMMAND with the batch's number behind it; batches count from 1. "check": FILE has all that
// the batches up to BATCH wrote; of the batch behind it each 4 KiB may be there or not; nothing
// else.
//
// Exit: 0 all is right; 1 a difference, printed on standard output; 2 it could not be tried.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kBlock = 4096;
constexpr std::size_t kBlocks = 4096;  // that are written at all: 16 MiB
constexpr std::size_t kLongest = 16;   // blocks in one write

[[noreturn]] void cannot(const std::string& what) {
  std::printf("cannot try: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(2);
}

struct Extent {
  std::size_t first = 0;
  std::size_t count = 0;
  std::uint64_t content = 0;  // the batch, or 0 for zeros
};

// No two extents of a batch overlap.
std::vector<Extent> batch(std::uint64_t seed, std::uint64_t number) {
  std::mt19937_64 random{seed * 1'000'003 + number};
  std::vector<bool> taken(kBlocks);
  std::vector<Extent> extents;
  for (std::size_t left = 8 + random() % 32; left > 0; --left) {
    Extent one;
    one.count = 1 + random() % kLongest;
    one.first = random() % (kBlocks - one.count);
    one.content = random() % 8 == 0 ? 0 : number;
    bool is_free = true;
    for (std::size_t i = 0; i < one.count; ++i)
      is_free = is_free && !taken[one.first + i];
    if (!is_free)
      continue;
    for (std::size_t i = 0; i < one.count; ++i)
      taken[one.first + i] = true;
    extents.push_back(one);
  }
  return extents;
}

void fill(std::uint8_t* block, std::size_t number, std::uint64_t content) {
  for (std::size_t at = 0; at < kBlock; at += 16) {
    const std::uint64_t words[2] = {content == 0 ? 0 : number + 1, content};
    std::memcpy(block + at, words, sizeof words);
  }
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<std::uint8_t, Free>;

Memory allocate(std::size_t bytes) {
  return Memory{static_cast<std::uint8_t*>(std::aligned_alloc(kBlock, bytes))};
}

void write_extent(int disk, const Extent& extent, std::uint8_t* buffer) {
  const std::size_t length = extent.count * kBlock;
  const auto offset = static_cast<off_t>(extent.first * kBlock);
  if (extent.content == 0) {
    std::uint64_t range[2] = {extent.first * kBlock, length};
    if (::ioctl(disk, BLKZEROOUT, range) != 0)
      cannot("zero blocks");
    return;
  }
  for (std::size_t i = 0; i < extent.count; ++i)
    fill(buffer + i * kBlock, extent.first + i, extent.content);
  if (::pwrite(disk, buffer, length, offset) != static_cast<ssize_t>(length))
    cannot("write");
}

int write_batches(const char* path, std::uint64_t seed, std::uint64_t batches,
                  const std::string& command) {
  const int disk = ::open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
  if (disk < 0)
    cannot(std::string{"open "} + path);
  for (std::uint64_t number = 1; number <= batches; ++number) {
    const std::vector<Extent> extents = batch(seed, number);
    std::atomic<std::size_t> next{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        const Memory buffer = allocate(kLongest * kBlock);
        for (std::size_t mine = next++; mine < extents.size(); mine = next++)
          write_extent(disk, extents[mine], buffer.get());
      });
    }
    for (std::thread& thread : threads)
      thread.join();
    if (::fsync(disk) != 0)
      cannot("flush");
    if (std::system((command + " " + std::to_string(number)).c_str()) != 0)
      cannot("run " + command);
  }
  return 0;
}

int check(const char* path, std::uint64_t seed, std::uint64_t last) {
  std::vector<std::uint64_t> sure(kBlocks);
  for (std::uint64_t number = 1; number <= last; ++number)
    for (const Extent& extent : batch(seed, number))
      for (std::size_t i = 0; i < extent.count; ++i)
        sure[extent.first + i] = extent.content;
  std::vector<std::uint64_t> possible = sure;
  for (const Extent& extent : batch(seed, last + 1))
    for (std::size_t i = 0; i < extent.count; ++i)
      possible[extent.first + i] = extent.content;

  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  const Memory data = allocate(kBlocks * kBlock);
  if (file < 0 || ::pread(file, data.get(), kBlocks * kBlock, 0) != kBlocks * kBlock)
    cannot(std::string{"read "} + path);
  int wrong = 0;
  std::uint8_t whole[kBlock];
  for (std::size_t number = 0; number < kBlocks; ++number) {
    const std::uint8_t* const block = data.get() + number * kBlock;
    std::uint64_t content = 0;
    std::memcpy(&content, block + 8, sizeof content);
    fill(whole, number, content);
    const bool is_torn = std::memcmp(whole, block, kBlock) != 0;
    if (is_torn || (content != sure[number] && content != possible[number])) {
      if (++wrong <= 5)
        std::printf("block %zu %s batch %llu, and must have %llu or %llu\n", number,
                    is_torn ? "is torn, and begins with" : "has",
                    static_cast<unsigned long long>(content),
                    static_cast<unsigned long long>(sure[number]),
                    static_cast<unsigned long long>(possible[number]));
    }
  }
  return wrong == 0 ? 0 : 1;
}

std::uint64_t number(const char* text) {
  return std::strtoull(text, nullptr, 0);
}

}  // namespace

int main(int count, char** words) {
  const std::string verb = count > 1 ? words[1] : "";
  if (verb == "write" && count == 6)
    return write_batches(words[2], number(words[3]), number(words[4]), words[5]);
  if (verb == "check" && count == 5)
    return check(words[2], number(words[3]), number(words[4]));
  std::printf("usage: synced-writes write DISK SEED BATCHES COMMAND | check FILE SEED BATCH\n");
  return 2;
}
