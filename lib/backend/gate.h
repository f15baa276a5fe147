// SPDX-License-Identifier: Apache-2.0
// Gate: a backend that can be shut before it is closed.
//
// A closing LUN whose storage does not answer still has commands under way, and each may start more
// operations; but nothing may be started after a backend's close(). The gate makes that so: once
// shut, every new operation ends with not_ready and reaches nothing. Driving thread only.
#pragma once

#include <memory>
#include <utility>

#include "lib/backend/filter.h"

namespace ballast::backend {

class Gate final : public Filter {
 public:
  explicit Gate(std::unique_ptr<Backend> inner) : Filter{*inner}, inner_{std::move(inner)} {}

  // An operation is refused if it is asked for after this; one asked for before may begin until the
  // next turn of the run queue, so yield once between shut() and close().
  void shut() { shut_ = true; }

  co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken cancel) override {
    return shut_ ? refuse() : Filter::read(offset, to, cancel);
  }
  co::Task<IoStatus> write(Bytes offset, io::SgView from, Fua fua,
                           co::CancelToken cancel) override {
    return shut_ ? refuse() : Filter::write(offset, from, fua, cancel);
  }
  co::Task<IoStatus> zero(Bytes offset, Bytes length, MayUnmap may_unmap,
                          co::CancelToken cancel) override {
    return shut_ ? refuse() : Filter::zero(offset, length, may_unmap, cancel);
  }
  co::Task<IoStatus> discard(Bytes offset, Bytes length, co::CancelToken cancel) override {
    return shut_ ? refuse() : Filter::discard(offset, length, cancel);
  }
  co::Task<IoStatus> flush(co::CancelToken cancel) override {
    return shut_ ? refuse() : Filter::flush(cancel);
  }
  co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t limit,
                                  std::vector<Extent>* out) override {
    return shut_ ? refuse() : Filter::block_status(offset, length, limit, out);
  }
  co::Task<IoStatus> resize(Bytes size) override { return shut_ ? refuse() : Filter::resize(size); }

 private:
  co::Task<IoStatus> refuse() { co_return IoStatus::not_ready; }

  std::unique_ptr<Backend> inner_;
  bool shut_ = false;
};

}  // namespace ballast::backend
