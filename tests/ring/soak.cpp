// SPDX-License-Identifier: Apache-2.0
// LUNs come and go for a long time, in one process: its memory, descriptors and threads must not
// grow. First 200 at once; then one after the other, with and without a write log, each with
// commands at random, a growth, and another configuration string. Each finds what the life before
// it has left.
//
// usage: soak [SECONDS]    environment: BALLAST_SEED
// But at least eight lives.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/assert.h"
#include "tests/ring/support.h"

using namespace ballast::ring_test;

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t at_once = 200;
constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

struct Usage {
  std::size_t resident = 0;  // bytes
  std::size_t descriptors = 0;
  std::size_t threads = 0;
};

std::size_t entries(const char* folder) {
  const std::filesystem::directory_iterator all{folder};
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

Usage usage() {
  std::size_t size = 0;
  std::size_t resident = 0;
  std::ifstream{"/proc/self/statm"} >> size >> resident;
  return {.resident = resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)),
          .descriptors = entries("/proc/self/fd"),
          .threads = entries("/proc/self/task")};
}

// What a LUN has left ends a moment after it: threads of errands.
Usage settled(const Usage& before) {
  constexpr int looks = 500;
  Usage now = usage();
  (void)eventually(
      [&] {
        now = usage();
        return now.descriptors <= before.descriptors && now.threads <= before.threads;
      },
      looks);
  return now;
}

void print(const char* what, const Usage& usage) {
  std::printf("%-28s %6.1f MiB, %zu descriptors, %zu threads\n", what,
              static_cast<double>(usage.resident) / static_cast<double>(mebibyte),
              usage.descriptors, usage.threads);
  std::fflush(stdout);
}

bool is_ready(Lun& lun) {
  return eventually([&] { return lun.execute(test_unit_ready()).status == 0; });
}

// Returns what went wrong; "" if nothing did.
std::string many(const Folder& folder) {
  std::vector<std::unique_ptr<Lun>> luns;
  std::vector<std::byte> data(4096, std::byte{1});
  for (std::size_t i = 0; i < at_once; ++i) {
    luns.push_back(Lun::add("file=" + folder.file(("many" + std::to_string(i)).c_str())));
    if (luns.back() == nullptr) {
      return "LUN " + std::to_string(i) + " was refused: " + take_log();
    }
  }
  print("200 LUNs at once", usage());
  for (const auto& lun : luns) {
    if (!is_ready(*lun) || lun->execute(write_16(8, 8), Direction::to_device, data).status != 0) {
      return "a LUN of many does not work: " + take_log();
    }
  }
  for (const auto& lun : luns) {
    if (!lun->remove()) {
      return "a LUN of many was removed with a command unanswered";
    }
  }
  (void)take_log();
  return "";
}

// What stays of a LUN between its lives.
struct Kept {
  std::uint64_t size = 64 * mebibyte;
  std::vector<std::byte> contents{};
};

// One LUN's life. It grows each time.
std::string life(const std::string& config, Kept* kept, std::uint64_t seed) {
  LunOptions options;
  options.size = kept->size;
  const auto lun = Lun::add(config, options);
  if (lun == nullptr || !is_ready(*lun)) {
    return "a LUN was refused: " + take_log();
  }
  const LoadResult result = random_load(*lun, 4000, 16, options.block_size, seed, &kept->contents);
  if (result.failed != 0 || result.mismatches != 0) {
    return "commands failed: " + std::to_string(result.failed) +
           ", wrong data: " + std::to_string(result.mismatches) + "; " + take_log();
  }
  if (lun->reconfigure_size(kept->size + mebibyte) != 0 ||
      lun->reconfigure_string(config + ";slow=2s") != 0) {
    return "it was not changed: " + take_log();
  }
  kept->size += mebibyte;
  (void)take_log();
  return lun->remove() ? "" : "it was removed with a command unanswered";
}

std::size_t most_resident(const std::vector<Usage>& all, std::size_t begin, std::size_t end) {
  std::size_t most = 0;
  for (std::size_t i = begin; i < end; ++i) {
    most = std::max(most, all[i].resident);
  }
  return most;
}

}  // namespace

int main(int count, char** arguments) {
  const int seconds = count > 1 ? std::atoi(arguments[1]) : 0;
  load_built_plugin();
  std::uint64_t random = seed();
  const Folder folder{"/var/tmp"};
  const bool logs = has_direct_io("/var/tmp") && has_attributes("/var/tmp");
  std::vector<Usage> lives;
  const Usage begin = usage();
  print("at the beginning", begin);
  std::string wrong = many(folder);
  const auto end = Clock::now() + std::chrono::seconds{seconds};
  auto next_line = Clock::now();
  Kept plain_kept;
  Kept logged_kept;
  // A first life of each kind fills pools that stay.
  for (std::size_t i = 0; wrong.empty() && (Clock::now() < end || lives.size() < 8); ++i) {
    const bool logged = logs && i % 2 == 1;
    std::string config = "file=" + folder.file(logged ? "logged" : "plain");
    if (logged) {
      config += ";log=" + folder.file("log") + ";log_size=256MiB";
    }
    wrong = life(config, logged ? &logged_kept : &plain_kept, ++random);
    lives.push_back(settled(lives.size() < 2 ? Usage{} : lives[1]));
    if (Clock::now() >= next_line) {
      print(("after life " + std::to_string(i + 1)).c_str(), lives.back());
      next_line = Clock::now() + std::chrono::minutes{1};
    }
  }
  if (!wrong.empty()) {
    std::printf("%s\n", wrong.c_str());
    return 1;
  }
  print("at the end", lives.back());
  const std::size_t half = lives.size() / 2;
  const std::size_t before = most_resident(lives, half / 2, half);
  const std::size_t after = most_resident(lives, lives.size() - half / 2, lives.size());
  std::printf("%zu lives; at most %.1f MiB in the second quarter, %.1f MiB in the last\n",
              lives.size(), static_cast<double>(before) / static_cast<double>(mebibyte),
              static_cast<double>(after) / static_cast<double>(mebibyte));
  const Usage& early = lives[1];
  const bool flat = after <= before + before / 50 + mebibyte &&
                    lives.back().descriptors <= early.descriptors &&
                    lives.back().threads <= early.threads;
  std::printf("%s\n", flat ? "nothing grows" : "it grows");
  return flat ? 0 : 1;
}
