// SPDX-License-Identifier: Apache-2.0
// A volume over a spy backend, and an executor that is driven until nothing is left to do. Include
// this file before tests/cmocka.h.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "lib/co/clock.h"
#include "lib/co/executor.h"
#include "lib/co/task_group.h"
#include "lib/volume/volume.h"
#include "tests/unit/volume/spy_backend.h"

namespace ballast::test {

// Memory with a view over it. Each segment is an allocation of its own, so that reading beyond any
// of them is noticed.
class Data {
 public:
  explicit Data(std::vector<std::uint8_t> bytes, std::size_t segment = 0) {
    const std::size_t length = segment == 0 ? std::max<std::size_t>(bytes.size(), 1) : segment;
    for (std::size_t at = 0; at < bytes.size(); at += length) {
      const std::size_t here = std::min(length, bytes.size() - at);
      memory_.push_back(std::make_unique<std::uint8_t[]>(here));
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), here, memory_.back().get());
      segments_.push_back(iovec{memory_.back().get(), here});
    }
  }
  io::SgView view() const { return io::SgView{segments_}; }
  std::vector<std::uint8_t> bytes() const {
    std::vector<std::uint8_t> all;
    for (const iovec& segment : segments_) {
      const auto* const begin = static_cast<const std::uint8_t*>(segment.iov_base);
      all.insert(all.end(), begin, begin + segment.iov_len);
    }
    return all;
  }

 private:
  std::vector<std::unique_ptr<std::uint8_t[]>> memory_;
  std::vector<iovec> segments_;
};

class VolumeRig {
 public:
  using Pretend = std::function<void(SpyBackend&)>;

  explicit VolumeRig(Bytes size = Bytes{4 << 20}, volume::VolumeConfig config = {},
                     const Pretend& pretend = {})
      : executor{"test", clock}, group{executor} {
    auto inner = std::make_unique<SpyBackend>(executor, size, Bytes{512});
    spy = inner.get();
    if (pretend) {
      pretend(*spy);
    }
    store = backend::make_checked(std::move(inner));
    volume = std::make_unique<volume::Volume>(*store, config);
  }
  ~VolumeRig() {
    volume.reset();
    group.spawn("close", close(*store));
    run();
  }

  // The same store in another volume.
  void use(const volume::VolumeConfig& config) {
    volume = std::make_unique<volume::Volume>(*store, config);
  }

  void run() {
    do {
      (void)executor.tick();
    } while (!executor.idle());
  }

  // Runs a task to its end; the result is empty if it still waits for something.
  template <class T>
  std::optional<T> wait_for(co::Task<T> task) {
    std::optional<T> result;
    group.spawn("test", keep(executor, std::move(task), &result));
    run();
    return result;
  }
  // Starts a task and lets it go as far as it gets. `result` must outlive it.
  template <class T>
  void start(co::Task<T> task, std::optional<T>* result) {
    group.spawn("test", keep(executor, std::move(task), result));
    run();
  }

  // Reads from the backend itself, whatever it is doing.
  std::vector<std::uint8_t> stored(std::uint64_t offset, std::size_t length) {
    const Data data{std::vector<std::uint8_t>(length)};
    const std::vector<BackendOp> ops = spy->ops;
    (void)wait_for(store->read(Bytes{offset}, data.view()));
    spy->ops = ops;
    return data.bytes();
  }
  void store_bytes(std::uint64_t offset, std::vector<std::uint8_t> bytes) {
    const Data data{std::move(bytes)};
    const std::vector<BackendOp> ops = spy->ops;
    (void)wait_for(store->write(Bytes{offset}, data.view(), backend::Fua::no));
    spy->ops = ops;
  }

 private:
  template <class T>
  static co::Task<void> keep(co::Executor&, co::Task<T> task, std::optional<T>* result) {
    T value = co_await std::move(task);
    result->emplace(std::move(value));
  }
  static co::Task<void> close(backend::Backend& backend) { co_await backend.close(); }

 public:
  co::VirtualClock clock;
  co::Executor executor;
  co::TaskGroup group;
  SpyBackend* spy = nullptr;
  std::unique_ptr<backend::Backend> store;
  std::unique_ptr<volume::Volume> volume;
  volume::Request request;  // for calls that do not care about the request
};

inline std::vector<std::uint8_t> pattern(std::size_t length, std::uint8_t seed = 1) {
  std::vector<std::uint8_t> bytes(length);
  for (std::size_t i = 0; i < length; ++i) {
    bytes[i] = static_cast<std::uint8_t>((i * 7 + i / 256 + seed) | 1);
  }
  return bytes;
}

}  // namespace ballast::test
