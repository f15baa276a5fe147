// SPDX-License-Identifier: Apache-2.0
// The surroundings that a backend needs, driven by the test's own thread; and places for its files.
#pragma once

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "lib/backend/backend.h"
#include "lib/backend/factory.h"
#include "lib/base/assert.h"
#include "lib/co/clock.h"
#include "lib/co/executor.h"
#include "lib/co/task_group.h"
#include "lib/io/buffer_pool.h"
#include "lib/io/helper_thread.h"
#include "lib/io/uring.h"

namespace ballast::test {

// A folder that is removed with the test. `under`: its parent, on the disk or in memory.
class Folder {
 public:
  explicit Folder(const std::string& under = "/tmp") {
    std::string name = under + "/ballast-test-XXXXXX";
    BALLAST_ASSERT(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }
  std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline backend::FileConfig file_config(const std::string& path,
                                       backend::CacheMode cache = backend::CacheMode::buffered) {
  return {.path = path, .cache = cache};
}

inline backend::StoreConfig store_config(const backend::FileConfig& file) {
  backend::StoreConfig config;
  config.kind = backend::find_kind("file");
  config.file = file;
  return config;
}

// Opens the store as the plugin does, and waits.
inline Result<std::unique_ptr<backend::Backend>> open_now(const backend::StoreConfig& config,
                                                          const backend::OpenContext& context) {
  backend::StoreOrder order;
  order.config = config;
  order.size = context.size;
  order.logical_block = context.logical_block;
  Result<std::unique_ptr<backend::StoreSource>> source = backend::open(std::move(order), context);
  if (!source) {
    return source.error();
  }
  if (source.value()->wait(std::chrono::minutes{10}) != backend::StoreSource::State::opened) {
    return source.value()->error();
  }
  return std::move(source.value()->take().backend);
}
inline Result<std::unique_ptr<backend::Backend>> open_now(const backend::FileConfig& file,
                                                          const backend::OpenContext& context) {
  return open_now(store_config(file), context);
}

class Lab {
 public:
  Lab() : executor_{"test", clock_}, helper_{std::make_unique<io::HelperThread>(executor_)} {
    uring_ = io::Uring::open(executor_, {.store_threads = 1}).value();
    buffers_ = io::BufferPool::open(executor_, Bytes{std::uint64_t{4} << 20}).value();
  }
  ~Lab() { BALLAST_ASSERT(executor_.registry().size() == 0); }

  co::Executor& executor() { return executor_; }

  backend::OpenContext context(Bytes size, Bytes logical_block) {
    return backend::OpenContext{.executor = executor_,
                                .uring = *uring_,
                                .buffers = *buffers_,
                                .helper = *helper_,
                                .library_operations = library_operations_,
                                .size = size,
                                .logical_block = logical_block};
  }

  // Makes one turn; sleeps a moment if there is nothing to do.
  void step() {
    const bool ran = executor_.tick();
    if (uring_->reap() == 0 && !ran && executor_.idle()) {
      std::array<pollfd, 2> rings{
          pollfd{.fd = uring_->fd(), .events = POLLIN, .revents = 0},
          pollfd{.fd = uring_->store_fd(0), .events = POLLIN, .revents = 0}};
      (void)::poll(rings.data(), rings.size(), 1);
    }
  }

  void drain(co::TaskGroup& group) {
    while (group.live() > 0) {
      step();
    }
  }

  template <class T>
  T run(co::Task<T> task) {
    std::optional<T> result;
    co::TaskGroup group{executor_};
    group.spawn("test", store(executor_, std::move(task), &result));
    drain(group);
    return std::move(*result);
  }
  void run(co::Task<void> task) {
    co::TaskGroup group{executor_};
    group.spawn("test", std::move(task));
    drain(group);
  }

  template <class T>
  static co::Task<void> store(co::Executor&, co::Task<T> task, std::optional<T>* result) {
    T value = co_await std::move(task);
    result->emplace(std::move(value));
  }

 private:
  co::SteadyClock clock_;
  co::Executor executor_;
  std::unique_ptr<io::Uring> uring_;
  std::unique_ptr<io::BufferPool> buffers_;
  std::unique_ptr<io::HelperThread> helper_;
  std::size_t library_operations_ = 0;
};

// A scatter-gather list with memory of its own: `size` bytes, cut at random places, at random
// addresses.
class RandomList {
 public:
  template <class Random>
  RandomList(std::size_t size, Random& random, std::size_t unit) {
    std::size_t done = 0;
    while (done < size) {
      const std::size_t most = (size - done) / unit;
      const std::size_t length = unit * (1 + random() % std::min<std::size_t>(most, 24));
      const std::size_t shift = unit >= 512 ? 0 : random() % 64;
      memory_.push_back(allocate(length + shift));
      segments_.push_back(iovec{memory_.back().get() + shift, length});
      if (random() % 8 == 0) {
        segments_.push_back(iovec{memory_.back().get(), 0});
      }
      done += length;
    }
  }
  io::SgView view() const { return io::SgView{segments_}; }

  std::vector<std::byte> bytes() const {
    std::vector<std::byte> flat(view().size());
    io::copy(flat, view());
    return flat;
  }
  template <class Random>
  void fill(Random& random) {
    const std::array<std::byte, 4> pattern{std::byte(random() & 0xff), std::byte(random() & 0xff),
                                           std::byte(random() & 0xff),
                                           std::byte(1 + (random() & 0x7f))};
    io::fill(view(), pattern, random() % 4);
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  using Memory = std::unique_ptr<std::byte[], Free>;
  static Memory allocate(std::size_t size) {
    return Memory{static_cast<std::byte*>(std::aligned_alloc(4096, (size + 4095) / 4096 * 4096))};
  }
  std::vector<Memory> memory_;
  std::vector<iovec> segments_;
};

// A list over one piece of the caller's memory.
struct Flat {
  explicit Flat(std::vector<std::byte>& bytes) : segment{bytes.data(), bytes.size()} {}
  io::SgView view() const { return io::SgView{std::span{&segment, 1}}; }
  iovec segment;
};

inline std::uint64_t seed() {
  const char* const given = std::getenv("BALLAST_SEED");
  const std::uint64_t value =
      given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  std::fprintf(stderr, "BALLAST_SEED=%llu\n", static_cast<unsigned long long>(value));
  return value;
}

// The 512-byte units of disk space that `path` takes.
inline std::int64_t units_on_disk(const std::string& path) {
  struct stat status {};
  BALLAST_ASSERT(::stat(path.c_str(), &status) == 0);
  return status.st_blocks;
}

}  // namespace ballast::test
