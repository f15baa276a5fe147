// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/null.h"

namespace ballast::backend {
namespace {

class Null final : public Backend {
 public:
  Null(co::Executor& executor, Bytes size, Bytes logical_block)
      : executor_{executor},
        geometry_{.size = size,
                  .logical_block = logical_block,
                  .physical_block = logical_block,
                  .discard_granularity = logical_block} {}

  co::Executor& executor() override { return executor_; }
  const Geometry& geometry() const override { return geometry_; }
  const Capabilities& capabilities() const override { return capabilities_; }
  std::string description() const override { return "null"; }

  co::Task<IoStatus> read(Bytes, io::SgView to, co::CancelToken) override {
    io::zero(to);
    co_return IoStatus::ok;
  }
  co::Task<IoStatus> write(Bytes, io::SgView, Fua, co::CancelToken) override {
    co_return IoStatus::ok;
  }
  co::Task<IoStatus> zero(Bytes, Bytes, MayUnmap, co::CancelToken) override {
    co_return IoStatus::ok;
  }
  co::Task<IoStatus> discard(Bytes, Bytes, co::CancelToken) override { co_return IoStatus::ok; }
  co::Task<IoStatus> flush(co::CancelToken) override { co_return IoStatus::ok; }
  co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t,
                                  std::vector<Extent>* out) override {
    out->push_back(Extent{.offset = offset, .length = length, .allocated = false});
    co_return IoStatus::ok;
  }
  co::Task<IoStatus> resize(Bytes size) override {
    geometry_.size = size;
    co_return IoStatus::ok;
  }
  co::Task<void> close() override { co_return; }

 private:
  co::Executor& executor_;
  Geometry geometry_;
  const Capabilities capabilities_{.discard = true,
                                   .discard_zeroes = true,
                                   .zero = true,
                                   .zero_unmaps = true,
                                   .fua = true,
                                   .volatile_cache = false,
                                   .block_status = true,
                                   .exclusive = true};
};

}  // namespace

std::unique_ptr<Backend> make_null(co::Executor& executor, Bytes size, Bytes logical_block) {
  return std::make_unique<Null>(executor, size, logical_block);
}

}  // namespace ballast::backend
