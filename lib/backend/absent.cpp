// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/absent.h"

#include <algorithm>
#include <cerrno>
#include <optional>

namespace ballast::backend {
namespace {

constexpr Bytes usual_block{4096};

class Absent final : public Backend {
 public:
  Absent(co::Executor& executor, Bytes size, Bytes logical_block)
      : executor_{executor},
        geometry_{.size = size,
                  .logical_block = logical_block,
                  .physical_block = std::max(usual_block, logical_block),
                  .discard_granularity = std::max(usual_block, logical_block)} {}

  co::Executor& executor() override { return executor_; }
  const Geometry& geometry() const override { return geometry_; }
  const Capabilities& capabilities() const override { return capabilities_; }
  std::string description() const override { return "its store"; }

  co::Task<IoStatus> read(Bytes, io::SgView, co::CancelToken) override { return refuse(); }
  co::Task<IoStatus> write(Bytes, io::SgView, Fua, co::CancelToken) override { return refuse(); }
  co::Task<IoStatus> zero(Bytes, Bytes, MayUnmap, co::CancelToken) override { return refuse(); }
  co::Task<IoStatus> discard(Bytes, Bytes, co::CancelToken) override { return refuse(); }
  co::Task<IoStatus> flush(co::CancelToken) override { return refuse(); }
  co::Task<IoStatus> block_status(Bytes, Bytes, std::size_t, std::vector<Extent>*) override {
    return refuse();
  }
  co::Task<IoStatus> resize(Bytes) override { return refuse(); }
  co::Task<Result<void>> write_label(std::optional<Label>) override {
    co_return Error{ENOTCONN, "its store is not open yet, so no label can be written"};
  }
  co::Task<void> close() override { co_return; }

 private:
  co::Task<IoStatus> refuse() { co_return IoStatus::not_ready; }

  co::Executor& executor_;
  const Geometry geometry_;
  const Capabilities capabilities_{.discard = true,
                                   .discard_zeroes = true,
                                   .zero = true,
                                   .zero_unmaps = true,
                                   .fua = true,
                                   .block_status = true,
                                   .exclusive = true,
                                   .room = true};
};

}  // namespace

std::unique_ptr<Backend> make_absent(co::Executor& executor, Bytes size, Bytes logical_block) {
  return std::make_unique<Absent>(executor, size, logical_block);
}

}  // namespace ballast::backend
