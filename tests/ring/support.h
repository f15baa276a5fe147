// SPDX-License-Identifier: Apache-2.0
// Shared by the ring tests: folders for files, many commands at once, a random load with a model.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "tests/ring/cdb.h"
#include "tests/ring/host.h"

namespace ballast::ring_test {

// Loads the plugin that BALLAST_PLUGIN names, or else that of the release build.
void load_built_plugin();

// Keys that make the times of a LUN short.
inline constexpr const char* quick = ";deadline=600ms;slow=100ms;stall_after=300ms";

// Data that differs from that of other seeds, without zeros.
std::vector<std::byte> bytes_of(std::size_t count, unsigned seed);

// The parameter list of EXTENDED COPY (LID1) within a LUN, which it names by the NAA designator of
// the LUN's VPD page 83.
std::vector<std::byte> copy_list(std::span<const std::byte> page_83, std::size_t from,
                                 std::size_t to, std::size_t count);

// The Caching page as MODE SELECT (6) takes it: as MODE SENSE (6) gives it, with PS and MODE DATA
// LENGTH cleared. Empty: MODE SENSE failed.
std::vector<std::byte> caching_page(Lun& lun);
// MODE SELECT (6) of such a list.
Answer mode_select(Lun& lun, std::vector<std::byte>& list);

// A new folder below `parent`. It is removed with everything in it.
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
// Whether files there may have extended attributes.
bool has_attributes(const char* parent);

// Waits until `holds` returns true: asks it `looks` times, 10 ms apart. Returns whether it did.
bool eventually(const std::function<bool()>& holds, int looks = 3000);

// Reads the log, and adds what it read to `log`, until that has all of these, in any order. Returns
// whether they came.
bool log_says(std::string& log, const std::vector<const char*>& all);

// The longest time in which this machine has let a thread of ours wait, while this object lived. On
// a busy one a LUN that nothing holds up looks as if it stood still for as long.
class Standstill {
 public:
  Standstill();
  ~Standstill();
  std::chrono::milliseconds longest() const { return longest_.load(); }

 private:
  std::atomic<bool> over_{false};
  std::atomic<std::chrono::milliseconds> longest_{};
  std::thread thread_;
};

// The seed of this run: BALLAST_SEED or a new one. Prints it on standard error.
std::uint64_t seed();

// Counts answers down. The thread that waits goes on at zero.
class Countdown {
 public:
  explicit Countdown(std::size_t count) : left_{count} {}
  Done done() { return {&Countdown::one, this}; }
  // Returns false if answers are still missing after 60 s.
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

// The result of a closed loop of `depth` commands, each on a region of its own: reads, writes, FUA,
// writes of zeros, flushes, compare-and-write. A model knows what the blocks should hold: first
// zeros, or `contents`, which a load before this one has left, and which then has what this one
// leaves.
struct LoadResult {
  std::uint64_t commands = 0;
  std::uint64_t failed = 0;      // not GOOD
  std::uint64_t mismatches = 0;  // data that differs from the model
  Answer first_failure;
};
LoadResult random_load(Lun& lun, std::uint64_t commands, std::size_t depth, std::size_t block_size,
                       std::uint64_t seed, std::vector<std::byte>* contents = nullptr);

}  // namespace ballast::ring_test
