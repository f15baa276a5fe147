// SPDX-License-Identifier: Apache-2.0
// Opens stores and write logs in ballastctl itself, while no LUN has them.
//
// Offline is what the library needs for that: an executor, its ring and its threads, all driven by
// the calling thread. OpenStore is an open file or device; it is locked as a LUN locks it, so one
// that a LUN has is refused. OpenLog is a write log whose superblock was read. Each closes what it
// has at the end of its life, before the Offline goes.
//
// A refusal ends in fail() (text/output.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "lib/backend/factory.h"
#include "lib/backend/file_config.h"
#include "lib/backend/store_source.h"
#include "lib/base/units.h"
#include "lib/co/clock.h"
#include "lib/co/executor.h"
#include "lib/co/task.h"
#include "lib/co/task_group.h"
#include "lib/io/buffer_pool.h"
#include "lib/io/helper_thread.h"
#include "lib/io/loop.h"
#include "lib/io/uring.h"
#include "lib/write_log/device.h"
#include "lib/write_log/scan.h"
#include "lib/write_log/superblocks.h"

namespace ballast::ctl {

class Offline {
 public:
  Offline();
  Offline(const Offline&) = delete;
  Offline& operator=(const Offline&) = delete;

  co::Executor& executor() { return executor_; }

  // Runs a task to its end.
  template <class T>
  T run(co::Task<T> task) {
    std::optional<T> result;
    run(keep(executor_, std::move(task), &result));
    return std::move(*result);
  }
  void run(co::Task<void> task);

  // `thread`: 0 or 1. Two that hang independently of each other have a thread each.
  backend::OpenContext context(Bytes size, Bytes block, std::uint8_t thread);

 private:
  template <class T>
  static co::Task<void> keep(co::Executor& executor, co::Task<T> task, std::optional<T>* result) {
    (void)executor;
    T value = co_await std::move(task);
    result->emplace(std::move(value));
  }

  co::SteadyClock clock_;
  co::Executor executor_{"ballastctl", clock_};
  std::unique_ptr<io::Uring> uring_;
  std::unique_ptr<io::BufferPool> buffers_;
  io::HelperThread helper_{executor_};
  std::size_t library_operations_ = 0;
  std::unique_ptr<io::Loop> loop_;
};

class OpenStore {
 public:
  struct Wanted {
    std::string path;
    Bytes size;
    Bytes block;
    backend::CacheMode cache;
    std::uint8_t thread;
  };
  OpenStore(Offline& offline, const Wanted& wanted);
  ~OpenStore();
  OpenStore(const OpenStore&) = delete;
  OpenStore& operator=(const OpenStore&) = delete;

  backend::Backend& backend() { return *store_.backend; }
  const std::optional<backend::Label>& label() const { return store_.label; }

 private:
  Offline& offline_;
  backend::Store store_;
};

class OpenLog {
 public:
  OpenLog(Offline& offline, const std::string& path);

  backend::Backend& backend() { return store_.backend(); }
  write_log::Device& device() { return device_; }
  const write_log::Superblock& superblock() const { return superblock_; }
  // Reads and verifies all of it; changes nothing.
  Result<write_log::Found> scan();

 private:
  Offline& offline_;
  OpenStore store_;
  write_log::Device device_;
  write_log::Superblock superblock_;
};

}  // namespace ballast::ctl
