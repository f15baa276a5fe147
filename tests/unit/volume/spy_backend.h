// SPDX-License-Identifier: Apache-2.0
// A memory backend that records all requests, fails or waits if a test says so, and may pretend to
// have other capabilities. Include this file before tests/cmocka.h.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/backend/checked.h"
#include "lib/backend/log_coverage.h"
#include "lib/backend/memory.h"
#include "lib/co/event.h"
#include "lib/co/gate.h"

namespace ballast::test {

struct BackendOp {
  std::string name;  // the name of the function
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool flag = false;  // fua, or may_unmap
  friend bool operator==(const BackendOp&, const BackendOp&) = default;
};

// A log before the spy: it has the newest data of the first blocks.
struct SpyLog final : backend::LogCoverage {
  bool takes_changes() const override { return takes; }
  bool is_passed_by() const override { return passed_by; }
  bool covers(Lba lba, BlockCount count) const override {
    return lba + count <= Lba{covered_blocks};
  }
  bool reads_store(Lba, BlockCount) const override { return reads_at_store; }
  std::uint64_t covered_blocks = 1000;
  static constexpr std::uint64_t missing = 2000;  // a block that the log does not have
  bool takes = true;
  bool passed_by = false;
  bool reads_at_store = false;
};

class SpyBackend final : public backend::Backend {
 public:
  SpyBackend(co::Executor& executor, Bytes size, Bytes block)
      : gate{executor},
        inner_{backend::make_checked(backend::make_memory(executor, size, block))},
        capabilities_{inner_->capabilities()},
        geometry_{inner_->geometry()},
        at_work_{executor, "the spy's last operation"} {
    gate.set();
  }

  std::vector<BackendOp> ops;
  std::map<std::string, IoStatus> failures;  // by name; replaces the work of the function
  co::Event gate;                            // while it is reset, operations wait
  std::function<co::Event&(const BackendOp&)> gate_of;  // of one operation, instead of `gate`
  bool cancellable = false;  // operations that wait end when they are cancelled
  // Closes the gate behind the next operation of this name.
  void gate_after(std::string name) { close_behind_ = std::move(name); }
  std::size_t running() const { return at_work_.count(); }
  std::size_t most_running = 0;
  std::string client_waits_for;                    // what waits_for() says, at once
  std::optional<backend::Room> has_room;           // what room() says
  const backend::LogCoverage* coverage = nullptr;  // the spy plays the log, too
  backend::SharedStore* shared_store = nullptr;    // what shared() says
  std::vector<backend::Extent> extents;            // what block_status() says, if there are any

  backend::Capabilities& pretend() { return capabilities_; }
  backend::Geometry& pretend_geometry() { return geometry_; }

  co::Executor& executor() override { return inner_->executor(); }
  const backend::Geometry& geometry() const override { return geometry_; }
  const backend::Capabilities& capabilities() const override { return capabilities_; }
  std::string description() const override { return "spy:"; }
  backend::SharedStore* shared() override { return shared_store; }
  const backend::LogCoverage* log_coverage() const override { return coverage; }
  backend::Connection connection() const override { return {.state = "connected", .since = {}}; }
  co::Task<std::string> waits_for(Nanoseconds) override { co_return client_waits_for; }
  co::Task<std::optional<backend::Room>> room() override {
    co_await gate.wait();
    co_return has_room;
  }

  co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken cancel) override {
    const IoStatus early = co_await begin("read", offset, Bytes{to.size()}, false, cancel);
    if (!ok(early)) {
      co_return end(early);
    }
    const IoStatus status = co_await inner_->read(offset, to, cancel);
    co_return end(status);
  }
  co::Task<IoStatus> write(Bytes offset, io::SgView from, backend::Fua fua,
                           co::CancelToken cancel) override {
    const IoStatus early =
        co_await begin("write", offset, Bytes{from.size()}, fua == backend::Fua::yes, cancel);
    if (!ok(early)) {
      co_return end(early);
    }
    const IoStatus status = co_await inner_->write(offset, from, fua, cancel);
    co_return end(status);
  }
  co::Task<IoStatus> zero(Bytes offset, Bytes length, backend::MayUnmap may_unmap,
                          co::CancelToken cancel) override {
    const IoStatus early =
        co_await begin("zero", offset, length, may_unmap == backend::MayUnmap::yes, cancel);
    if (!ok(early)) {
      co_return end(early);
    }
    const IoStatus status = co_await inner_->zero(offset, length, may_unmap, cancel);
    co_return end(status);
  }
  co::Task<IoStatus> discard(Bytes offset, Bytes length, co::CancelToken cancel) override {
    const IoStatus early = co_await begin("discard", offset, length, false, cancel);
    if (!ok(early)) {
      co_return end(early);
    }
    const IoStatus status = co_await inner_->discard(offset, length, cancel);
    co_return end(status);
  }
  co::Task<IoStatus> flush(co::CancelToken cancel) override {
    const IoStatus early = co_await begin("flush", Bytes{}, Bytes{}, false, cancel);
    if (!ok(early)) {
      co_return end(early);
    }
    const IoStatus status = co_await inner_->flush(cancel);
    co_return end(status);
  }
  co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t limit,
                                  std::vector<backend::Extent>* out) override {
    if (!extents.empty()) {
      *out = extents;
      co_return IoStatus::ok;
    }
    const IoStatus status = co_await inner_->block_status(offset, length, limit, out);
    co_return status;
  }
  co::Task<IoStatus> resize(Bytes size) override {
    const IoStatus early = co_await begin("resize", Bytes{}, size, false, {});
    if (!ok(early)) {
      co_return end(early);
    }
    const IoStatus status = co_await inner_->resize(size);
    geometry_.size = inner_->geometry().size;
    co_return end(status);
  }
  co::Task<Result<void>> write_label(std::optional<backend::Label> label) override {
    const IoStatus early = co_await begin("write_label", Bytes{}, Bytes{}, label.has_value(), {});
    if (!ok(end(early))) {
      co_return Error{EIO, "the test refuses the label"};
    }
    co_return Result<void>{};
  }
  co::Task<void> close() override {
    at_work_.close();
    co_await at_work_.drain();
    co_await inner_->close();
  }

 private:
  co::Task<IoStatus> begin(std::string name, Bytes offset, Bytes length, bool flag,
                           co::CancelToken cancel) {
    const BackendOp this_one{name, offset.value(), length.value(), flag};
    ops.push_back(this_one);
    const bool entered = at_work_.enter();
    BALLAST_ASSERT(entered);
    most_running = std::max(most_running, running());
    if (name == close_behind_) {
      close_behind_.clear();
      gate.reset();
      const auto failed = failures.find(name);
      co_return failed == failures.end() ? IoStatus::ok : failed->second;
    }
    const co::CancelToken heard = cancellable ? cancel : co::CancelToken{};
    co::Event& closed = gate_of ? gate_of(this_one) : gate;
    const bool open = co_await closed.wait(heard);
    if (!open) {
      co_return IoStatus::cancelled;
    }
    const auto failure = failures.find(name);
    co_return failure == failures.end() ? IoStatus::ok : failure->second;
  }
  IoStatus end(IoStatus status) {
    at_work_.leave();
    return status;
  }
  std::unique_ptr<backend::Backend> inner_;
  std::string close_behind_;
  backend::Capabilities capabilities_;
  backend::Geometry geometry_;
  co::Gate at_work_;
};

}  // namespace ballast::test
