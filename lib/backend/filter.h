// SPDX-License-Identifier: Apache-2.0
// Filter: a backend that passes every call on to another backend. A derived class overrides the
// calls that it changes.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/backend/backend.h"

namespace ballast::backend {

class Filter : public Backend {
 public:
  co::Executor& executor() override { return inner_.executor(); }
  const Geometry& geometry() const override { return inner_.geometry(); }
  const Capabilities& capabilities() const override { return inner_.capabilities(); }
  std::string description() const override { return inner_.description(); }
  Connection connection() const override { return inner_.connection(); }
  const OpErrors* errors() const override { return inner_.errors(); }
  co::Task<std::string> waits_for(Nanoseconds patience) override {
    return inner_.waits_for(patience);
  }
  SharedStore* shared() override { return inner_.shared(); }
  const LogCoverage* log_coverage() const override { return inner_.log_coverage(); }
  LogControl* log_control() override { return inner_.log_control(); }

  co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken cancel) override {
    return inner_.read(offset, to, cancel);
  }
  co::Task<IoStatus> write(Bytes offset, io::SgView from, Fua fua,
                           co::CancelToken cancel) override {
    return inner_.write(offset, from, fua, cancel);
  }
  co::Task<IoStatus> write_once(Bytes offset, io::SgView from, Fua fua,
                                co::CancelToken cancel) override {
    return inner_.write_once(offset, from, fua, cancel);
  }
  co::Task<IoStatus> zero(Bytes offset, Bytes length, MayUnmap may_unmap,
                          co::CancelToken cancel) override {
    return inner_.zero(offset, length, may_unmap, cancel);
  }
  co::Task<IoStatus> discard(Bytes offset, Bytes length, co::CancelToken cancel) override {
    return inner_.discard(offset, length, cancel);
  }
  co::Task<IoStatus> flush(co::CancelToken cancel) override { return inner_.flush(cancel); }
  co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t limit,
                                  std::vector<Extent>* out) override {
    return inner_.block_status(offset, length, limit, out);
  }
  co::Task<std::optional<Room>> room() override { return inner_.room(); }
  co::Task<IoStatus> resize(Bytes size) override { return inner_.resize(size); }
  co::Task<Result<void>> write_label(std::optional<Label> label) override {
    return inner_.write_label(std::move(label));
  }
  co::Task<void> close() override { return inner_.close(); }

 protected:
  // `inner` must outlive the last call on the filter. The filter does not own it; a derived class
  // may.
  explicit Filter(Backend& inner) : inner_{inner} {}

 private:
  Backend& inner_;
};

}  // namespace ballast::backend
