// SPDX-License-Identifier: Apache-2.0
// A load that behaves as an initiator does: a command that is answered BUSY is sent again, and what
// a block holds is known all the time. It runs until it is told to stop.
#pragma once

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/ring/support.h"

namespace ballast::ring_test {

class SteadyLoad {
 public:
  using Clock = std::chrono::steady_clock;

  // Each thread has one command under way, in a region of its own of 64 blocks.
  SteadyLoad(Lun& lun, std::size_t threads, std::size_t block_size, std::uint64_t seed)
      : lun_{lun}, block_size_{block_size} {
    last_.store(Clock::now());
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this, i, seed] { work(i * region, seed + i); });
    }
  }
  ~SteadyLoad() { stop(); }

  // Ends the commands under way, then reads everything and compares.
  void stop() {
    stopping_ = true;
    for (std::thread& one : threads_) {
      if (one.joinable()) {
        one.join();
      }
    }
  }
  std::uint64_t done() const { return done_; }
  std::uint64_t busy() const { return busy_; }
  // Empty if nothing failed and all data was right.
  std::string trouble() const {
    const std::lock_guard lock{mutex_};
    return trouble_;
  }
  // The longest time in which no command ended well.
  std::chrono::milliseconds gap() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(gap_.load());
  }

 private:
  static constexpr std::size_t region = 64;
  using Bytes = std::vector<std::byte>;

  void note(const std::string& what) {
    const std::lock_guard lock{mutex_};
    if (trouble_.empty()) {
      trouble_ = what;
    }
  }
  void ended() {
    ++done_;
    const Clock::time_point now = Clock::now();
    const Clock::duration gap = now - last_.exchange(now);
    for (Clock::duration seen = gap_; gap > seen && !gap_.compare_exchange_weak(seen, gap);) {
    }
  }
  // Returns whether it ended well.
  bool carry_out(const Cdb& cdb, Direction direction, std::span<std::byte> data) {
    for (;;) {
      const Answer answer = lun_.execute(cdb, direction, data);
      if (answer.status == 0) {
        ended();
        return true;
      }
      if (answer.status != 0x08) {
        note("a command ended with status " + std::to_string(answer.status) + ", sense key " +
             std::to_string(answer.sense_key()) + ", " + std::to_string(answer.additional_sense()));
        return false;
      }
      ++busy_;
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
  }

  void work(std::uint64_t first, std::uint64_t seed) {
    std::mt19937_64 random{seed};
    Bytes model(region * block_size_);
    Bytes buffer(region * block_size_);
    if (!carry_out(write_16(first, region), Direction::to_device, buffer)) {
      return;
    }
    while (!stopping_) {
      const std::size_t at = random() % region;
      const std::size_t blocks = 1 + random() % (region - at);
      const std::span<std::byte> part = std::span{buffer}.first(blocks * block_size_);
      std::byte* const kept = model.data() + at * block_size_;
      const auto count = static_cast<std::uint32_t>(blocks);
      const std::uint64_t choice = random() % 100;
      if (choice < 50) {
        if (!carry_out(read_16(first + at, count), Direction::from_device, part)) {
          return;
        }
        if (std::memcmp(part.data(), kept, part.size()) != 0) {
          note("wrong data at block " + std::to_string(first + at));
          return;
        }
      } else if (choice < 90) {
        for (std::byte& byte : part) {
          byte = static_cast<std::byte>(random());
        }
        if (!carry_out(write_16(first + at, count), Direction::to_device, part)) {
          return;
        }
        std::memcpy(kept, part.data(), part.size());
      } else if (choice < 97) {
        const int pattern = random() % 2 == 0 ? 0 : 1 + static_cast<int>(random() % 255);
        std::memset(buffer.data(), pattern, block_size_);
        if (!carry_out(cdb_16(0x93, first + at, count, random() % 2 == 0 ? 0x08 : 0),
                       Direction::to_device, std::span{buffer}.first(block_size_))) {
          return;
        }
        std::memset(kept, pattern, part.size());
      } else if (!carry_out(cdb_10(0x35, 0, 0), Direction::none, {})) {
        return;
      }
    }
    if (carry_out(read_16(first, region), Direction::from_device, buffer) && buffer != model) {
      note("wrong data at the end, from block " + std::to_string(first));
    }
  }

  Lun& lun_;
  const std::size_t block_size_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> done_{0}, busy_{0};
  std::atomic<Clock::time_point> last_;
  std::atomic<Clock::duration> gap_{Clock::duration{}};
  mutable std::mutex mutex_;
  std::string trouble_;
  std::vector<std::thread> threads_;
};

}  // namespace ballast::ring_test
