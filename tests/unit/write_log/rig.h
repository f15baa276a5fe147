// SPDX-License-Identifier: Apache-2.0
// A log on a simulated disk, with a simulated store, for tests of one thing at a time. The media
// stay; each opening is a new Rig.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "lib/co/sim_executor.h"
#include "lib/co/task_group.h"
#include "lib/write_log/create.h"
#include "lib/write_log/write_log.h"
#include "tests/sim/sim_disk.h"
#include "tests/unit/write_log/read_range.h"

namespace ballast::test {

using namespace ballast::write_log;

inline constexpr std::uint32_t rig_block = 512;
inline constexpr std::uint64_t rig_blocks = 1 << 16;  // of the LUN, 32 MiB

struct RigMedia {
  Medium log{ring_begin + fewest_segments * segment_bytes, page};
  Medium store{rig_blocks * rig_block, rig_block};
};

inline Identity rig_identity() {
  Identity identity;
  identity.store[0] = 7;
  identity.owner = 3;
  identity.lun = Bytes{rig_blocks * rig_block};
  identity.block = rig_block;
  return identity;
}

class Rig {
 public:
  static constexpr DiskTemper fast{.shortest = Nanoseconds{50'000},
                                   .longest = Nanoseconds{100'000}};

  explicit Rig(RigMedia& media, std::uint64_t seed = 1)
      : sim{seed},
        disk{sim.executor(), media.log, seed + 1, page, fast},
        store{sim.executor(), media.store, seed + 2, rig_block, fast},
        tasks{sim.executor()} {}
  ~Rig() {
    if (log != nullptr) {
      run(log->close());
    }
  }

  // Runs a task to its end.
  template <class T>
  T run(co::Task<T> task) {
    std::unique_ptr<T> result;
    tasks.spawn("test", keep(sim.executor(), std::move(task), &result));
    sim.run_for(std::chrono::minutes{10});
    BALLAST_ASSERT(result != nullptr);
    return std::move(*result);
  }
  void run(co::Task<void> task) {
    tasks.spawn("test", std::move(task));
    sim.run_for(std::chrono::minutes{10});
    BALLAST_ASSERT(tasks.live() == 0);
  }

  Result<void> make() {
    return run(
        create(disk, NewLog{.identity = rig_identity(), .host = "gateway1", .store_name = "s"}));
  }
  // The sentence of a refusal; empty if the log was opened.
  std::string open(const Identity& identity = rig_identity(), Order order = Order::epoch) {
    WriteLog::Options options;
    options.identity = identity;
    options.order = order;
    Result<std::unique_ptr<WriteLog>> opened = run(WriteLog::open(disk, store, options));
    if (!opened.ok()) {
      return opened.error().message;
    }
    log = std::move(opened).value();
    return {};
  }

  // A change of blocks that all hold the byte.
  Change change(std::uint64_t lba, std::uint64_t blocks, char byte) {
    std::vector<std::byte>& data = data_.emplace_back(blocks * rig_block, std::byte(byte));
    segments_.push_back({.iov_base = data.data(), .iov_len = data.size()});
    const std::span<const iovec> segments{&segments_.back(), 1};
    return {.kind = Kind::data,
            .lba = Lba{lba},
            .blocks = BlockCount{blocks},
            .data = io::SgView{segments}};
  }
  IoStatus write(std::uint64_t lba, std::uint64_t blocks, char byte, Until until = Until::durable) {
    return run(log->append(change(lba, blocks, byte), until));
  }
  // What the blocks hold, one character each; '!' for a block that cannot be read, '?' for one
  // whose bytes differ.
  std::string read(std::uint64_t lba, std::uint64_t blocks) {
    std::string text;
    for (std::uint64_t i = 0; i < blocks; ++i) {
      text += read_block(Lba{lba + i});
    }
    return text;
  }

  co::SimExecutor sim;
  SimDisk disk;
  SimDisk store;
  co::TaskGroup tasks;
  std::unique_ptr<WriteLog> log;

 private:
  template <class T>
  static co::Task<void> keep(co::Executor& executor, co::Task<T> task, std::unique_ptr<T>* result) {
    (void)executor;
    T value = co_await std::move(task);
    *result = std::make_unique<T>(std::move(value));
  }
  char read_block(Lba lba) {
    std::vector<std::byte> bytes(rig_block);
    const IoStatus status = run(read_range(*log, store, rig_block, lba, bytes));
    if (!ok(status)) {
      return '!';
    }
    const bool same = std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
    return same ? static_cast<char>(bytes[0]) : '?';
  }

  std::deque<std::vector<std::byte>> data_;
  std::deque<iovec> segments_;
};

}  // namespace ballast::test
