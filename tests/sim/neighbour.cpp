// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/neighbour.h"

#include <string>
#include <utility>
#include <vector>

#include "lib/backend/checked.h"
#include "lib/base/assert.h"
#include "lib/co/sleep.h"
#include "tests/sim/content.h"

namespace ballast::sim {

class Neighbour::Store final : public backend::Backend {
 public:
  Store(co::Executor& executor, Shelf& shelf)
      : executor_{executor},
        shelf_{shelf},
        geometry_{.size = Bytes{shelf.blocks * block_size},
                  .logical_block = Bytes{block_size},
                  .physical_block = Bytes{block_size},
                  .discard_granularity = Bytes{}},
        at_work_{executor, "the neighbour's store"} {}

  co::Executor& executor() override { return executor_; }
  const backend::Geometry& geometry() const override { return geometry_; }
  const backend::Capabilities& capabilities() const override { return capabilities_; }
  std::string description() const override { return "shelf"; }

  co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken cancel) override {
    const co::Gate::Guard inside{at_work_};
    const bool hangs = shelf_.rough && shelf_.random.chance(1, 4);
    const bool fails = shelf_.rough && shelf_.random.chance(1, 30);
    const bool listens = shelf_.random.chance(1, 2);
    const Nanoseconds longest = hangs ? longest_hang : std::chrono::milliseconds{3};
    const Nanoseconds time{static_cast<std::int64_t>(
        shelf_.random.below(static_cast<std::uint64_t>(longest.count())))};
    const bool whole =
        co_await co::sleep_for(executor_, time, listens ? cancel : co::CancelToken{});
    if (!whole) {
      co_return IoStatus::cancelled;
    }
    if (fails) {
      co_return IoStatus::medium_error;
    }
    std::array<std::byte, block_size> block{};
    for (std::size_t at = 0; at < to.size(); at += block_size) {
      const auto number = static_cast<std::uint32_t>((offset.value() + at) / block_size);
      Content{shelf_.data, number, 0}.put(block);
      io::copy(to.slice(at, block_size), block);
    }
    co_return IoStatus::ok;
  }
  // Nothing changes it.
  co::Task<IoStatus> write(Bytes, io::SgView, backend::Fua, co::CancelToken) override {
    return refuse();
  }
  co::Task<IoStatus> zero(Bytes, Bytes, backend::MayUnmap, co::CancelToken) override {
    return refuse();
  }
  co::Task<IoStatus> discard(Bytes, Bytes, co::CancelToken) override { return refuse(); }
  co::Task<IoStatus> resize(Bytes) override { return refuse(); }
  co::Task<IoStatus> block_status(Bytes, Bytes, std::size_t,
                                  std::vector<backend::Extent>*) override {
    return refuse();
  }
  co::Task<IoStatus> flush(co::CancelToken) override { co_return IoStatus::ok; }
  co::Task<void> close() override { co_await at_work_.drain(); }

 private:
  co::Task<IoStatus> refuse() { co_return IoStatus::not_supported; }

  co::Executor& executor_;
  Shelf& shelf_;
  const backend::Geometry geometry_;
  const backend::Capabilities capabilities_{.read_only = true, .exclusive = true};
  co::Gate at_work_;
};

Neighbour::Neighbour(co::Executor& executor, io::BufferPool& buffers, lun::CopyOffers& offers,
                     std::uint64_t seed, std::uint32_t blocks)
    : executor_{executor},
      buffers_{buffers},
      offers_{offers},
      shelf_{.random = co::Random{seed}, .blocks = blocks} {
  open();
}

Neighbour::~Neighbour() {
  BALLAST_ASSERT(lun_->is_gone());
}

void Neighbour::open() {
  lun::LunConfig config;
  config.copy_group = group;
  lun_ = std::make_unique<lun::Lun>(lun::Runtime{executor_, buffers_, stalled_luns_, &offers_},
                                    lun::LunSetup{.name = "neighbour",
                                                  .config = config,
                                                  .logical_block = Bytes{block_size},
                                                  .capacity = BlockCount{shelf_.blocks}},
                                    *this);
  lun_->use(backend::Store{backend::make_checked(std::make_unique<Store>(executor_, shelf_)), {}});
  lun_->offer_to_copies(serial);
  closing_ = false;
}

void Neighbour::close() {
  if (!std::exchange(closing_, true)) {
    lun_->close({});
  }
}

void Neighbour::reopen() {
  if (closing_ && lun_->is_gone()) {
    open();
  }
}

void Neighbour::answer(scsi::Command&, scsi::Status) {
  BALLAST_ASSERT(false);
}

}  // namespace ballast::sim
