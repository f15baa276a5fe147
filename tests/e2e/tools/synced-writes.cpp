// SPDX-License-Identifier: Apache-2.0
// Writes to a SCSI disk in batches, and says what must be there after how many of them. The seed
// decides what a batch writes, so nothing has to be remembered.
//
//   synced-writes write DISK SEED WAYS BATCHES COMMAND
//   synced-writes check FILE SEED WAYS BATCH
//
// "write": four threads write a batch, or zero parts of it, some of the writes with FUA. When all
// are answered, the shell carries out COMMAND with the batch's number behind it; batches count from
// 1. WAYS has a letter for each batch, and the last letter is also for all behind it:
//   s  synced: fsync(2) before COMMAND, which sends SYNCHRONIZE CACHE
//   u  unsynced
//   t  through: COMMAND has switched the disk's cache off before
// "check": FILE has all of the batches up to BATCH that was synced, or written with FUA or through
// the cache, or what was written over it. What was not synced may be there or not, as all of the
// batch behind BATCH. Nothing else is there.
//
// Exit: 0 all is right; 1 a difference, printed on standard output; 2 it could not be tried.
#include <fcntl.h>
#include <linux/fs.h>
#include <scsi/sg.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
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
constexpr std::size_t kBlocks = 2048;  // that are written at all: 8 MiB
constexpr std::size_t kLongest = 16;   // blocks in one write
constexpr char kSynced = 's';
constexpr char kUnsynced = 'u';
constexpr char kThrough = 't';

[[noreturn]] void cannot(const std::string& what) {
  std::printf("cannot try: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(2);
}

struct Extent {
  std::size_t first = 0;
  std::size_t count = 0;
  std::uint64_t content = 0;  // the batch, or 0 for zeros
  bool fua = false;
};

char way_of(const std::string& ways, std::uint64_t batch) {
  return ways[std::min<std::size_t>(batch, ways.size()) - 1];
}

// No two extents of a batch overlap.
//
// FUA is only for the second half, and what stays unsynced only for the first one: log-writes
// records a FUA write before what is unsynced there, and so would bring back what it replaced.
std::vector<Extent> batch(std::uint64_t seed, const std::string& ways, std::uint64_t number) {
  const bool is_unsynced = way_of(ways, number) == kUnsynced;
  std::mt19937_64 random{seed * 1'000'003 + number};
  std::vector<bool> taken(kBlocks);
  std::vector<Extent> extents;
  for (std::size_t left = 8 + random() % 32; left > 0; --left) {
    Extent one;
    one.count = 1 + random() % kLongest;
    one.first = random() % (kBlocks - one.count);
    one.content = random() % 8 == 0 ? 0 : number;
    const bool in_second = one.first >= kBlocks / 2;
    one.fua = in_second && one.content != 0 && (is_unsynced || random() % 2 == 0);
    bool is_free = !is_unsynced || one.fua || one.first + one.count <= kBlocks / 2;
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

// By SG_IO, because the block layer may send a flush instead of FUA, or behind it.
void write_with_fua(int disk, std::size_t first, std::size_t count, std::uint8_t* data) {
  std::uint64_t bytes_of_block = 0;
  if (int size = 0; ::ioctl(disk, BLKSSZGET, &size) == 0)
    bytes_of_block = static_cast<std::uint64_t>(size);
  else
    cannot("ask for the size of a block");
  std::uint8_t cdb[16] = {0x8a, 0x08};  // WRITE(16), FUA
  for (std::size_t i = 0; i < 8; ++i)
    cdb[2 + i] = static_cast<std::uint8_t>(first * kBlock / bytes_of_block >> (56 - 8 * i));
  for (std::size_t i = 0; i < 4; ++i)
    cdb[10 + i] = static_cast<std::uint8_t>(count * kBlock / bytes_of_block >> (24 - 8 * i));
  std::uint8_t sense[32];
  sg_io_hdr_t command{};
  command.interface_id = 'S';
  command.dxfer_direction = SG_DXFER_TO_DEV;
  command.cmd_len = sizeof cdb;
  command.cmdp = cdb;
  command.mx_sb_len = sizeof sense;
  command.sbp = sense;
  command.dxfer_len = static_cast<unsigned>(count * kBlock);
  command.dxferp = data;
  command.timeout = 30'000;
  // The kernel hands unit attentions to whoever comes first, as that LUNs were added.
  for (int attempts_left = 5;; --attempts_left) {
    std::memset(sense, 0, sizeof sense);
    if (::ioctl(disk, SG_IO, &command) != 0)
      cannot("write with FUA");
    if ((command.info & SG_INFO_OK_MASK) == SG_INFO_OK)
      return;
    const bool is_attention = (sense[0] & 0x7e) == 0x70 && (sense[2] & 0x0f) == 0x06;
    if (!is_attention || attempts_left == 0) {
      errno = EIO;
      cannot("write with FUA, status " + std::to_string(command.status) + ", sense key " +
             std::to_string(sense[2] & 0x0f));
    }
  }
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
  if (extent.fua)
    write_with_fua(disk, extent.first, extent.count, buffer);
  else if (::pwrite(disk, buffer, length, offset) != static_cast<ssize_t>(length))
    cannot("write");
}

int write_batches(const char* path, std::uint64_t seed, const std::string& ways,
                  std::uint64_t batches, const std::string& command) {
  const int disk = ::open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
  if (disk < 0)
    cannot(std::string{"open "} + path);
  for (std::uint64_t number = 1; number <= batches; ++number) {
    const std::vector<Extent> extents = batch(seed, ways, number);
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
    if (way_of(ways, number) == kSynced && ::fsync(disk) != 0)
      cannot("flush");
    if (std::system((command + " " + std::to_string(number)).c_str()) != 0)
      cannot("run " + command);
  }
  return 0;
}

// What a block may have after a power cut: the last that was made durable, and all written since.
using Contents = std::vector<std::uint64_t>;

std::vector<Contents> possible_after(std::uint64_t seed, const std::string& ways,
                                     std::uint64_t last) {
  std::vector<Contents> possible(kBlocks, Contents{0});
  const auto flush = [&possible] {
    for (Contents& contents : possible)
      contents = {contents.back()};
  };
  for (std::uint64_t number = 1; number <= last + 1; ++number) {
    const char way = way_of(ways, number);
    for (const Extent& extent : batch(seed, ways, number)) {
      for (std::size_t i = extent.first; i < extent.first + extent.count; ++i) {
        if (number <= last && (extent.fua || way == kThrough))
          possible[i].clear();
        possible[i].push_back(extent.content);
      }
    }
    // The disk flushes before its cache is off.
    if (number <= last &&
        (way == kSynced || (way == kThrough && number > 1 && way_of(ways, number - 1) != way)))
      flush();
  }
  return possible;
}

int check(const char* path, std::uint64_t seed, const std::string& ways, std::uint64_t last) {
  const std::vector<Contents> possible = possible_after(seed, ways, last);
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
    const Contents& may = possible[number];
    if (is_torn || std::find(may.begin(), may.end(), content) == may.end()) {
      if (++wrong > 5)
        continue;
      std::printf("block %zu %s batch %llu, and must have", number,
                  is_torn ? "is torn, and begins with" : "has",
                  static_cast<unsigned long long>(content));
      for (const std::uint64_t one : may)
        std::printf(" %llu", static_cast<unsigned long long>(one));
      std::printf("\n");
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
  const bool has_ways = count > 4 && words[4][0] != '\0';
  if (verb == "write" && count == 7 && has_ways)
    return write_batches(words[2], number(words[3]), words[4], number(words[5]), words[6]);
  if (verb == "check" && count == 6 && has_ways)
    return check(words[2], number(words[3]), words[4], number(words[5]));
  std::printf(
      "usage: synced-writes write DISK SEED WAYS BATCHES COMMAND | check FILE SEED WAYS BATCH\n");
  return 2;
}
