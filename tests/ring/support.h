// SPDX-License-Identifier: Apache-2.0
// What the ring tests share: places for files, many commands at once, a random load with a model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "tests/ring/cdb.h"
#include "tests/ring/host.h"

namespace ballast::ring_test {

// A folder of its own below `parent`, removed with everything in it.
class Folder {
 public:
  explicit Folder(const char* parent);
  ~Folder();
  std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Whether O_DIRECT files can be made in `parent`.
bool has_direct_io(const char* parent);

// Whether it comes true: looks so many times, 10 ms apart.
bool eventually(const std::function<bool()>& holds, int looks = 3000);

// The seed of this run: BALLAST_SEED or a fresh one, said on standard error.
std::uint64_t seed();

// Counts answers down; the thread that waits goes on at zero.
class Countdown {
 public:
  explicit Countdown(std::size_t count) : left_{count} {}
  Done done() { return {&Countdown::one, this}; }
  // False: not within ten seconds a million times shorter than any machine needs.
  bool wait();
  std::size_t good() const;
  std::size_t bad() const;
  Answer last_bad() const;

 private:
  static void one(void* self, const Answer& answer);
  mutable std::mutex mutex_;
  std::size_t left_;
  std::size_t good_ = 0;
  Answer last_bad_;
  std::size_t bad_ = 0;
};

// A closed loop of `depth` commands, each over a region of its own, against a model of what the
// blocks hold: reads, writes, FUA, writes of zeros, flushes, compare-and-write.
struct LoadResult {
  std::uint64_t commands = 0;
  std::uint64_t failed = 0;      // not GOOD
  std::uint64_t mismatches = 0;  // data that was not what the model says
  Answer first_failure;
};
LoadResult random_load(Lun& lun, std::uint64_t commands, std::size_t depth, std::size_t block_size,
                       std::uint64_t seed);

}  // namespace ballast::ring_test
