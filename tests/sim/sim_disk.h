// SPDX-License-Identifier: Apache-2.0
// A simulated disk with a volatile cache, which can lose its power.
//
// Medium is what stays: sectors, each with the versions that a power cut may leave. SimDisk is the
// disk as one process sees it: each operation takes a drawn time, and a write lands sector by
// sector, in any order. A flush makes durable what had ended before it began. What a failed flush
// should have made durable, no later one does. After die() nothing happens any more, except that
// what was under way may land in part: this is how a process ends.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lib/backend/backend.h"
#include "lib/co/gate.h"
#include "lib/co/sim_executor.h"
#include "lib/co/sleep.h"

namespace ballast::test {

class Medium {
 public:
  Medium(std::uint64_t bytes, std::size_t sector) : bytes_{bytes}, sector_{sector} {}

  std::uint64_t bytes() const { return bytes_; }
  std::size_t sector() const { return sector_; }

  // From `sector` on.
  void read(std::uint64_t sector, std::span<std::byte> to) const {
    std::ranges::fill(to, std::byte{});
    const std::uint64_t end = sector + to.size() / sector_;
    for (auto at = sectors_.lower_bound(sector); at != sectors_.end() && at->first < end; ++at) {
      const std::string& newest = at->second.versions.back();
      std::memcpy(to.data() + (at->first - sector) * sector_, newest.data(), newest.size());
    }
  }
  // Returns the number of the version that the sector has now.
  std::uint64_t land(std::uint64_t sector, std::span<const std::byte> bytes) {
    const bool zero = bytes[0] == std::byte{} &&
                      std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
    const auto found = sectors_.find(sector);
    if (zero && found == sectors_.end()) {
      return 0;
    }
    Sector& its = found != sectors_.end() ? found->second : sectors_[sector];
    its.versions.emplace_back(
        zero ? std::string{}
             : std::string{reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    return its.first + its.versions.size() - 1;
  }
  // No power cut brings back anything older than this version.
  void make_durable(std::uint64_t sector, std::uint64_t version) {
    const auto found = sectors_.find(sector);
    if (found == sectors_.end()) {
      return;
    }
    Sector& its = found->second;
    while (its.first < version) {
      its.versions.pop_front();
      ++its.first;
    }
  }
  // Sectors and versions that a power cut may take back.
  std::deque<std::pair<std::uint64_t, std::uint64_t>> unsafe() const {
    std::deque<std::pair<std::uint64_t, std::uint64_t>> all;
    for (const auto& [number, sector] : sectors_) {
      if (sector.versions.size() > 1) {
        all.emplace_back(number, sector.first + sector.versions.size() - 1);
      }
    }
    return all;
  }
  void keep_all() {
    for (auto& [number, sector] : sectors_) {
      make_durable(number, sector.first + sector.versions.size() - 1);
    }
  }
  // `lot`: how many of 8 sectors keep the newest version; others get any that they may have.
  void cut_power(co::Random& random, std::uint64_t lot) {
    for (auto& [number, sector] : sectors_) {
      if (sector.versions.size() > 1 && !random.chance(lot, 8)) {
        sector.versions.resize(1 + random.below(sector.versions.size()));
      }
    }
    keep_all();
  }
  // Something of what is durable changes by itself.
  void rot(std::uint64_t offset) {
    std::string& bytes = sectors_[offset / sector_].versions.back();
    bytes.resize(sector_);
    bytes[offset % sector_] = static_cast<char>(bytes[offset % sector_] ^ 1);
  }

 private:
  struct Sector {
    std::uint64_t first = 0;               // the number of the first version
    std::deque<std::string> versions{""};  // the first is durable, reads find the last; "": zeros
  };
  std::uint64_t bytes_;
  std::size_t sector_;
  std::map<std::uint64_t, Sector> sectors_;
};

struct DiskTemper {
  Nanoseconds shortest{};  // of each of the one to three waits of an operation
  Nanoseconds longest{};
  unsigned slow_read = 0;  // per mille: takes `very_long`
  Nanoseconds very_long{};
  unsigned fails = 0;  // per mille, of writes and flushes
};

class SimDisk final : public backend::Backend {
 public:
  SimDisk(co::Executor& executor, Medium& medium, std::uint64_t seed, std::size_t physical_block,
          const DiskTemper& temper)
      : executor_{executor},
        medium_{medium},
        random_{seed},
        temper_{temper},
        geometry_{.size = Bytes{medium.bytes()},
                  .logical_block = Bytes{std::min<std::size_t>(medium.sector(), 4096)},
                  .physical_block = Bytes{physical_block},
                  .discard_granularity = Bytes{}},
        ended_{medium.unsafe()},
        at_work_{executor_, "the simulated disk"} {}

  void die() { dead_ = true; }
  bool dead() const { return dead_; }
  // Writes that began, below this offset.
  std::uint64_t writes_below(std::uint64_t offset) const {
    return static_cast<std::uint64_t>(
        std::ranges::count_if(writes_, [offset](std::uint64_t write) { return write < offset; }));
  }
  std::uint64_t bytes_written() const { return bytes_written_; }
  // The earliest end of a write that began at `from` or later; nothing: there is none.
  std::optional<TimePoint> written_since(TimePoint from) const {
    std::optional<TimePoint> earliest;
    for (const auto& [began, ended] : write_times_) {
      if (began >= from) {
        earliest = std::min(earliest.value_or(ended), ended);
      }
    }
    return earliest;
  }
  // Whether a flush that began at `from` or later has ended well.
  bool flushed_since(TimePoint from) const {
    return last_flush_.has_value() && *last_flush_ >= from;
  }
  void set_temper(const DiskTemper& temper) { temper_ = temper; }

  co::Executor& executor() override { return executor_; }
  const backend::Geometry& geometry() const override { return geometry_; }
  const backend::Capabilities& capabilities() const override { return capabilities_; }
  std::string description() const override { return "sim"; }

  co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken) override {
    const co::Gate::Guard inside{at_work_};
    const bool slow = random_.chance(temper_.slow_read, 1000);
    co_await co::sleep_for(executor_, slow ? temper_.very_long : draw());
    if (dead_) {
      co_return IoStatus::not_ready;
    }
    std::vector<std::byte> copied;
    std::span<std::byte> bytes = to.contiguous();
    if (bytes.empty()) {
      copied.resize(to.size());
      bytes = copied;
    }
    medium_.read(offset.value() / medium_.sector(), bytes);
    if (!copied.empty()) {
      io::copy(to, std::span<const std::byte>{copied});
    }
    co_return IoStatus::ok;
  }
  co::Task<IoStatus> write(Bytes offset, io::SgView from, backend::Fua, co::CancelToken) override {
    const co::Gate::Guard inside{at_work_};
    writes_.push_back(offset.value());
    bytes_written_ += from.size();
    const TimePoint began = executor_.now();
    const std::size_t sector = medium_.sector();
    const std::size_t count = from.size() / sector;
    const std::size_t steps = 1 + random_.below(3);
    std::vector<std::uint8_t> step_of(count);
    for (std::uint8_t& step : step_of) {
      step = static_cast<std::uint8_t>(random_.below(steps));
    }
    const bool fails = random_.chance(temper_.fails, 1000);
    Landed landed;
    const std::span<const std::byte> whole = from.contiguous();
    std::vector<std::byte> copied(whole.empty() ? sector : 0);
    const std::uint64_t lot = random_.below(9);
    for (std::size_t step = 0; step < steps; ++step) {
      co_await co::sleep_for(executor_, draw());
      for (std::size_t i = 0; i < count; ++i) {
        const bool lost = (dead_ || fails) && !random_.chance(lot, 8);
        if (step_of[i] == step && !lost) {
          if (whole.empty()) {
            io::copy(copied, from.slice(i * sector, sector));
          }
          const std::uint64_t number = offset.value() / sector + i;
          landed.emplace_back(
              number, medium_.land(number, whole.empty() ? std::span<const std::byte>{copied}
                                                         : whole.subspan(i * sector, sector)));
        }
      }
      if (dead_) {
        co_return IoStatus::not_ready;
      }
    }
    ended_.insert(ended_.end(), landed.begin(), landed.end());
    write_times_.emplace_back(began, executor_.now());
    co_return fails ? IoStatus::medium_error : IoStatus::ok;
  }
  co::Task<IoStatus> zero(Bytes, Bytes, backend::MayUnmap, co::CancelToken) override {
    co_return IoStatus::not_supported;
  }
  co::Task<IoStatus> discard(Bytes, Bytes, co::CancelToken) override {
    co_return IoStatus::not_supported;
  }
  co::Task<IoStatus> flush(co::CancelToken) override {
    const co::Gate::Guard inside{at_work_};
    const TimePoint began = executor_.now();
    const std::uint64_t covered = flushed_ + ended_.size();
    const bool fails = random_.chance(temper_.fails, 1000);
    co_await co::sleep_for(executor_, draw());
    if (dead_) {
      co_return IoStatus::not_ready;
    }
    for (; flushed_ < covered; ++flushed_) {
      if (!fails) {
        medium_.make_durable(ended_.front().first, ended_.front().second);
      }
      ended_.pop_front();
    }
    last_flush_ = fails ? last_flush_ : std::max(last_flush_.value_or(began), began);
    co_return fails ? IoStatus::medium_error : IoStatus::ok;
  }
  co::Task<IoStatus> block_status(Bytes, Bytes, std::size_t,
                                  std::vector<backend::Extent>*) override {
    co_return IoStatus::not_supported;
  }
  co::Task<IoStatus> resize(Bytes) override { co_return IoStatus::not_supported; }
  co::Task<void> close() override { co_await at_work_.drain(); }

 private:
  using Landed = std::deque<std::pair<std::uint64_t, std::uint64_t>>;  // sector, version
  Nanoseconds draw() {
    const auto span = static_cast<std::uint64_t>((temper_.longest - temper_.shortest).count());
    return temper_.shortest + Nanoseconds{static_cast<std::int64_t>(random_.below(span + 1))};
  }

  co::Executor& executor_;
  Medium& medium_;
  co::Random random_;
  DiskTemper temper_;
  const backend::Geometry geometry_;
  const backend::Capabilities capabilities_{};
  Landed ended_;  // not yet flushed; at first, what earlier processes have left in the cache
  std::uint64_t flushed_ = 0;
  std::vector<std::uint64_t> writes_;                         // their offsets
  std::vector<std::pair<TimePoint, TimePoint>> write_times_;  // beginning and end
  std::optional<TimePoint> last_flush_;                       // the latest beginning of a good one
  std::uint64_t bytes_written_ = 0;
  bool dead_ = false;
  co::Gate at_work_;
};

}  // namespace ballast::test
